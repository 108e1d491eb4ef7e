//go:build !failpoints

package failpoint

// Here is where a process dies that was built for it. This one was not.
func (Point) Here() {}

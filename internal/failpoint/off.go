//go:build !failpoints

package failpoint

// Here does nothing in this build.
func (Point) Here() {}

//go:build failpoints

package failpoint

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Here kills the process if it manages to rename the point's file.
func (p Point) Here() {
	dir := os.Getenv("STOKER_FAILPOINTS")
	if dir == "" {
		return
	}
	armed := filepath.Join(dir, string(p))
	if err := os.Rename(armed, armed+"."+strconv.Itoa(os.Getpid())); err != nil {
		return // not armed, or another process was faster
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

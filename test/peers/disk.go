package peers

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
)

// Disk returns the directory of a new file system of so many mebibytes, which is
// gone when the test ends. Whoever may not mount one has no such peer: see Need.
func Disk(tb testing.TB, mebibytes int) string {
	tb.Helper()
	mount, umount := Need(tb, "mount", "mount"), Need(tb, "mount", "umount")
	dir := tb.TempDir()
	run := func(program string, args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %v: %w: %s", program, args, err, out)
		}
		return nil
	}
	if err := run(mount, "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mebibytes), "tmpfs", dir); err != nil {
		missing(tb, "no file system may be mounted here: "+err.Error())
	}
	tb.Cleanup(func() {
		if err := run(umount, "--lazy", dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

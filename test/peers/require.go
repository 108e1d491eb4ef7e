package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Need finds a program by its name or a pattern of its path. Where there is
// none, the test is skipped, or fails with STOKER_REQUIRE_PEERS=1: this file is
// the one place that does so. With -short every test that needs one is skipped.
func Need(tb testing.TB, peer string, patterns ...string) string {
	tb.Helper()
	if testing.Short() {
		tb.Skipf("NOT RUN: %s takes longer than -short allows", peer)
	}
	for _, p := range patterns {
		if !filepath.IsAbs(p) {
			if found, err := exec.LookPath(p); err == nil {
				return found
			}
			p = filepath.Join("/usr/sbin", p) // not on everyone's PATH
		}
		if found, err := filepath.Glob(p); err == nil && len(found) > 0 {
			return found[len(found)-1] // the newest version
		}
	}
	missing(tb, fmt.Sprintf("%s is not installed (no %v)", peer, patterns))
	return ""
}

// missing skips a test, or fails it with STOKER_REQUIRE_PEERS=1.
func missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("STOKER_REQUIRE_PEERS") == "1" {
		tb.Fatalf("%s, and STOKER_REQUIRE_PEERS is 1: see test/peers/install.sh", what)
	}
	tb.Skipf("NOT RUN: %s: see test/peers/install.sh", what)
}

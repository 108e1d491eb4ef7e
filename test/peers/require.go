package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Need finds a program by its name or a pattern of its path. Where there is
// none, this is the one place that skips a test, or fails it with
// STOKER_REQUIRE_PEERS=1.
func Need(tb testing.TB, peer string, patterns ...string) string {
	tb.Helper()
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
	if os.Getenv("STOKER_REQUIRE_PEERS") == "1" {
		tb.Fatalf("%s is not installed (no %v), and STOKER_REQUIRE_PEERS is 1: see test/peers/install.sh", peer, patterns)
	}
	tb.Skipf("NOT RUN: %s is not installed (no %v): see test/peers/install.sh", peer, patterns)
	return ""
}

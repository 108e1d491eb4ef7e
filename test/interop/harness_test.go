package interop

import (
	"os"
	"testing"

	"stoker/test/peers"
)

var engines peers.Shared

func TestMain(m *testing.M) { os.Exit(engines.Run(m)) }

// passed ends a test when a part of it has failed without which the next ones
// tell nothing.
func passed(t *testing.T, part bool) {
	t.Helper()
	if !part {
		t.FailNow()
	}
}

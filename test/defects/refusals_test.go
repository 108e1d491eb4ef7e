package defects

import (
	"strings"
	"testing"

	"stoker/test/cloud"
)

// Cinder answers 200 with an error as the body, and leaves a service that is not
// frozen, disabled as frozen and cannot be thawed.
func TestThawThatTheBackendRefuses(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		t.Helper()
		p.does(t, "freeze", ok, "")
		p.tell(t, map[string]any{"thaw_error": "rebuilding"})
		for range 2 {
			p.ends(t, p.does(t, "thaw", conflict, "Backend reported error during thaw_host operation"), "rolled-back", "Backend reported error")
			p.is(t, frozen)
		}
		p.tell(t, nil)
		p.ends(t, p.does(t, "thaw", ok, ""), "done", "")
		p.is(t, healthy)
	})
}

// Cinder answers 202, and the status goes quietly back. A driver may take a name that
// it did not announce, so Stoker sends it, too; but its caller is warned, and the
// journal has what came of it.
func TestFailoverToAnUnknownTarget(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		t.Helper()
		const warning = "and not nowhere: its driver decides."
		cloud.Eventually(t, "the journal warns of it, once the service has announced its targets", func() bool {
			p.ends(t, p.does(t, "failover", accepted, "", "backend_id", "nowhere"), "rolled-back", "it refused the target")
			p.comesTo(t, healthy)
			return strings.HasSuffix(p.newest(t, "failover").Warning, warning)
		})
	})
}

// Cinder refuses everything from then on, the way back too.
func TestFailoverThatRaises(t *testing.T) {
	const failed = "disabled failover-error"
	everywhere(t, func(t *testing.T, p place) {
		t.Helper()
		for _, wayOut := range []struct{ target, line string }{{"default", healthy}, {"site-b", onSiteB}, {"default", healthy}} {
			if wayOut.line == onSiteB || p.seen(t)[0] == healthy {
				p.ends(t, p.does(t, "failover", accepted, "", "backend_id", "explode"), "failed", "the backend failed to fail over")
				p.comesTo(t, failed)
			}
			p.ends(t, p.does(t, "failover", accepted, "", "backend_id", wayOut.target), "done", "active backend: "+wayOut.target)
			p.comesTo(t, wayOut.line)
		}
	})
}

package defects

import (
	"slices"
	"testing"
)

// Cinder answers 200 with an error as the body, and leaves a service that is not
// frozen, disabled as frozen and cannot be thawed.
func TestThawThatTheBackendRefuses(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		t.Helper()
		p.does(t, "freeze", ok, "")
		p.tell(t, map[string]any{"thaw_error": "rebuilding"})
		for range 2 {
			p.ends(t, p.does(t, "thaw", conflict, "Backend reported error during thaw_host operation"), "undone", "Backend reported error")
			p.is(t, frozen)
		}
		p.tell(t, nil)
		p.ends(t, p.does(t, "thaw", ok, ""), "done", "")
		p.is(t, healthy)
	})
}

// Cinder answers 202, and the status goes quietly back.
func TestFailoverToAnUnknownTarget(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		t.Helper()
		told, before := p.calls(t), p.newest(t, "failover")
		p.does(t, "failover", invalid, "nowhere is no replication target of", "backend_id", "nowhere")
		p.is(t, healthy)
		if after := p.newest(t, "failover"); after.ID != before.ID {
			t.Errorf("the journal has a failover: %+v", after)
		}
		// What a service was sent before a freeze it has got before that.
		p.does(t, "freeze", ok, "")
		p.does(t, "thaw", ok, "")
		if now := p.calls(t); slices.Contains(now[min(len(told), len(now)):], "failover nowhere") {
			t.Errorf("a backend was told: %q", now)
		}
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
				p.is(t, failed)
			}
			p.ends(t, p.does(t, "failover", accepted, "", "backend_id", wayOut.target), "done", "active backend: "+wayOut.target)
			p.is(t, wayOut.line)
		}
	})
}

package interop

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/test/cloud"
	"stoker/test/load"
	"stoker/test/peers"
)

// notified is a notification as oslo.messaging's listener has it.
type notified struct {
	Priority  string         `json:"priority"`
	Publisher string         `json:"publisher"`
	Event     string         `json:"event"`
	Payload   map[string]any `json:"payload"`
	RequestID string         `json:"request_id"`
}

// listener starts oslo.messaging's own listener, and returns what it hears.
func listener(t *testing.T, o peers.CinderOptions) <-chan notified {
	t.Helper()
	text, err := os.ReadFile("testdata/listener.py") // which is not to be seen from every release
	if err != nil {
		t.Fatal(err)
	}
	python := o.Release.Need(t, "oslo.messaging", "/usr/bin/python3")
	cmd := o.Release.Command(t.Context(), python, "-c", string(text), peers.WriteCinderConf(t, o).Conf, "notifications")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	heard, ready := make(chan notified, 100), make(chan bool, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n notified
			switch {
			case lines.Text() == "ready":
				ready <- true
			case json.Unmarshal(lines.Bytes(), &n) == nil:
				heard <- n
			}
		}
	}()
	t.Cleanup(func() { // the context of the test has killed it
		<-ended
		_ = cmd.Wait()
	})
	select {
	case <-ready:
	case <-ended:
		_ = cmd.Wait()
		t.Fatalf("the listener has ended:\n%s", said.String())
	case <-time.After(load.Patience):
		t.Fatal("the listener does not listen")
	}
	return heard
}

// Whoever listens to notifications with oslo.messaging hears of every change, as
// Cinder would tell it.
func TestNotificationsReachOsloListeners(t *testing.T) {
	t.Parallel()
	engines.Each(t, reachListeners)
}

func reachListeners(t *testing.T, engines *peers.Shared) {
	t.Helper()
	c := cloud.New(t, engines)
	c.Options.More = "[oslo_messaging_notifications]\ndriver = messagingv2\n"
	heard := listener(t, c.Options)
	c.Sync(t)
	c.Stoker(t, "host1", "volume")
	a := cloud.API{Name: "stoker", URL: c.Stoker(t, "ctl1", "api").URL}
	cloud.Eventually(t, "the service is there", func() bool { return c.Rows(t)["host1@alpha"] == healthy })

	host := map[string]any{"host": "host1@alpha"}
	service := map[string]any{"host": "host1@alpha", "binary": "cinder-volume"}
	a.Must(t, "os-services/disable", service)
	a.Must(t, "os-services/enable", service)
	a.Must(t, "os-services/freeze", host)
	a.Must(t, "os-services/thaw", host)
	a.Must(t, "os-services/failover_host", map[string]any{"host": "host1@alpha", "backend_id": "site-b"})
	want := []string{
		"info service.disable", "info service.enable", "info service.freeze.start", "info service.freeze.end",
		"info service.thaw.start", "info service.thaw.end", "info service.failover.start", "info service.failover.end",
	}
	var got []string
	for len(got) < len(want) {
		select {
		case n := <-heard:
			got = append(got, n.Priority+" "+n.Event)
			if n.Payload["host"] != "host1@alpha" || !strings.HasPrefix(n.Publisher, "service.ctl1") || !strings.HasPrefix(n.RequestID, "req-") {
				t.Errorf("%s: %+v", n.Event, n)
			}
		case <-time.After(load.Patience):
			t.Fatalf("heard only %v", got)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was heard (-want +got):\n%s", diff)
	}
}

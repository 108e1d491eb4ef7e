package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
)

// follow opens a stream of events, and returns what reads the next of them.
func (r *rig) follow(t *testing.T, last string) (next func() map[string]string, end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // far longer than it takes
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/stoker/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "admin:"+project)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req) //nolint:bodyclose // The end closes it.
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	next = func() map[string]string {
		t.Helper()
		event := map[string]string{}
		for lines.Scan() {
			name, value, ok := strings.Cut(lines.Text(), ": ")
			switch {
			case lines.Text() == "" && event["event"] != "":
				return event
			case ok && name != "":
				event[name] = value
			}
		}
		return nil
	}
	return next, func() { cancel(); check(t, resp.Body.Close()) }
}

func TestEvents(t *testing.T) {
	r := newRig(t, withFleet(&fleet{}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.control.Publish(ctx) }()
	defer func() { cancel(); <-done }()
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	next, end := r.follow(t, "")
	ready := next()
	if ready["event"] != "ready" || ready["id"] == "" || ready["retry"] != "2000" {
		t.Fatalf("first: %v", ready)
	}
	r.do(t, ask{method: "PUT", path: "{P}/os-services/disable-log-reason", body: `{"host": "a@b", "binary": "cinder-volume", "disabled_reason": "disk\nswap"}`})
	service, op := next(), next()
	if service["event"] != "service" || !strings.Contains(service["data"], `"status":"disabled","disabled_reason":"disk\nswap"`) ||
		!strings.Contains(service["data"], `"changed":["status","disabled_reason"]`) || service["id"] != "" {
		t.Errorf("service: %v", service)
	}
	if op["event"] != "operation" || !strings.Contains(op["data"], `"kind":"disable","state":"done"`) || op["id"] == "" {
		t.Errorf("operation: %v", op)
	}
	end()

	// Changed by somebody else, while nobody listened.
	r.exec(t, `UPDATE services SET frozen = TRUE`)
	next, end = r.follow(t, op["id"])
	defer end()
	if missed := next(); missed["event"] != "service" || !strings.Contains(missed["data"], `"frozen":true`) {
		t.Errorf("missed: %v", missed)
	}
	next() // the operation once more
	r.api.End()
	if last := next(); last["event"] != "end" || last["data"] != `{"code":503,"message":"The service is stopping."}` {
		t.Errorf("the end: %v", last)
	}
	if left := next(); left != nil {
		t.Errorf("after the end: %v", left)
	}
}

func TestBadEventRequests(t *testing.T) {
	r := newRig(t, parts{policy: deny{}})
	if got := r.do(t, ask{path: "/stoker/v1/events"}); got.status != 403 || !strings.Contains(string(got.body), "stoker:events:index") {
		t.Errorf("%d %s", got.status, got.body)
	}
	r = newRig(t, parts{})
	for _, id := range []string{"x", "1-", "1-0123456789abcdeF", fmt.Sprint(1) + "-0123456789abcdef\u00e9"} {
		if got := r.do(t, ask{path: "/stoker/v1/events", header: []string{"Last-Event-ID: " + id}}); got.status != 400 {
			t.Errorf("%q: %d %s", id, got.status, got.body)
		}
	}
}

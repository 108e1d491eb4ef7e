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
	"stoker/internal/control"
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

// One caller cannot take the streams of all others, and gets his own back.
func TestEveryCallerHasAShareOfTheStreams(t *testing.T) {
	const share = 16
	r := newRig(t, parts{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	// open returns the status and the first line of a stream that lasts as long as ctx.
	open := func(ctx context.Context, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/stoker/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", token)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { check(t, resp.Body.Close()) })
		body := bufio.NewScanner(resp.Body)
		body.Scan()
		return resp.StatusCode, body.Text()
	}
	his, leave := context.WithCancel(t.Context())
	defer leave()
	for i := range share {
		if status, line := open(his, "greedy:"+project); status != http.StatusOK {
			t.Fatalf("stream %d: %d %s", i, status, line)
		}
	}
	for _, token := range []string{"greedy:" + project, "greedy:ffff"} { // for whatever project
		status, line := open(his, token)
		if want := `{"overLimit":{"code":429,"message":"You have 16 streams of events open already, and may have 16 at a time."}}`; status != http.StatusTooManyRequests || line != want {
			t.Errorf("one more as %s: %d %s", token, status, line)
		}
	}
	if status, line := open(t.Context(), "other:"+project); status != http.StatusOK {
		t.Errorf("somebody else: %d %s", status, line)
	}
	leave()
	for end := time.Now().Add(20 * time.Second); ; {
		status, line := open(t.Context(), "greedy:"+project)
		if status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after he has left: %d %s", status, line)
		}
	}
	r.api.End()
}

// A stream that does not begin takes nothing of the share.
func TestStreamsThatDoNotBegin(t *testing.T) {
	r := newRig(t, parts{store: func(s control.Store) control.Store { return away{s} }})
	for range 20 {
		if got := r.do(t, ask{path: "/stoker/v1/events"}); got.status != http.StatusServiceUnavailable {
			t.Fatalf("got %d %s, want 503", got.status, got.body)
		}
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

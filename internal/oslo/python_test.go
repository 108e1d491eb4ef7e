package oslo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

var update = flag.Bool("update", false, "write testdata/failures_sent.json")

// failuresToPython returns errors of every kind that a service may fail with, including
// the dispatcher's, and what a Python caller must get for each: the class and the
// user's message.
func failuresToPython(t *testing.T) map[string]rebuilt {
	t.Helper()
	const generic = "The service could not carry out the request: its log says why."
	of := func(kind cinder.Kind, msg string) *oslo.Failure {
		return oslo.FailureOf(cinder.Errorf(kind, "%s", msg))
	}
	return map[string]rebuilt{
		"invalid":       {of(cinder.KindInvalid, "Invalid input received: no"), "InvalidInput", "Invalid input received: no"},
		"conflict":      {of(cinder.KindConflict, "The backend says no."), "InvalidInput", "The backend says no."},
		"not found":     {of(cinder.KindNotFound, "There is no x."), "NotFound", "There is no x."},
		"forbidden":     {of(cinder.KindForbidden, "You may not."), "NotAuthorized", "You may not."},
		"not supported": {of(cinder.KindNotSupported, "Not here."), "NotSupportedOperation", "Not here."},
		"unavailable":   {of(cinder.KindUnavailable, "The database is away."), "ServiceUnavailable", "The database is away."},
		"timeout":       {of(cinder.KindTimeout, "Too late."), "RPCTimeout", "Too late."},
		"internal":      {of(cinder.KindInternal, "secret"), "CinderException", generic},
		"remote":        {of(cinder.KindRemote, "secret"), "CinderException", generic},
		"percent signs": {of(cinder.KindInvalid, "100% of %(reason)s {0}"), "InvalidInput", "100% of %(reason)s {0}"},
		"bad arguments": {dispatched(t, "log", `{"x": 1}`), "TypeError", `Bad arguments: json: unknown field "x"`},
		"no method":     {dispatched(t, "nothing", `{}`), "RemoteError", "Endpoint does not support RPC method nothing"},
		"an old object": {
			dispatched(t, "log", `{"log_request": `+versioned("LogLevel", "cinder", "9.9", `{}`)+`}`),
			"RemoteError", "Version 9.9 of LogLevel is not supported, supported version is 1.0",
		},
	}
}

type rebuilt struct {
	sent        *oslo.Failure
	class, text string
}

// dispatched is the failure of a request to a server, as sent over the bus.
func dispatched(t *testing.T, method, args string) *oslo.Failure {
	t.Helper()
	b := newBus(t)
	b.serve(t, map[string]oslo.Handler{"log": oslo.Method(func(context.Context, struct {
		Request oslo.LogLevel `json:"log_request"`
	},
	) (any, error) {
		return nil, nil
	})})
	replies := b.replies(t, "q")
	b.post(t, oslo.Request{Method: method, Version: "3.0", Args: json.RawMessage(args), MsgID: "i", ReplyTo: "q"}, 0)
	return (<-replies).Failure
}

// TestPythonRebuildsOurFailures checks that Python callers rebuild our exceptions with
// our messages; testdata/rebuild_failures.py recorded what the real library makes of them.
func TestPythonRebuildsOurFailures(t *testing.T) {
	failures := failuresToPython(t)
	sent := map[string]*oslo.Failure{}
	for name, f := range failures {
		sent[name] = f.sent
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(sent); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/failures_sent.json", text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile("testdata/failures_sent.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(recorded), text.String()); diff != "" {
		t.Fatalf("what was sent to Python (-recorded +now):\n%s", diff)
	}
	raw, err := os.ReadFile("testdata/failures_rebuilt.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string]struct {
		Class, Text string
	}
	decode(t, raw, &answers)
	for name, want := range failures {
		got, ok := answers[name]
		class := strings.TrimSuffix(got.Class, "_Remote")
		// oslo.messaging appends the traceback, here a line break and nothing.
		if text := strings.TrimSuffix(got.Text, "\n"); !ok || class != want.class || !strings.Contains(text, want.text) || strings.Contains(text, "Traceback") {
			t.Errorf("%s: Python has a %s that says %q, want a %s that says %q", name, class, got.Text, want.class, want.text)
		}
		if want.class != "RemoteError" && strings.TrimSpace(got.Text) != want.text {
			t.Errorf("%s: Python says %q, want %q alone", name, got.Text, want.text)
		}
	}
}

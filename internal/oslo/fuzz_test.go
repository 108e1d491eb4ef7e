package oslo_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// FuzzRequest checks that a decoded request survives encoding.
func FuzzRequest(f *testing.F) {
	seed(f)
	f.Add([]byte(`{"method": "a cast", "_timeout": 1}`))
	f.Add([]byte(`{"method": "m", "_msg_id": "i", "_reply_q": "q", "_timeout": 2.5, "namespace": "n"}`))
	f.Add([]byte(`{"method": "m", "args": {"a": [NaN, Infinity, -Infinity, "NaN\""], "-Infinity": -1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := oslo.DecodeRequest(body)
		if err != nil {
			return
		}
		second := requestAgain(t, first)
		// To services every caller is an admin; invalid UTF-8 is repaired on the way.
		third := requestAgain(t, second)
		if diff := cmp.Diff(second, third); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
		if second.Call() != first.Call() || second.KeepAlive != first.KeepAlive {
			t.Errorf("got %+v, want %+v", second, first)
		}
	})
}

// seed adds the recorded messages that are short enough for fast fuzzing.
func seed(f *testing.F) {
	f.Helper()
	for _, r := range recordings(f) {
		if len(r.Body) < 2000 {
			f.Add([]byte(r.Body))
		}
	}
}

func requestAgain(t *testing.T, r oslo.Request) oslo.Request {
	t.Helper()
	if r.Caller.RequestID == "" {
		r.Caller.RequestID = "req-1"
	}
	body, err := oslo.EncodeRequest(r, time.Time{})
	if err != nil {
		t.Fatalf("write %+v: %v", r, err)
	}
	read, err := oslo.DecodeRequest(body)
	if err != nil {
		t.Fatalf("read %s: %v", body, err)
	}
	return read
}

func FuzzReply(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := oslo.DecodeReply(body)
		if err != nil {
			return
		}
		second := replyAgain(t, first)
		if diff := cmp.Diff(second, replyAgain(t, second), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}

func replyAgain(t *testing.T, r oslo.Reply) oslo.Reply {
	t.Helper()
	body, err := oslo.EncodeReply(r)
	if err != nil {
		t.Fatalf("write %+v: %v", r, err)
	}
	read, err := oslo.DecodeReply(body)
	if err != nil {
		t.Fatalf("read %s: %v", body, err)
	}
	return read
}

// FuzzFailure checks that a failure always has a message for the user, without a
// traceback.
func FuzzFailure(f *testing.F) {
	for _, r := range recordings(f) {
		if text, ok := r.inner["failure"].(string); ok {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := oslo.DecodeReply([]byte(`{"result": null, "ending": true, "failure": ` + string(quoted) + `}`))
		if err != nil {
			return
		}
		got := reply.Failure.Err()
		if msg := cinder.Message(got); msg == "" || strings.Contains(msg, "Traceback (most recent call last)") && reply.Failure.Class != msg {
			t.Errorf("the words of %q are %q", text, msg)
		}
		if sent := oslo.FailureOf(got); len(sent.Trace) != 0 || sent.Message == "" || sent.Class == "" {
			t.Errorf("sent on, it is %+v", sent)
		}
	})
}

func FuzzLogLevel(f *testing.F) {
	for _, r := range recordings(f) {
		if args, ok := r.inner["args"].(map[string]any); ok && args["log_request"] != nil {
			addJSON(f, args["log_request"])
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) { objectAgain[oslo.LogLevel](t, raw) })
}

func FuzzLogLevels(f *testing.F) {
	item := versioned("LogLevel", "cinder", "1.0", `{"prefix": "a", "level": "INFO"}`)
	for _, items := range []string{"", item, item + "," + item} {
		f.Add([]byte(versioned("LogLevelList", "cinder", "1.0", `{"objects": [`+items+`]}`)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { objectAgain[oslo.LogLevels](t, raw) })
}

func FuzzCleanupRequest(f *testing.F) {
	for _, data := range []string{`{}`, `{"service_id": 3, "is_up": false, "until": "2026-11-24T20:59:01Z"}`, `{"until": "9999-12-31T23:59:59-01:00"}`} {
		f.Add([]byte(versioned("CleanupRequest", "cinder", "1.0", data)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { objectAgain[oslo.CleanupRequest](t, raw) })
}

func addJSON(f *testing.F, v any) {
	f.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
}

func objectAgain[O any](t *testing.T, raw []byte) {
	t.Helper()
	var first, second O
	if json.Unmarshal(raw, &first) != nil {
		return
	}
	written, err := json.Marshal(first)
	if err != nil {
		t.Fatalf("write %+v: %v", first, err)
	}
	if err := json.Unmarshal(written, &second); err != nil {
		t.Fatalf("read %s: %v", written, err)
	}
	if diff := cmp.Diff(first, second, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read again (-first +second):\n%s", diff)
	}
}

// FuzzNumbers checks that Python's non-finite numbers are read as null, and everything
// else unchanged: a message without them reads like the same message with null in place
// of a number.
func FuzzNumbers(f *testing.F) {
	f.Add("a", "NaN", 1.5)
	f.Add("\"Infinity", "\\\"-Infinity\\", -1.0)
	f.Fuzz(func(t *testing.T, key, value string, n float64) {
		raw, err := json.Marshal(map[string]any{key: value, "n": n})
		if err != nil {
			t.Skip() // not a JSON number
		}
		object := strings.TrimPrefix(string(raw), "{")
		for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
			read := func(number string) oslo.Request {
				r, err := oslo.DecodeRequest([]byte(`{"method": "m", "args": {"word": [` + number + `], ` + object + `}`))
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if diff := cmp.Diff(read("null"), read(word)); diff != "" {
				t.Errorf("with %s (-null +it):\n%s", word, diff)
			}
		}
	})
}

package oslo_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// recorded is a message recorded on the bus of a real deployment.
type recorded struct {
	name  string
	From  string `json:"recorded_from"`
	Body  string
	inner map[string]any
}

func recordings(tb testing.TB) []recorded {
	tb.Helper()
	files, err := filepath.Glob("testdata/wire/*.json")
	if err != nil || len(files) < 40 {
		tb.Fatalf("found %d recorded messages: %v", len(files), err)
	}
	all := make([]recorded, 0, len(files))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		r := recorded{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		decode(tb, raw, &r)
		r.inner = innerOf(tb, []byte(r.Body))
		all = append(all, r)
	}
	return all
}

func (r recorded) isRequest() bool { return r.inner["method"] != nil }

func decode(tb testing.TB, raw []byte, to any) {
	tb.Helper()
	if err := json.Unmarshal(raw, to); err != nil {
		tb.Fatalf("decode %.100s: %v", raw, err)
	}
}

// innerOf returns the inner object of a message in an envelope.
func innerOf(tb testing.TB, body []byte) map[string]any {
	tb.Helper()
	var envelope struct {
		Version string `json:"oslo.version"`
		Message string `json:"oslo.message"`
	}
	decode(tb, body, &envelope)
	if envelope.Version != "2.0" {
		tb.Fatalf("the envelope has version %q, want 2.0", envelope.Version)
	}
	var inner map[string]any
	decode(tb, []byte(envelope.Message), &inner)
	return inner
}

func isContext(key string, _ any) bool { return strings.HasPrefix(key, "_context_") }

func TestRecordedRequests(t *testing.T) {
	for _, r := range recordings(t) {
		if !r.isRequest() {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			request, err := oslo.DecodeRequest([]byte(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := request.Call(), strings.HasSuffix(r.name, "-call"); got != want {
				t.Errorf("is a call: got %t, want %t", got, want)
			}
			body, err := oslo.EncodeRequest(request, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.inner, innerOf(t, body), cmpopts.IgnoreMapEntries(isContext)); diff != "" {
				t.Errorf("the request written again (-recorded +ours):\n%s", diff)
			}
			again, err := oslo.DecodeRequest(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(request.Caller, again.Caller); diff != "" {
				t.Errorf("the caller, read again (-first +second):\n%s", diff)
			}
		})
	}
}

// TestRequestContextIsAsCinderSendsIt compares our request context with Cinder's. Times
// are compared by their form only, and no token is sent.
func TestRequestContextIsAsCinderSendsIt(t *testing.T) {
	for _, r := range recordings(t) {
		if !r.isRequest() || r.From != "Cinder" {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			request, err := oslo.DecodeRequest([]byte(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			sent, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(r.inner["_context_timestamp"].(string), "+00:00"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := oslo.EncodeRequest(request, sent)
			if err != nil {
				t.Fatal(err)
			}
			want := r.inner
			want["_context_auth_token"] = nil
			want["_context_timestamp"] = sent.Format("2006-01-02T15:04:05.000000")
			want["_context_service_catalog"] = []any{}
			if diff := cmp.Diff(want, innerOf(t, body)); diff != "" {
				t.Errorf("the request written again (-recorded +ours):\n%s", diff)
			}
		})
	}
}

func TestRecordedReplies(t *testing.T) {
	for _, r := range recordings(t) {
		if r.isRequest() {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			reply, err := oslo.DecodeReply([]byte(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := reply.Failure != nil, strings.HasSuffix(r.name, "-failure"); got != want {
				t.Errorf("is a failure: got %t, want %t", got, want)
			}
			body, err := oslo.EncodeReply(reply)
			if err != nil {
				t.Fatal(err)
			}
			got := innerOf(t, body)
			for _, inner := range []map[string]any{r.inner, got} {
				if text, ok := inner["failure"].(string); ok {
					var failure map[string]any
					decode(t, []byte(text), &failure)
					inner["failure"] = failure
				}
			}
			if diff := cmp.Diff(r.inner, got); diff != "" {
				t.Errorf("the reply written again (-recorded +ours):\n%s", diff)
			}
		})
	}
}

func TestRecordedLogLevels(t *testing.T) {
	questions, answers := 0, 0
	for _, r := range recordings(t) {
		switch {
		case !strings.Contains(r.name, "_log_levels-") || strings.HasSuffix(r.name, "-failure"):
			continue
		case r.isRequest():
			var args struct {
				Request oslo.LogLevel `json:"log_request"`
			}
			again(t, r.name, r.inner["args"], &args)
			questions++
		default:
			levels := oslo.LogLevels{}
			again(t, r.name, r.inner["result"], &levels)
			if len(levels) < 50 || levels["cinder.api"] != cinder.LogInfo {
				t.Errorf("%s: got %d levels, cinder.api at %q", r.name, len(levels), levels["cinder.api"])
			}
			answers++
		}
	}
	if questions < 7 || answers != 3 {
		t.Errorf("found %d questions and %d answers", questions, answers)
	}
}

// again decodes v into to, and checks that it encodes to the same, except for the order
// of lists and a missing list of changes.
func again(t *testing.T, name string, v, to any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	written, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	decode(t, written, &got)
	unordered := cmpopts.SortSlices(func(a, b any) bool {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return string(x) < string(y)
	})
	changes := cmpopts.IgnoreMapEntries(func(key string, _ any) bool { return key == "versioned_object.changes" })
	if diff := cmp.Diff(v, got, unordered, changes); diff != "" {
		t.Errorf("%s written again (-recorded +ours):\n%s", name, diff)
	}
}

func TestDecodeRequest(t *testing.T) {
	const bare = `{"method": "m", "version": "1.2", "_unique_id": "u"}`
	wrap := func(version, inner string) string {
		raw, err := json.Marshal(map[string]string{"oslo.version": version, "oslo.message": inner})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	plain := oslo.Request{Method: "m", Version: "1.2", Args: json.RawMessage("{}"), UniqueID: "u"}
	for _, tc := range []struct {
		name, body string
		want       oslo.Request // without a method: an error
	}{
		{"in an envelope", wrap("2.0", bare), plain},
		{"bare", bare, plain},
		{"keys that nobody knows", `{"method": "m", "version": "1.2", "_unique_id": "u", "x": 1, "args": null, "namespace": null}`, plain},
		{"without a version", `{"method": "m"}`, oslo.Request{Method: "m", Version: "1.0", Args: json.RawMessage("{}")}},
		{"a namespace", `{"method": "m", "namespace": "n"}`, oslo.Request{Method: "m", Version: "1.0", Namespace: "n", Args: json.RawMessage("{}")}},
		{
			"a call that asks for signs of life", `{"method": "m", "_msg_id": "i", "_reply_q": "q", "_timeout": 30}`,
			oslo.Request{Method: "m", Version: "1.0", Args: json.RawMessage("{}"), MsgID: "i", ReplyTo: "q", KeepAlive: 30 * time.Second},
		},
		{
			"a timeout beyond reckoning", `{"method": "m", "_msg_id": "i", "_reply_q": "q", "_timeout": 1e300}`,
			oslo.Request{Method: "m", Version: "1.0", Args: json.RawMessage("{}"), MsgID: "i", ReplyTo: "q"},
		},
		{
			"a context that is malformed", `{"method": "m", "_context_user_id": 7, "_context_user": "u", "_context_roles": "admin", "_context_is_admin": "yes"}`,
			oslo.Request{Method: "m", Version: "1.0", Args: json.RawMessage("{}"), Caller: cinder.Caller{UserID: "u"}},
		},
		{
			"what is no number, as Python writes it", wrap("2.0", `{"method": "m", "args": {"a": [NaN, -Infinity, Infinity], "b": "NaN, \"Infinity", "c": -1}, "_timeout": NaN}`),
			oslo.Request{Method: "m", Version: "1.0", Args: json.RawMessage(`{"a": [null, null, null], "b": "NaN, \"Infinity", "c": -1}`)},
		},
		{"what is no number, bare", `{"method": "m", "args": {"NaN": NaN}}`, oslo.Request{Method: "m", Version: "1.0", Args: json.RawMessage(`{"NaN": null}`)}},
		{"a word that is none of Python's", wrap("2.0", `{"method": "m", "args": {"a": NaNs}}`), oslo.Request{}},
		{"another version", wrap("2.1", bare), oslo.Request{}},
		{"a version and no message", `{"oslo.version": "2.0"}`, oslo.Request{}},
		{"a message and no version", `{"oslo.message": "{}"}`, oslo.Request{}},
		{"a message that is no JSON", wrap("2.0", "{"), oslo.Request{}},
		{"no JSON", "method", oslo.Request{}},
		{"no object", "[]", oslo.Request{}},
		{"nothing", "", oslo.Request{}},
		{"no method", `{"version": "1.0"}`, oslo.Request{}},
		{"a call without reply queue", `{"method": "m", "_msg_id": "i"}`, oslo.Request{}},
		{"arguments that are a list", `{"method": "m", "args": [1]}`, oslo.Request{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := oslo.DecodeRequest([]byte(tc.body))
			if (err != nil) != (tc.want.Method == "") {
				t.Fatalf("got error %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeRequestSaysWhatTheCallerAsked(t *testing.T) {
	want := oslo.Request{
		Method: "m", Version: "1.2", Namespace: "n", Args: json.RawMessage(`{"a":1}`),
		MsgID: "i", ReplyTo: "q", KeepAlive: time.Minute, UniqueID: "u",
		Caller: cinder.Caller{
			UserID: "u", ProjectID: "p", Roles: []string{"admin", "reader"}, IsAdmin: true,
			RequestID: "req-1", GlobalRequestID: "req-0", Address: "192.0.2.1",
		},
	}
	body, err := oslo.EncodeRequest(want, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	got, err := oslo.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the request (-sent +received):\n%s", diff)
	}
}

// TestEveryCallerIsAdminToServices checks that every context is an admin's: policy
// decides before a request is sent, and services refuse others in their database layer.
func TestEveryCallerIsAdminToServices(t *testing.T) {
	body, err := oslo.EncodeRequest(oslo.Request{Method: "m", Caller: cinder.Caller{UserID: "u", Roles: []string{"operator"}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	got, err := oslo.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"admin", "operator"}, got.Caller.Roles); diff != "" || !got.Caller.IsAdmin {
		t.Errorf("is admin: %t; roles (-want +got):\n%s", got.Caller.IsAdmin, diff)
	}
	if !strings.HasPrefix(got.Caller.RequestID, "req-") {
		t.Errorf("a request without id got the id %q", got.Caller.RequestID)
	}
}

func TestDecodeReply(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       oslo.Reply
		fails      bool
	}{
		{
			"a result", `{"result": [1], "failure": null, "ending": true, "_msg_id": "i", "_unique_id": "u"}`,
			oslo.Reply{Result: json.RawMessage("[1]"), Ending: true, MsgID: "i", UniqueID: "u"},
			false,
		},
		{
			"no result and no end", `{"failure": null, "_msg_id": "i"}`,
			oslo.Reply{Result: json.RawMessage("null"), MsgID: "i"},
			false,
		},
		{
			"a refusal with words", `{"result": false, "failure": null, "ending": true, "_msg_id": "i", "_stoker_detail": "no"}`,
			oslo.Reply{Result: json.RawMessage("false"), Ending: true, MsgID: "i", Detail: "no"},
			false,
		},
		{
			"a result that is no number", `{"result": NaN, "failure": null, "ending": true, "_msg_id": "i"}`,
			oslo.Reply{Result: json.RawMessage("null"), Ending: true, MsgID: "i"},
			false,
		},
		{
			"a failure with what is no number", `{"result": null, "failure": "{\"class\": \"C\", \"args\": [-Infinity]}", "ending": true, "_msg_id": "i"}`,
			oslo.Reply{Result: json.RawMessage("null"), Failure: &oslo.Failure{Class: "C", Args: []any{nil}}, Ending: true, MsgID: "i"},
			false,
		},
		{"no word of failure", `{"result": 1, "ending": true, "_msg_id": "i"}`, oslo.Reply{MsgID: "i"}, true},
		{"a failure that is no text", `{"result": 1, "failure": {}, "_msg_id": "i"}`, oslo.Reply{MsgID: "i"}, true},
		{"a failure that is no JSON", `{"result": 1, "failure": "boom", "_msg_id": "i"}`, oslo.Reply{MsgID: "i"}, true},
		{"an end that is no truth value", `{"result": 1, "failure": null, "ending": "yes", "_msg_id": "i"}`, oslo.Reply{MsgID: "i"}, true},
		{"an id that is no text", `{"result": 1, "failure": null, "_msg_id": 3}`, oslo.Reply{}, true},
		{"another envelope", `{"oslo.version": "3.0", "oslo.message": "{}"}`, oslo.Reply{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := oslo.DecodeReply([]byte(tc.body))
			if (err != nil) != tc.fails {
				t.Fatalf("got error %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the reply (-want +got):\n%s", diff)
			}
		})
	}
}

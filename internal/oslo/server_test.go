package oslo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

func TestDispatch(t *testing.T) {
	type args struct {
		Name string `json:"name"`
	}
	methods := map[string]oslo.Handler{
		"greet": oslo.Method(func(_ context.Context, a args) (any, error) { return "hello " + a.Name, nil }),
		"level": oslo.Method(func(_ context.Context, a struct {
			Request oslo.LogLevel `json:"log_request"`
		},
		) (any, error) {
			return a.Request.Prefix, nil
		}),
		"refuse": func(context.Context, json.RawMessage) (any, error) { return oslo.Refusal("not today"), nil },
		"fail": func(context.Context, json.RawMessage) (any, error) {
			return nil, cinder.Errorf(cinder.KindInvalid, "Invalid input received: nope")
		},
		"break": func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("secret") },
		"panic": func(context.Context, json.RawMessage) (any, error) { panic("secret") },
		"odd":   func(context.Context, json.RawMessage) (any, error) { return make(chan int), nil },
	}
	failure := func(module, class, message string, kwargs map[string]any) *oslo.Failure {
		return &oslo.Failure{Module: module, Class: class, Message: message, Trace: []string{}, Args: []any{message}, Kwargs: kwargs}
	}
	broken := failure("cinder.exception", "CinderException",
		"The service could not carry out the request: its log says why.", map[string]any{"code": 500.0})
	none := map[string]any{}
	const dispatcher = "oslo_messaging.rpc.dispatcher"
	for _, tc := range []struct {
		name    string
		request oslo.Request
		want    oslo.Reply
		logged  string
	}{
		{"a result", oslo.Request{Method: "greet", Args: json.RawMessage(`{"name": "x"}`)}, oslo.Reply{Result: json.RawMessage(`"hello x"`)}, ""},
		{"an older version", oslo.Request{Method: "greet", Version: "3.0"}, oslo.Reply{Result: json.RawMessage(`"hello "`)}, ""},
		{"a refusal", oslo.Request{Method: "refuse"}, oslo.Reply{Result: json.RawMessage("false"), Detail: "not today"}, ""},
		{
			"a failure",
			oslo.Request{Method: "fail"},
			oslo.Reply{Failure: failure("cinder.exception", "InvalidInput", "Invalid input received: nope", map[string]any{"reason": "nope", "code": 400.0})},
			"level=WARN",
		},
		{"an error of ours", oslo.Request{Method: "break"}, oslo.Reply{Failure: broken}, "level=ERROR"},
		{"a panic", oslo.Request{Method: "panic"}, oslo.Reply{Failure: broken}, "handler panicked"},
		{"a result that is no JSON", oslo.Request{Method: "odd"}, oslo.Reply{Failure: broken}, "encode the result"},
		{
			"an unknown method",
			oslo.Request{Method: "no_such"},
			oslo.Reply{Failure: failure(dispatcher, "NoSuchMethod", "Endpoint does not support RPC method no_such", none)},
			"level=WARN",
		},
		{
			"a newer minor version",
			oslo.Request{Method: "greet", Version: "3.6"},
			oslo.Reply{Failure: failure(dispatcher, "UnsupportedVersion", "Endpoint does not support RPC version 3.6. Attempted method: greet", none)},
			"",
		},
		{
			"another major version",
			oslo.Request{Method: "greet", Version: "2.0"},
			oslo.Reply{Failure: failure(dispatcher, "UnsupportedVersion", "Endpoint does not support RPC version 2.0. Attempted method: greet", none)},
			"",
		},
		{
			"a version that is none",
			oslo.Request{Method: "greet", Version: "new"},
			oslo.Reply{Failure: failure(dispatcher, "UnsupportedVersion", "Endpoint does not support RPC version new. Attempted method: greet", none)},
			"",
		},
		{
			"a namespace",
			oslo.Request{Method: "greet", Namespace: "n"},
			oslo.Reply{Failure: failure(dispatcher, "UnsupportedVersion", "Endpoint does not support RPC version 3.5. Attempted method: greet", none)},
			"",
		},
		{
			"an argument that nobody knows",
			oslo.Request{Method: "greet", Args: json.RawMessage(`{"zz": 1}`)},
			oslo.Reply{Failure: failure("builtins", "TypeError", `Bad arguments: json: unknown field "zz"`, none)},
			"",
		},
		{
			"an object of a newer version",
			oslo.Request{Method: "level", Args: json.RawMessage(`{"log_request": ` + versioned("LogLevel", "cinder", "1.1", "{}") + `}`)},
			oslo.Reply{Failure: failure("oslo_versionedobjects.exception", "IncompatibleObjectVersion",
				"Version 1.1 of LogLevel is not supported, supported version is 1.0", none)},
			"",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				b.serve(t, methods)
				replies := b.replies(t, "q")
				tc.request.MsgID, tc.request.ReplyTo = "i", "q"
				if tc.request.Version == "" {
					tc.request.Version = "3.5"
				}
				tc.want.MsgID, tc.want.Ending = "i", true
				if tc.want.Result == nil {
					tc.want.Result = json.RawMessage("null")
				}
				b.post(t, tc.request, 0)
				if diff := cmp.Diff(tc.want, <-replies); diff != "" {
					t.Errorf("the reply (-want +got):\n%s", diff)
				}

				// The same as a cast: nothing is sent, whatever happens.
				tc.request.MsgID, tc.request.ReplyTo = "", ""
				b.post(t, tc.request, 0)
				synctest.Wait()
				if len(replies) > 0 {
					t.Errorf("a cast got a reply: %+v", <-replies)
				}
				if tc.logged != "" && !b.logged.has(tc.logged) {
					t.Errorf("%q is not in the log", tc.logged)
				}
			})
		})
	}
}

func TestMessagesThatCannotBeReadAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, map[string]oslo.Handler{"echo": echo})
		b.postBody(t, []byte("rubbish"), 0)
		b.postBody(t, []byte(`{"oslo.version": "3.0", "oslo.message": "{\"method\": \"echo\"}"}`), 0)
		if _, err := b.call(t.Context(), "echo", nil); err != nil {
			t.Errorf("after messages that cannot be read: %v", err)
		}
		if !b.logged.has("level=WARN", "unreadable message") {
			t.Error("they are not in the log")
		}
	})
}

func TestDuplicatesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		count := map[string]int{}
		b.serve(t, map[string]oslo.Handler{"m": oslo.Method(func(_ context.Context, args struct{ ID string }) (any, error) {
			count[args.ID]++
			return nil, nil
		})})
		post := func(id, unique string) {
			b.post(t, oslo.Request{Method: "m", Version: "3.0", Args: json.RawMessage(`{"id":"` + id + `"}`), UniqueID: unique}, 0)
			synctest.Wait()
		}
		for range 2 {
			post("twice", "x")
			post("nameless", "")
		}
		for i := range 15 {
			post("other", fmt.Sprint(i))
		}
		post("twice", "x") // 15 others came since: still remembered
		post("other", "15")
		post("twice", "x") // 16: forgotten
		if diff := cmp.Diff(map[string]int{"twice": 2, "nameless": 2, "other": 16}, count); diff != "" {
			t.Errorf("how often each was carried out (-want +got):\n%s", diff)
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		running, most := 0, 0
		turn, release := make(chan struct{}, 1), make(chan struct{})
		turn <- struct{}{}
		b.serve(t, map[string]oslo.Handler{"hang": func(context.Context, json.RawMessage) (any, error) {
			<-turn
			running++
			most = max(most, running)
			turn <- struct{}{}
			<-release
			<-turn
			running--
			turn <- struct{}{}
			return nil, nil
		}})
		for range 100 {
			b.post(t, oslo.Request{Method: "hang", Version: "3.0"}, 0)
		}
		b.post(t, oslo.Request{Method: "hang", Version: "3.0"}, time.Second) // waits too long
		synctest.Wait()
		if running != 64 {
			t.Errorf("%d requests are carried out at once, want 64", running)
		}
		<-time.After(time.Second)
		close(release)
		synctest.Wait()
		if running != 0 || most != 64 {
			t.Errorf("%d requests are still carried out; at most %d were, want 64", running, most)
		}
	})
}

// TestARequestExpiresWhileItWaitsForRoom checks that a request which expires while it
// waits for a slot is not carried out.
func TestARequestExpiresWhileItWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		release, late := make(chan struct{}), false
		b.serve(t, map[string]oslo.Handler{
			"hang": func(context.Context, json.RawMessage) (any, error) { <-release; return nil, nil },
			"late": func(context.Context, json.RawMessage) (any, error) { late = true; return nil, nil },
		})
		for range 64 {
			b.post(t, oslo.Request{Method: "hang", Version: "3.0"}, 0)
		}
		b.post(t, oslo.Request{Method: "late", Version: "3.0"}, time.Second)
		<-time.After(time.Second)
		close(release)
		synctest.Wait()
		if late {
			t.Error("a request was carried out after it had expired")
		}
		if !b.logged.has("expired request dropped", "method=late") {
			t.Error("that it was dropped is not in the log")
		}
	})
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, map[string]oslo.Handler{"slow": func(context.Context, json.RawMessage) (any, error) {
			<-time.After(7 * time.Second)
			return "done", nil
		}})
		replies := b.replies(t, "q")
		for _, tc := range []struct {
			asked time.Duration
			signs int
		}{{0, 0}, {time.Second, 0}, {4 * time.Second, 3}} {
			b.post(t, oslo.Request{Method: "slow", Version: "3.0", MsgID: "i", ReplyTo: "q", KeepAlive: tc.asked}, 0)
			signs, start := 0, time.Now()
			for r := range replies {
				if r.Ending {
					break
				}
				signs++
				if want := time.Duration(signs) * tc.asked / 2; time.Since(start) != want || string(r.Result) != "null" {
					t.Errorf("sign of life %d came after %s with result %s, want %s and null", signs, time.Since(start), r.Result, want)
				}
			}
			if signs != tc.signs {
				t.Errorf("a caller that asked for %s got %d signs of life, want %d", tc.asked, signs, tc.signs)
			}
		}
	})
}

func TestReplyToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, map[string]oslo.Handler{"echo": echo})
		b.post(t, oslo.Request{Method: "echo", Version: "3.0", MsgID: "i", ReplyTo: "gone"}, 0)
		<-time.After(11 * time.Second)
		if !b.logged.has("level=WARN", "reply could not be sent", "queue=gone") {
			t.Error("a reply without a queue is not in the log, or still being tried")
		}
	})
}

// TestReplyToSomebodyWhoIsLate checks a reply after a broker's restart, which deletes
// reply queues until their callers are back.
func TestReplyToSomebodyWhoIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, map[string]oslo.Handler{"echo": echo})
		b.post(t, oslo.Request{Method: "echo", Version: "3.0", MsgID: "i", ReplyTo: "q"}, 0)
		<-time.After(5 * time.Second)
		if r := <-b.replies(t, "q"); r.MsgID != "i" || !r.Ending {
			t.Errorf("got reply %+v", r)
		}
	})
}

// TestReplyToNobodyWhileClosing checks that a closing server does not wait for a caller
// that may never come back.
func TestReplyToNobodyWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		s := b.serve(t, map[string]oslo.Handler{"echo": echo})
		b.post(t, oslo.Request{Method: "echo", Version: "3.0", MsgID: "i", ReplyTo: "gone"}, 0)
		synctest.Wait()
		start := time.Now()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("closing took %s", took)
		}
	})
}

func TestServerCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		release := make(chan struct{})
		s := b.serve(t, map[string]oslo.Handler{"hang": func(ctx context.Context, _ json.RawMessage) (any, error) {
			select {
			case <-release:
				return "done", nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}})
		replies := b.replies(t, "q")
		b.post(t, oslo.Request{Method: "hang", Version: "3.0", MsgID: "i", ReplyTo: "q"}, 0)
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- s.Close(t.Context()) }()
		synctest.Wait()
		if n, err := b.Consumers(t.Context(), oslo.ToAny("topic")); n != 0 || err != nil {
			t.Errorf("a server that closes still listens: %d, %v", n, err)
		}
		if len(closed) > 0 {
			t.Error("the server closed while it carried out a request")
		}
		close(release)
		if r := <-replies; string(r.Result) != `"done"` {
			t.Errorf("got reply %+v", r)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestServerCloseEndsWhatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var ended atomic.Int32
		s := b.serve(t, map[string]oslo.Handler{"hang": func(ctx context.Context, _ json.RawMessage) (any, error) {
			<-ctx.Done()
			ended.Add(1)
			return nil, context.Cause(ctx)
		}})
		b.post(t, oslo.Request{Method: "hang", Version: "3.0"}, 0)
		for range 100 { // more than there are slots
			b.post(t, oslo.Request{Method: "hang", Version: "3.0"}, 0)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); cinder.KindOf(err) != cinder.KindTimeout {
			t.Errorf("got error %v, want one of kind %s", err, cinder.KindTimeout)
		}
		synctest.Wait()
		if n := ended.Load(); n != 64 {
			t.Errorf("%d requests were ended, want 64", n)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("close again: %v", err)
		}
	})
}

// halting is a transport that fails every Listen after the first.
type halting struct {
	oslo.Transport
	listened bool
}

func (h *halting) Listen(ctx context.Context, on []oslo.Destination, handle func(context.Context, oslo.Message)) (oslo.Listener, error) {
	if h.listened {
		return nil, cinder.Errorf(cinder.KindUnavailable, "away")
	}
	h.listened = true
	return h.Transport.Listen(ctx, on, handle)
}

func TestServeListensToAllOrNothing(t *testing.T) {
	b := newBus(t)
	_, err := oslo.Serve(t.Context(), oslo.ServerOptions{
		Transport: &halting{Transport: b.Transport}, Log: b.log,
		Targets: []oslo.Target{service(), {Topic: "second", Server: "server"}},
	})
	if cinder.KindOf(err) != cinder.KindUnavailable || !strings.Contains(fmt.Sprint(err), "second") {
		t.Errorf("got error %v, want one of kind %s that names the topic", err, cinder.KindUnavailable)
	}
	if n, err := b.Consumers(t.Context(), oslo.ToAny("topic")); n != 0 || err != nil {
		t.Errorf("%d still listen: %v", n, err)
	}
}

func TestCompatible(t *testing.T) {
	for _, tc := range []struct {
		own, asked string
		want       bool
	}{
		{"3.12", "3.12", true},
		{"3.12", "3.0", true},
		{"3.12", "3.9", true},
		{"3.12", "3.13", false},
		{"3.12", "2.1", false},
		{"3.12", "4.0", false},
		{"3.12", "3", false},
		{"3.12", "3.-1", false},
		{"3.12", "3.+1", false},
		{"3.12", "", false},
		{"", "3.12", false},
	} {
		if got := oslo.Compatible(tc.own, tc.asked); got != tc.want {
			t.Errorf("Compatible(%q, %q): got %t, want %t", tc.own, tc.asked, got, tc.want)
		}
	}
}

package oslo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

func TestCall(t *testing.T) {
	b := newBus(t)
	caller := cinder.Caller{UserID: "u", ProjectID: "p", Roles: []string{"admin"}, IsAdmin: true, RequestID: "req-1"}
	var got cinder.Caller
	b.serve(t, map[string]oslo.Handler{"echo": func(ctx context.Context, args json.RawMessage) (any, error) {
		got = cinder.CallerFrom(ctx)
		return echo(ctx, args)
	}})
	result, err := b.call(cinder.WithCaller(t.Context(), caller), "echo", map[string]any{"a": []int{1, 2}})
	if err != nil || result != `{"a":[1,2]}` {
		t.Errorf("got %s, %v", result, err)
	}
	if diff := cmp.Diff(caller, got); diff != "" {
		t.Errorf("the caller (-sent +received):\n%s", diff)
	}
}

func TestCallsGetTheirOwnAnswers(t *testing.T) {
	b := newBus(t)
	b.serve(t, map[string]oslo.Handler{"echo": echo})
	var calling sync.WaitGroup
	for i := range 300 {
		calling.Go(func() {
			want := fmt.Sprintf(`{"i":%d}`, i)
			if got, err := b.call(t.Context(), "echo", map[string]int{"i": i}); err != nil || got != want {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		})
	}
	calling.Wait()
}

// TestOddReplies checks unusual replies, which Cinder's callers accept
// (doc/cinder/wire.md#replies).
func TestOddReplies(t *testing.T) {
	const life = `{"result": null, "failure": null, "ending": false, "_msg_id": "ID"}`
	for _, tc := range []struct {
		name    string
		replies []string
		want    string
		kind    cinder.Kind // of the error, when want is empty
	}{
		{"in one", []string{`{"result": 7, "failure": null, "ending": true, "_msg_id": "ID"}`}, "7", 0},
		{
			"the result before the end",
			[]string{
				`{"result": 7, "failure": null, "ending": false, "_msg_id": "ID"}`,
				`{"result": null, "failure": null, "ending": true, "_msg_id": "ID"}`,
			},
			"7", 0,
		},
		{"signs of life", []string{life, life, `{"result": 7, "failure": null, "ending": true, "_msg_id": "ID"}`}, "7", 0},
		{"no result", []string{`{"failure": null, "ending": true, "_msg_id": "ID"}`}, "null", 0},
		{"no end", []string{`{"result": 7, "failure": null, "_msg_id": "ID"}`}, "", cinder.KindTimeout},
		{"no word of failure", []string{`{"result": 7, "ending": true, "_msg_id": "ID"}`}, "", cinder.KindRemote},
		{"a failure", []string{`{"result": null, "failure": "{\"message\": \"nope\"}", "ending": true, "_msg_id": "ID"}`}, "", cinder.KindRemote},
		{
			"somebody else's",
			[]string{`{"result": 6, "failure": null, "ending": true, "_msg_id": "other"}`, "rubbish"},
			"", cinder.KindTimeout,
		},
		{
			"twice",
			[]string{
				`{"result": 7, "failure": null, "ending": true, "_msg_id": "ID"}`,
				`{"result": 8, "failure": null, "ending": true, "_msg_id": "ID"}`,
			},
			"7", 0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				b.answers(t, tc.replies...)
				got, err := b.call(t.Context(), "m", nil)
				synctest.Wait() // for replies after the end
				if got != tc.want {
					t.Errorf("got %q, want %q (%v)", got, tc.want, err)
				}
				if tc.want == "" && cinder.KindOf(err) != tc.kind {
					t.Errorf("got error %v, want one of kind %s", err, tc.kind)
				}
			})
		})
	}
}

func TestCallTimesOut(t *testing.T) {
	for _, tc := range []struct {
		name     string
		deadline time.Duration // of the context; 0 for none
		want     time.Duration
	}{
		{"after the response timeout", 0, timeout},
		{"when the context says so", time.Second, time.Second},
		{"later, when the context says so", time.Minute, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				ctx := t.Context()
				if tc.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					defer cancel()
				}
				began := false
				b.serve(t, map[string]oslo.Handler{"hang": func(ctx context.Context, _ json.RawMessage) (any, error) {
					began = true
					<-ctx.Done() // the caller stops waiting
					return nil, context.Cause(ctx)
				}})
				start := time.Now()
				_, err := b.call(ctx, "hang", nil)
				if cinder.KindOf(err) != cinder.KindTimeout {
					t.Errorf("got error %v, want one of kind %s", err, cinder.KindTimeout)
				}
				if took := time.Since(start); took != tc.want {
					t.Errorf("it took %s, want %s", took, tc.want)
				}
				synctest.Wait()
				if !began || !b.logged.has("request failed", "hang") {
					t.Error("the service did not begin, or did not end when its caller gave up")
				}
			})
		})
	}
}

// TestCallExpiresInTheQueue checks that a call whose caller has given up is not carried
// out when the service comes back.
func TestCallExpiresInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		wake := make(chan struct{})
		var methods []string
		_, err := b.Listen(t.Context(), service().Destinations(), func(_ context.Context, m oslo.Message) {
			r, err := oslo.DecodeRequest(m.Body)
			if err != nil {
				t.Error(err)
			}
			methods = append(methods, r.Method)
			<-wake // hung, like a stopped process
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"first", "second"} {
			if _, err := b.call(t.Context(), method, nil); cinder.KindOf(err) != cinder.KindTimeout {
				t.Errorf("%s: got error %v, want one of kind %s", method, err, cinder.KindTimeout)
			}
		}
		if err := b.client.Cast(t.Context(), oslo.ToAny("topic"), "kept", "3.0", nil, 0); err != nil {
			t.Error(err)
		}
		if err := b.client.Cast(t.Context(), oslo.ToAny("topic"), "short", "3.0", nil, time.Second); err != nil {
			t.Error(err)
		}
		<-time.After(2 * time.Second)
		close(wake)
		synctest.Wait()
		if diff := cmp.Diff([]string{"first", "kept"}, methods); diff != "" {
			t.Errorf("what reached the service (-want +got):\n%s", diff)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	for _, abandoned := range []bool{false, true} {
		t.Run(fmt.Sprintf("abandoned queue %t", abandoned), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				if abandoned {
					if err := b.serve(t, nil).Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				start := time.Now()
				_, err := b.call(t.Context(), "m", nil)
				if cinder.KindOf(err) != cinder.KindUndeliverable {
					t.Errorf("call: got error %v, want one of kind %s", err, cinder.KindUndeliverable)
				}
				err = b.client.Cast(t.Context(), oslo.ToServer("topic", "server"), "m", "3.0", nil, 0)
				if cinder.KindOf(err) != cinder.KindUndeliverable {
					t.Errorf("cast: got error %v, want one of kind %s", err, cinder.KindUndeliverable)
				}
				if err := b.client.Fanout(t.Context(), "topic", "m", "3.0", nil); err != nil {
					t.Errorf("fanout: %v", err)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("it took %s to find that nobody listens", took)
				}
				_, err = b.client.Ask(t.Context(), oslo.ToServer("topic", "server"), "m", "3.0", nil)
				if cinder.KindOf(err) != cinder.KindUndeliverable {
					t.Errorf("ask: got error %v, want one of kind %s", err, cinder.KindUndeliverable)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %s to find that nobody listens to a question", took)
				}
			})
		})
	}
}

func TestCastAndFanoutReachTheService(t *testing.T) {
	b := newBus(t)
	got := make(chan string, 2)
	b.serve(t, map[string]oslo.Handler{"m": oslo.Method(func(_ context.Context, args struct{ A string }) (any, error) {
		got <- args.A
		return nil, nil
	})})
	if err := b.client.Cast(t.Context(), oslo.ToServer("topic", "server"), "m", "3.5", map[string]string{"a": "cast"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := b.client.Fanout(t.Context(), "topic", "m", "3.5", map[string]string{"a": "fanout"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"cast": true, "fanout": true}, map[string]bool{<-got: true, <-got: true}); diff != "" {
		t.Errorf("what arrived (-want +got):\n%s", diff)
	}
}

func TestClosedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.answers(t) // never
		failed := make(chan error, 1)
		go func() {
			_, err := b.call(t.Context(), "m", nil)
			failed <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := b.client.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-failed; cinder.KindOf(err) != cinder.KindTimeout {
			t.Errorf("a call under way: got error %v, want one of kind %s: it may be carried out", err, cinder.KindTimeout)
		}
		if _, err := b.call(t.Context(), "m", nil); cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("a call afterwards: got error %v, want one of kind %s", err, cinder.KindUnavailable)
		}
	})
}

func TestClosedBus(t *testing.T) {
	b := newBus(t)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := b.call(t.Context(), "m", nil)
	for what, err := range map[string]error{
		"call":   err,
		"cast":   b.client.Cast(t.Context(), oslo.ToAny("topic"), "m", "3.0", nil, 0),
		"fanout": b.client.Fanout(t.Context(), "topic", "m", "3.0", nil),
	} {
		if cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("%s: got error %v, want one of kind %s", what, err, cinder.KindUnavailable)
		}
	}
	_, err = oslo.Serve(t.Context(), oslo.ServerOptions{Transport: b.Transport, Targets: []oslo.Target{service()}, Log: b.log})
	if cinder.KindOf(err) != cinder.KindUnavailable {
		t.Errorf("serve: got error %v, want one of kind %s", err, cinder.KindUnavailable)
	}
}

func TestArgumentsThatAreNoJSON(t *testing.T) {
	b := newBus(t)
	b.serve(t, nil)
	if _, err := b.call(t.Context(), "m", make(chan int)); cinder.KindOf(err) != cinder.KindInternal {
		t.Errorf("got error %v, want one of kind %s", err, cinder.KindInternal)
	}
}

// slow is a transport whose Listen takes time, and fails at first.
type slow struct {
	oslo.Transport
	gate chan error // one for each attempt to listen for replies

	mu      sync.Mutex // guards listens
	listens []string
}

func (s *slow) Listen(ctx context.Context, on []oslo.Destination, handle func(context.Context, oslo.Message)) (oslo.Listener, error) {
	s.mu.Lock()
	s.listens = append(s.listens, on[0].Name)
	s.mu.Unlock()
	if err := <-s.gate; err != nil {
		return nil, err
	}
	return s.Transport.Listen(ctx, on, handle)
}

func TestCallsShareOneReplyQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, map[string]oslo.Handler{"echo": echo})
		transport := &slow{Transport: b.Transport, gate: make(chan error)}
		client := b.newClient(transport)
		call := func(ctx context.Context) error {
			_, _, err := client.Call(ctx, oslo.ToAny("topic"), "echo", "3.0", nil)
			return err
		}
		results := make(chan error, 10)
		for range cap(results) {
			go func() { results <- call(t.Context()) }()
		}
		synctest.Wait() // one listens, the others wait for it
		transport.gate <- cinder.Errorf(cinder.KindUnavailable, "not yet")
		if err := <-results; cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("the first: got error %v, want one of kind %s", err, cinder.KindUnavailable)
		}
		synctest.Wait() // the next one tries, and one gives up meanwhile
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := call(ctx); cinder.KindOf(err) != cinder.KindTimeout {
			t.Errorf("the impatient: got error %v, want one of kind %s", err, cinder.KindTimeout)
		}
		transport.gate <- nil
		for range cap(results) - 1 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(transport.listens); n != 2 || transport.listens[0] != transport.listens[1] {
			t.Errorf("listened to %v, want one queue, twice", transport.listens)
		}
		if name := transport.listens[0]; !strings.HasPrefix(name, "reply_") || len(name) != len("reply_")+32 {
			t.Errorf("the reply queue is called %s", name)
		}
	})
}

func TestCloseWhileACallStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, map[string]oslo.Handler{"echo": echo})
		transport := &slow{Transport: b.Transport, gate: make(chan error)}
		client := b.newClient(transport)
		results := make(chan error, 2)
		for range cap(results) {
			go func() {
				_, _, err := client.Call(t.Context(), oslo.ToAny("topic"), "echo", "3.0", nil)
				results <- err
			}()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.Close(ctx); cinder.KindOf(err) != cinder.KindTimeout {
			t.Errorf("close: got error %v, want one of kind %s", err, cinder.KindTimeout)
		}
		transport.gate <- errors.New("refused")
		for range cap(results) {
			if err := <-results; err == nil {
				t.Error("a call came through after the client was closed")
			}
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

package oslo_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
)

// doubtful is a bus on which every message may have been delivered to another listener
// too.
type doubtful struct{ *memory.Transport }

func (d doubtful) Listen(ctx context.Context, on []oslo.Destination, handle func(context.Context, oslo.Message)) (oslo.Listener, error) {
	return d.Transport.Listen(ctx, on, func(ctx context.Context, m oslo.Message) {
		m.Sure = func() error { return errors.New("another has it") }
		handle(ctx, m)
	})
}

func TestWhatOthersMayHaveIsNotCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		var done []string
		did := func(name string) oslo.Handler {
			return func(context.Context, json.RawMessage) (any, error) {
				done = append(done, name)
				return nil, nil
			}
		}
		s, err := oslo.Serve(t.Context(), oslo.ServerOptions{
			Transport: doubtful{b.Transport}, Targets: []oslo.Target{service()}, Log: b.log,
			Endpoint: oslo.Endpoint{
				Version: "3.5", Methods: map[string]oslo.Handler{"change": did("change"), "ask": did("ask")},
				Questions: map[string]bool{"ask": true},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"change", "ask"} {
			b.post(t, oslo.Request{Method: method, Version: "3.0", UniqueID: method}, 0)
			synctest.Wait()
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"ask"}, done); diff != "" {
			t.Errorf("what was carried out (-want +got):\n%s", diff)
		}
		if !b.logged.has("request dropped", "method=change", "another has it") {
			t.Error("that a request was dropped is not in the log")
		}
	})
}

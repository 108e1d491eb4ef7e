package oslo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const timeout = 5 * time.Second // the response timeout of the clients under test

// records are the log records.
type records struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *records) has(words ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(r.text.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return true
		}
	}
	return false
}

// bus is an in-process bus with a client, and their logs and the servers'.
type bus struct {
	*memory.Transport
	client *oslo.Client
	log    *slog.Logger
	logged *records
}

func newBus(t *testing.T) *bus {
	t.Helper()
	b := &bus{Transport: memory.New(), logged: &records{}}
	b.log = slog.New(slog.NewTextHandler(b.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.client = b.newClient(b.Transport)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := b.client.Close(ctx); err != nil {
			t.Errorf("close the client: %v", err)
		}
		if err := b.Close(ctx); err != nil {
			t.Errorf("close the bus: %v", err)
		}
	})
	return b
}

func (b *bus) newClient(t oslo.Transport) *oslo.Client {
	return oslo.NewClient(oslo.ClientOptions{Transport: t, ResponseTimeout: timeout, Log: b.log})
}

// service is the target of the servers under test.
func service() oslo.Target { return oslo.Target{Topic: "topic", Server: "server"} }

// serve starts a server of version 3.5 with these methods.
func (b *bus) serve(t *testing.T, methods map[string]oslo.Handler) *oslo.Server {
	t.Helper()
	s, err := oslo.Serve(t.Context(), oslo.ServerOptions{
		Transport: b.Transport, Targets: []oslo.Target{service()}, Log: b.log,
		Endpoint: oslo.Endpoint{Version: "3.5", Methods: methods},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close the server: %v", err)
		}
	})
	return s
}

// post sends a request as is.
func (b *bus) post(t *testing.T, r oslo.Request, expiry time.Duration) {
	t.Helper()
	body, err := oslo.EncodeRequest(r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.postBody(t, body, expiry)
}

func (b *bus) postBody(t *testing.T, body []byte, expiry time.Duration) {
	t.Helper()
	if err := b.Send(t.Context(), oslo.ToAny("topic"), oslo.Message{Body: body, Expiry: expiry}); err != nil {
		t.Fatal(err)
	}
}

// replies listens on a reply queue.
func (b *bus) replies(t *testing.T, name string) chan oslo.Reply {
	t.Helper()
	got := make(chan oslo.Reply, 100)
	_, err := b.Listen(t.Context(), []oslo.Destination{oslo.ToReplies(name)}, func(_ context.Context, m oslo.Message) {
		r, err := oslo.DecodeReply(m.Body)
		if err != nil {
			t.Errorf("a reply: %v", err)
		}
		r.UniqueID = "" // differs each time
		got <- r
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// answers replies to calls in place of a service, with bodies in which ID stands for
// the call's id.
func (b *bus) answers(t *testing.T, bodies ...string) {
	t.Helper()
	_, err := b.Listen(t.Context(), service().Destinations(), func(ctx context.Context, m oslo.Message) {
		r, err := oslo.DecodeRequest(m.Body)
		if err != nil {
			t.Errorf("a request: %v", err)
		}
		for _, body := range bodies {
			body = strings.ReplaceAll(body, "ID", r.MsgID)
			if err := b.Send(ctx, oslo.ToReplies(r.ReplyTo), oslo.Message{Body: []byte(body)}); err != nil {
				t.Errorf("answer: %v", err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bus) call(ctx context.Context, method string, args any) (string, error) {
	result, _, err := b.client.Call(ctx, oslo.ToAny("topic"), method, "3.0", args)
	return string(result), err
}

// echo returns its arguments.
func echo(_ context.Context, args json.RawMessage) (any, error) { return args, nil }

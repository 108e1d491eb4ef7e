package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// Event is a change that the server reports.
type Event struct {
	ID   string // "" except for the last of several simultaneous ones
	Kind string // service or operation
	Data json.RawMessage
}

const (
	// eventsPause is the pause before a broken stream is reopened.
	eventsPause = 2 * time.Second
	// eventsAttempts bounds consecutive failures to do so.
	eventsAttempts = 30
	// maxEvent bounds one event, in bytes.
	maxEvent = 1 << 20
	// eventsSilence bounds the silence on a stream: the server sends a keep-alive every
	// 15 s.
	eventsSilence = time.Minute
)

// Events calls handle for every event until ctx ends or handle fails. It reopens a broken
// stream and continues where it was, without missing changes. ended, which may be nil,
// is called with the server's reason when it ends a stream that is then reopened.
// Events fails with the server's error when the server refuses it, and with
// KindUnavailable when the server has been away for too long.
func (c *Client) Events(ctx context.Context, handle func(Event) error, ended func(error)) error {
	last, failures := "", 0
	for {
		began := last
		err := c.stream(ctx, &last, handle)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !c.reopens(err):
			return err
		case last != began:
			failures = 0
		default:
			failures++
		}
		if reason, ok := errors.AsType[*endedError](err); ok && ended != nil {
			ended(reason.why)
		}
		if failures >= eventsAttempts {
			return cinder.Wrap(cinder.KindUnavailable, err, "%s does not send events any more", c.root.Host)
		}
		timer := time.NewTimer(eventsPause + rand.N(eventsPause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// errBroken is the end of a stream without a reason.
var errBroken = errors.New("the stream of events has ended")

// endedError is the end of a stream with the server's reason.
type endedError struct{ why error }

func (e *endedError) Error() string { return e.why.Error() }
func (e *endedError) Unwrap() error { return e.why }

// reopens reports whether to reopen a stream after err: not when the server would
// refuse it. A stream that ended with its token needs another token.
func (c *Client) reopens(err error) bool {
	kind := cinder.KindOf(err)
	if _, ok := errors.AsType[*endedError](err); ok && kind == cinder.KindUnauthenticated {
		return c.o.Renew != nil
	}
	return errors.Is(err, errBroken) || kind == cinder.KindUnavailable || kind == cinder.KindTimeout
}

// stream opens the stream once. It starts after the event with id last, and updates
// last.
func (c *Client) stream(ctx context.Context, last *string, handle func(Event) error) error {
	v, err := c.version(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(eventsSilence, cancel)
	defer silence.Stop()
	resp, err := c.send(func() (*http.Request, error) {
		req, err := c.request(ctx, http.MethodGet, c.root.JoinPath("stoker/v1/events"), v, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "text/event-stream")
		if *last != "" {
			req.Header.Set("Last-Event-ID", *last)
		}
		return req, nil
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxEvent))
		if err != nil {
			return c.unreachable(ctx, err)
		}
		return fault(resp.StatusCode, answer)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	var e Event
	for lines.Scan() {
		silence.Reset(eventsSilence)
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			e.ID = value
		case "event":
			e.Kind = value
		case "data":
			e.Data = json.RawMessage(value)
		case "":
			if err := deliver(e, handle); err != nil {
				return err
			}
			if e.ID != "" {
				*last = e.ID
			}
			e = Event{}
		}
	}
	return errBroken
}

// deliver passes an event to handle, unless it is the one that starts the stream. For
// the one that ends the stream it fails with an endedError.
func deliver(e Event, handle func(Event) error) error {
	if e.Kind == "end" {
		var end struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal(e.Data, &end); err != nil {
			return errBroken
		}
		return &endedError{cinder.Errorf(kindOf(end.Code), "%s", end.Message)}
	}
	if e.Kind != "service" && e.Kind != "operation" || !json.Valid(e.Data) {
		return nil
	}
	return handle(e)
}

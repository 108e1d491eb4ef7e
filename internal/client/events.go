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

// Event is something that has changed.
type Event struct {
	ID   string // "" unless it is the last of several at once
	Kind string // service or operation
	Data json.RawMessage
}

const (
	// eventsPause is the pause before a stream that broke is opened again.
	eventsPause = 2 * time.Second
	// eventsAttempts is how often in a row that may fail.
	eventsAttempts = 30
	// maxEvent bounds one event.
	maxEvent = 1 << 20
	// eventsSilence is how long a stream may be silent: the server shows every 15 s
	// that it lives.
	eventsSilence = time.Minute
)

// Events calls heard for every event, until ctx ends or heard fails. A stream that
// breaks is opened again, and goes on where it was; what changed meanwhile is
// heard of. When the server says why it ends a stream that is opened again, ended
// is told; it may be nil. It fails with the server's error when that does not want
// us, and with KindUnavailable when it has been away for too long.
func (c *Client) Events(ctx context.Context, heard func(Event) error, ended func(error)) error {
	last, failures := "", 0
	for {
		began := last
		err := c.stream(ctx, &last, heard)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !c.again(err):
			return err
		case last != began:
			failures = 0
		default:
			failures++
		}
		if told, ok := errors.AsType[*endedError](err); ok && ended != nil {
			ended(told.why)
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

// errBroken is a stream that has ended.
var errBroken = errors.New("the stream of events has ended")

// endedError is the end of a stream, and why, as the server says.
type endedError struct{ why error }

func (e *endedError) Error() string { return e.why.Error() }
func (e *endedError) Unwrap() error { return e.why }

// again says whether a stream is opened again: not where a new one would be
// refused. A stream that was let in and is over because its token is, needs another.
func (c *Client) again(err error) bool {
	kind := cinder.KindOf(err)
	if _, ok := errors.AsType[*endedError](err); ok && kind == cinder.KindUnauthenticated {
		return c.o.Renew != nil
	}
	return errors.Is(err, errBroken) || kind == cinder.KindUnavailable || kind == cinder.KindTimeout
}

// stream opens the stream once. last is the id to go on from, and follows.
func (c *Client) stream(ctx context.Context, last *string, heard func(Event) error) error {
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
			if err := tell(e, heard); err != nil {
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

// tell passes an event on, unless it is only the beginning of the stream. It
// fails with an endedError when it is the end.
func tell(e Event, heard func(Event) error) error {
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
	return heard(e)
}

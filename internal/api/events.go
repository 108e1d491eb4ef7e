package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

const (
	ruleEvents = "stoker:events:index"

	// eventsBeat is how often a stream without events shows that it lives.
	eventsBeat = 15 * time.Second
	// eventsCheck is the longest time between two looks whether the client of a
	// stream is still welcome, and eventsCheckPause the shortest.
	eventsCheck      = 15 * time.Second
	eventsCheckPause = time.Second
	// eventsPatience is how long a client may take to read.
	eventsPatience = 10 * time.Second

	mediaEvents = "text/event-stream"

	textStopping = "The service is stopping."
	textBehind   = "The stream is broken off: go on from the last id."
)

func eventRoutes() []route {
	return []route{{
		method: http.MethodGet, pattern: ownRoot + "/events", own: true, policy: ruleEvents, serve: (*Server).events,
		summary: "Follow what changes, as server-sent events", ok: http.StatusOK, shows: "events",
	}}
}

// serviceEvent is a service in an event.
type serviceEvent struct {
	Time              timeView `json:"at"`
	Binary            string   `json:"binary"`
	Host              string   `json:"host"`
	Zone              *string  `json:"zone"`
	Cluster           *string  `json:"cluster"`
	State             string   `json:"state"`
	Status            string   `json:"status"`
	DisabledReason    *string  `json:"disabled_reason"`
	Frozen            bool     `json:"frozen"`
	ReplicationStatus *string  `json:"replication_status"`
	ActiveBackendID   *string  `json:"active_backend_id"`
	Removed           bool     `json:"removed"`
	Changed           []string `json:"changed"`
}

func (s *Server) events(rq *request) (*answer, error) {
	last := rq.http.Header.Get("Last-Event-ID")
	if ok, _ := regexp.MatchString(`^\d{1,16}-[0-9a-f]{16}$`, last); last != "" && !ok {
		return nil, invalidInput("Last-Event-ID is no id of an event")
	}
	leave, err := s.streams.take(rq.who())
	if err != nil {
		return nil, err
	}
	l, err := s.o.Control.Listen(rq.ctx, last)
	if err != nil {
		leave()
		return nil, err
	}
	return &answer{
		status: http.StatusOK,
		header: http.Header{"Content-Type": {mediaEvents}, "Cache-Control": {"no-store"}, "X-Accel-Buffering": {"no"}},
		stream: func(ctx context.Context, w http.ResponseWriter) error {
			defer leave()
			defer l.Close()
			return s.streamEvents(ctx, w, rq, l)
		},
	}, nil
}

// streamEvents writes events until the client goes or is too slow, the process
// ends, or a new request of the client would be refused. It says why it ends.
func (s *Server) streamEvents(ctx context.Context, w http.ResponseWriter, rq *request, l *control.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	write := eventWriter(w)
	first := fmt.Appendf(nil, "retry: 2000\nid: %s\nevent: ready\ndata: {}\n\n", l.ID)
	if l.Missed != nil { // the id comes with the last of what was missed
		first = appendEvents([]byte("retry: 2000\n\n"), l.Missed)
	}
	if err := write(first); err != nil {
		return err
	}
	beat := time.NewTicker(eventsBeat)
	defer beat.Stop()
	check := time.NewTimer(untilCheck(rq.caller))
	defer check.Stop()
	verdicts := make(chan verdict, 1)
	var asking sync.WaitGroup
	defer func() { cancel(); asking.Wait() }()
	news := l.Events
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.ending:
			return write(appendEnd(http.StatusServiceUnavailable, textStopping))
		case <-beat.C:
			if err := write([]byte(": \n\n")); err != nil {
				return err
			}
		case <-check.C:
			news = nil // they wait for the verdict
			asking.Go(func() { verdicts <- s.stillWelcome(ctx, rq) })
		case v := <-verdicts:
			if v.err != nil {
				return write(s.endFor(rq, v.err))
			}
			news = l.Events
			check.Reset(untilCheck(v.caller))
		case events, more := <-news:
			if !more {
				return write(appendEnd(http.StatusServiceUnavailable, textBehind))
			}
			if err := write(appendEvents(nil, events)); err != nil {
				return err
			}
		}
	}
}

// eventWriter writes to a client that takes it within eventsPatience.
func eventWriter(w http.ResponseWriter) func([]byte) error {
	out := http.NewResponseController(w)
	return func(b []byte) error {
		err := out.SetWriteDeadline(time.Now().Add(eventsPatience))
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		return out.Flush()
	}
}

// verdict is what a new request would get: who sends it, or why it is refused.
type verdict struct {
	caller cinder.Caller
	err    error
}

// untilCheck is when a stream asks again whether its client is welcome: when a
// new request would have Keystone asked, and now and then because the policy may
// have changed.
func untilCheck(c cinder.Caller) time.Duration {
	if c.Until.IsZero() {
		return eventsCheck
	}
	return min(max(time.Until(c.Until), eventsCheckPause), eventsCheck)
}

// stillWelcome asks what a new request of the client would get.
func (s *Server) stillWelcome(ctx context.Context, rq *request) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v.err = panicked(p)
		}
	}()
	v.caller, v.err = s.o.Auth.Authenticate(rq.http.WithContext(ctx))
	if v.err == nil {
		v.caller.RequestID = rq.caller.RequestID
		v.err = s.o.Policy.Allow(ctx, v.caller, rq.route.policy)
	}
	return v
}

// endFor is the last event of a stream whose client is not welcome any more.
func (s *Server) endFor(rq *request, err error) []byte {
	status, text := s.explain(rq, err)
	s.logFault(rq, status, err)
	return appendEnd(status, text)
}

func appendEnd(status int, text string) []byte {
	data, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{status, text})
	if err != nil { // cannot be: a number and a text
		data = []byte("{}")
	}
	return fmt.Appendf(nil, "event: end\ndata: %s\n\n", data)
}

func appendEvents(b []byte, events []control.Event) []byte {
	for i := range events {
		b = appendEvent(b, &events[i])
	}
	return b
}

func appendEvent(b []byte, e *control.Event) []byte {
	var data any
	name := "service"
	if e.Operation != nil {
		name, data = "operation", viewOperation(e.Operation, e.At)
	} else {
		data = viewServiceEvent(e)
	}
	if e.ID != "" {
		b = fmt.Appendf(b, "id: %s\n", e.ID)
	}
	b = fmt.Appendf(b, "event: %s\ndata: ", name)
	text, err := json.Marshal(data)
	if err != nil { // cannot be: texts, numbers and times
		text = []byte("{}")
	}
	return append(append(b, bytes.ReplaceAll(text, []byte("\n"), []byte(" "))...), "\n\n"...)
}

func viewServiceEvent(e *control.Event) serviceEvent {
	s := e.Service
	v := serviceEvent{
		Time: timeView(e.At), Binary: s.Binary, Host: s.Host, Zone: nonEmpty(s.Zone), Cluster: nonEmpty(s.Cluster),
		State: "down", Status: "enabled", DisabledReason: s.DisabledReason, Frozen: s.Frozen,
		ReplicationStatus: nonEmpty(string(s.ReplicationStatus)), ActiveBackendID: s.ActiveBackendID, Removed: e.Removed, Changed: e.Changed,
	}
	if e.Up {
		v.State = "up"
	}
	if s.Disabled {
		v.Status = "disabled"
	}
	return v
}

// End ends the streams: a server that shuts down would wait for them for ever.
func (s *Server) End() { s.end() }

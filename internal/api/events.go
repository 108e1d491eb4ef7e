package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"stoker/internal/control"
)

const (
	ruleEvents = "stoker:events:index"

	// eventsBeat is how often a stream without events shows that it lives.
	eventsBeat = 15 * time.Second
	// eventsLast is how long a stream lasts at most: who comes back shows a valid token.
	eventsLast = time.Hour
	// eventsPatience is how long a client may take to read.
	eventsPatience = 10 * time.Second

	mediaEvents = "text/event-stream"
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
	l, err := s.o.Control.Listen(rq.ctx, last)
	if err != nil {
		return nil, err
	}
	return &answer{
		status: http.StatusOK,
		header: http.Header{"Content-Type": {mediaEvents}, "Cache-Control": {"no-store"}, "X-Accel-Buffering": {"no"}},
		stream: func(ctx context.Context, w http.ResponseWriter) error {
			defer l.Close()
			return s.streamEvents(ctx, w, l)
		},
	}, nil
}

// streamEvents writes events until the client goes, is too slow or has listened
// long enough, or the process ends.
func (s *Server) streamEvents(ctx context.Context, w http.ResponseWriter, l *control.Listener) error {
	ctx, cancel := context.WithTimeout(ctx, eventsLast)
	defer cancel()
	out := http.NewResponseController(w)
	write := func(b []byte) error {
		err := out.SetWriteDeadline(time.Now().Add(eventsPatience))
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		return out.Flush()
	}
	first := fmt.Appendf(nil, "retry: 2000\nid: %s\nevent: ready\ndata: {}\n\n", l.ID)
	if l.Missed != nil { // the id comes with the last of what was missed
		first = appendEvents([]byte("retry: 2000\n\n"), l.Missed)
	}
	if err := write(first); err != nil {
		return err
	}
	beat := time.NewTicker(eventsBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.ending:
			return nil
		case <-beat.C:
			if err := write([]byte(": \n\n")); err != nil {
				return err
			}
		case events, more := <-l.Events:
			if !more {
				return nil
			}
			if err := write(appendEvents(nil, events)); err != nil {
				return err
			}
		}
	}
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

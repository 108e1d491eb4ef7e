package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// healthPath is where load balancers ask whether the process answers.
const healthPath = "/healthcheck"

// healthTimeout bounds a look at the parts.
const healthTimeout = 5 * time.Second

// Part is how something does that the API needs.
type Part struct {
	Name   string
	OK     bool
	Reason string // for operators who watch: no address, no path, no error's text
}

// health says that the process answers, in the form that the client asks for: a
// word, or JSON. Asked for details, it says how the parts do.
func (s *Server) health(rq *request) (*answer, error) {
	if s.o.Health != nil && rq.http.URL.Query().Has("detailed") {
		return s.details(rq)
	}
	switch {
	case rq.http.Method == http.MethodHead:
		return &answer{status: http.StatusNoContent, header: http.Header{"Content-Type": nil}}, nil
	case strings.HasPrefix(rq.http.Header.Get("Accept"), mediaJSON):
		return asJSON([]byte(`{"detailed": false, "reasons": ["OK"]}`)), nil
	default:
		return &answer{status: http.StatusOK, body: []byte("OK"), header: http.Header{"Content-Type": {"text/plain; charset=UTF-8"}}}, nil
	}
}

// details are JSON, in the form of oslo.middleware's: 200 when all is well, else
// 503. Who asks at the same moment shares one look.
func (s *Server) details(rq *request) (*answer, error) {
	parts, err := s.parts.get(rq.ctx, struct{}{})
	if err != nil {
		return nil, err
	}
	type reason struct {
		Class   string `json:"class"`
		Reason  string `json:"reason"`
		Details string `json:"details"`
	}
	status, reasons := http.StatusOK, []reason{}
	for _, p := range parts {
		r := reason{Class: p.Name, Reason: "OK", Details: p.Reason}
		if !p.OK {
			status, r.Reason, r.Details = http.StatusServiceUnavailable, p.Reason, ""
		}
		reasons = append(reasons, r)
	}
	body, err := json.Marshal(map[string]any{"detailed": true, "reasons": reasons})
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return &answer{status: status, body: body}, nil
}

// lookAt asks for the parts.
func (s *Server) lookAt(ctx context.Context, _ struct{}) ([]Part, error) { return s.o.Health(ctx), nil }

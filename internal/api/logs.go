package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// logLevels is the answer to get-log. Services that did not answer stand beside
// those that did; clients that know only log_levels read on.
type logLevels struct {
	LogLevels  []serviceLevels `json:"log_levels"`
	Unanswered []unanswered    `json:"unanswered,omitempty"`
}

type serviceLevels struct {
	Host   string                     `json:"host"`
	Binary string                     `json:"binary"`
	Levels map[string]cinder.LogLevel `json:"levels"`
}

type unanswered struct {
	Host   string `json:"host"`
	Binary string `json:"binary"`
	Reason string `json:"reason"`
}

func (rq *request) logQuery() control.LogQuery {
	return control.LogQuery{Binary: rq.text("binary"), Server: rq.text("server"), Prefix: rq.text("prefix")}
}

func (s *Server) getLog(rq *request) (*answer, error) {
	body, err := s.levels.get(rq.ctx, rq.logQuery())
	if err != nil {
		return nil, err
	}
	return asJSON(body), nil
}

// levelsOf asks the services and renders their answers. Those who ask the same
// at the same moment share an answer: each question costs the bus and a hundred
// services something.
func (s *Server) levelsOf(ctx context.Context, q control.LogQuery) ([]byte, error) {
	found, err := s.o.Control.LogLevels(ctx, q)
	if err != nil {
		return nil, err
	}
	shown := logLevels{LogLevels: []serviceLevels{}}
	for _, l := range found.Levels {
		levels := l.Levels
		if levels == nil {
			levels = map[string]cinder.LogLevel{}
		}
		shown.LogLevels = append(shown.LogLevels, serviceLevels{Host: l.Host, Binary: l.Binary, Levels: levels})
	}
	for _, u := range found.Silent {
		shown.Unanswered = append(shown.Unanswered, unanswered{Host: u.Host, Binary: u.Binary, Reason: u.Why})
	}
	body, err := json.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return body, nil
}

func (s *Server) setLog(rq *request) (*answer, error) {
	level, err := cinder.ParseLogLevel(rq.text("level"))
	if err != nil {
		return nil, err
	}
	op, err := s.o.Control.SetLogLevels(rq.ctx, rq.logQuery(), level)
	rq.began(op)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusAccepted}, nil
}

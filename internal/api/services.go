package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"stoker/internal/api/microversion"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// listing is what makes the answer to one list the same as to another: the
// filter, and how much is shown.
type listing struct {
	host, binary       string
	anyHost, anyBinary bool
	view               view
}

func (s *Server) listServices(rq *request) (*answer, error) {
	q, err := parseQuery(rq.http.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	key := listing{anyHost: true, anyBinary: true, view: viewOf(rq.version)}
	if host := q.name("host"); host != nil {
		key.host, key.anyHost = *host, false
	}
	if binary := q.text("binary"); binary != nil {
		key.binary, key.anyBinary = *binary, false
	}
	body, err := s.lists.get(rq.ctx, key)
	if err != nil {
		return nil, err
	}
	return asJSON(body), nil
}

// list reads and renders a list. What the scheduler knows is asked for at the
// same time as the rows, and only when it is shown.
func (s *Server) list(ctx context.Context, key listing) ([]byte, error) {
	var q cinder.ServiceQuery
	if !key.anyHost {
		q.Host = &key.host
	}
	if !key.anyBinary {
		q.Binary = &key.binary
	}
	var states map[string]string
	known := make(chan struct{})
	if key.view >= viewBackend && (key.anyBinary || key.binary == cinder.BinaryVolume) {
		go func() {
			defer close(known)
			defer func() {
				if p := recover(); p != nil {
					e := panicked(p)
					s.log.ErrorContext(ctx, "the backends' states could not be asked for", "error", e, "stack", e.stack)
				}
			}()
			states = s.o.Control.BackendStates(ctx)
		}()
	} else {
		close(known)
	}
	rows, err := s.o.Control.Services(ctx, q)
	<-known
	if err != nil {
		return nil, err
	}
	if key.anyHost && key.anyBinary {
		return s.kept.render(rows, key.view, states), nil
	}
	return renderServices(rows, key.view, states), nil
}

// change is the answer to enable and disable: what was asked for, and how the
// service stands now. Which of service and binary the request used to name the
// binary shows in which of them is empty (services.json, enable/svc@3.70).
type change struct {
	DisabledReason json.RawMessage `json:"disabled_reason,omitempty"`
	Disabled       bool            `json:"disabled"`
	Host           string          `json:"host"`
	Service        string          `json:"service"`
	Binary         string          `json:"binary"`
	Status         string          `json:"status"`
}

func (s *Server) enable(rq *request) (*answer, error) {
	return s.change(rq, change{Status: "enabled"}, s.o.Control.Enable)
}

func (s *Server) disable(rq *request) (*answer, error) {
	return s.change(rq, change{Disabled: true, Status: "disabled"}, s.o.Control.Disable)
}

func (s *Server) disableWithReason(rq *request) (*answer, error) {
	reason := rq.textOrNil("disabled_reason")
	ch := change{Disabled: true, Status: "disabled", DisabledReason: appendPointer(nil, reason)}
	return s.change(rq, ch, func(ctx context.Context, host, binary string) (cinder.Operation, error) {
		return s.o.Control.DisableWithReason(ctx, host, binary, reason)
	})
}

func (s *Server) change(rq *request, ch change, do func(ctx context.Context, host, binary string) (cinder.Operation, error)) (*answer, error) {
	sel, err := rq.selector(false)
	if err != nil {
		return nil, err
	}
	ch.Host, ch.Service, ch.Binary = sel.Host, rq.text("service"), rq.text("binary")
	binary := ch.Binary
	if binary == "" {
		binary = ch.Service
	}
	op, err := do(rq.ctx, sel.Host, binary)
	rq.began(op)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(ch)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return asJSON(body), nil
}

// selector is the one host or cluster that a body names; a cluster counts only
// where the action and the version know of clusters
// (services.json, freeze/both@3.26, thaw/cluster-null@3.25).
func (rq *request) selector(clusters bool) (control.Selector, error) {
	sel := control.Selector{Host: rq.text("host")}
	clusters = clusters && rq.version >= microversion.ReplicationCluster
	if clusters {
		sel.Cluster = rq.text("cluster")
	}
	switch {
	case (sel.Host == "") != (sel.Cluster == ""):
		return sel, nil
	case clusters:
		return sel, invalidInput("One and only one of cluster and host must be set.")
	default:
		return sel, invalidInput("Host field is missing.")
	}
}

func (s *Server) freeze(rq *request) (*answer, error) {
	return s.command(rq, true, http.StatusOK, s.o.Control.Freeze)
}

func (s *Server) thaw(rq *request) (*answer, error) {
	return s.command(rq, true, http.StatusOK, s.o.Control.Thaw)
}

// failoverHost looks at a cluster at the newest version alone: in the recorded
// releases none does (services.json, failover_host/cluster@3.26).
func (s *Server) failoverHost(rq *request) (*answer, error) {
	return s.command(rq, rq.version >= microversion.FailoverHostCluster, http.StatusAccepted, s.failTo(rq))
}

// failover is taken at every version: openstacksdk sends it with none. Below
// 3.26 it is failover_host (services.json, failover/empty@3.25).
func (s *Server) failover(rq *request) (*answer, error) {
	return s.command(rq, true, http.StatusAccepted, s.failTo(rq))
}

func (s *Server) failTo(rq *request) func(context.Context, control.Selector) (cinder.Operation, error) {
	return func(ctx context.Context, sel control.Selector) (cinder.Operation, error) {
		return s.o.Control.Failover(ctx, sel, rq.textOrNil("backend_id"))
	}
}

// command sends a backend a command. The answer has no body. Who may change
// services at all still needs the rule of the command itself, which is asked for
// once the request is known to name one target (auth.json, policy-order/*).
func (s *Server) command(rq *request, clusters bool, status int, do func(context.Context, control.Selector) (cinder.Operation, error)) (*answer, error) {
	sel, err := rq.selector(clusters)
	if err != nil {
		return nil, err
	}
	if err := s.allow(rq, rq.route.then); err != nil {
		return nil, err
	}
	op, err := do(rq.ctx, sel)
	rq.began(op)
	if err != nil {
		return nil, err
	}
	a := &answer{status: status}
	if w := op.Progress.Warning; w != "" {
		// Names in it may be of any script, headers are ASCII.
		quoted := strconv.QuoteToASCII(w)
		a.header = http.Header{headerWarning: {quoted[1 : len(quoted)-1]}}
	}
	return a, nil
}

func (s *Server) unknownAction(*request) (*answer, error) {
	return nil, invalidInput(textUnknownAction)
}

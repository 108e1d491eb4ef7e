package order

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"stoker/test/load"
)

// seen is what an answer says about the service.
type seen struct {
	frozen  bool // in a list
	refused bool // a freeze of a frozen service, a thaw of one that is not
}

// history is the changes and observations of one service.
type history struct {
	began time.Time

	mu      sync.Mutex
	events  []porcupine.Operation          // guarded by mu
	unknown map[string]porcupine.Operation // guarded by mu; by operation: those whose callers did not learn the outcome
	faults  []string                       // guarded by mu; lists that are not permitted
}

func newHistory() *history {
	return &history{began: time.Now(), unknown: map[string]porcupine.Operation{}}
}

// see records an answer. A 409, because of another running change, has changed nothing
// and says nothing about the service.
func (h *history) see(r load.Request, a load.Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	began := a.Began.Sub(h.began)
	e := porcupine.Operation{Input: strings.TrimPrefix(r.Path, "/"), Call: int64(began), Return: int64(began + a.Took)}
	switch {
	case r.Body == nil && a.Status == http.StatusOK:
		frozen, err := shown(a.Body)
		if err != nil {
			h.faults = append(h.faults, err.Error())
			return
		}
		e.Input, e.Output = "list", seen{frozen: frozen}
	case a.Status == http.StatusOK:
		e.Output = seen{}
	case a.Status == http.StatusBadRequest:
		e.Output = seen{refused: true}
	case a.Status == http.StatusGatewayTimeout:
		e.Output, e.Return = seen{}, math.MaxInt64
		h.unknown[a.Operation] = e
		return
	default:
		return
	}
	h.events = append(h.events, e)
}

// shown is the state in a list of one service, which must not be half of a change.
func shown(body string) (frozen bool, err error) {
	var list struct {
		Services []struct {
			Status         string  `json:"status"`
			Frozen         bool    `json:"frozen"`
			DisabledReason *string `json:"disabled_reason"`
		} `json:"services"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Services) != 1 {
		return false, fmt.Errorf("want one service: %s: %w", body, err)
	}
	s := list.Services[0]
	because := s.DisabledReason != nil && *s.DisabledReason == "frozen"
	if s.Frozen != (s.Status == "disabled") || s.Frozen != because {
		return false, fmt.Errorf("half of a change is shown: %s", body)
	}
	return s.Frozen, nil
}

// settled adds changes that the journal shows as done and whose callers did not learn
// it.
func (h *history) settled(done map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, e := range h.unknown {
		if done[id] == "done" {
			h.events = append(h.events, e)
		}
	}
}

// ordered searches for an order of the changes that explains all observations of a
// service that was not frozen initially.
func ordered(events []porcupine.Operation, limit time.Duration) porcupine.CheckResult {
	model := porcupine.Model{
		Init: func() any { return false },
		Step: func(state, input, output any) (bool, any) {
			frozen, out := state.(bool), output.(seen) //nolint:forcetypeassert // They are all ours.
			switch input {
			case "list":
				return out.frozen == frozen, frozen
			case "freeze":
				return out.refused == frozen, true
			default:
				return out.refused == !frozen, false
			}
		},
	}
	return porcupine.CheckOperationsTimeout(model, events, limit)
}

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

// seen is what an answer said of the service.
type seen struct {
	frozen  bool // of a list
	refused bool // a freeze of what is frozen, a thaw of what is not
}

// history is what callers did with one service, and saw of it.
type history struct {
	began time.Time

	mu      sync.Mutex
	events  []porcupine.Operation          // guarded by mu
	unknown map[string]porcupine.Operation // guarded by mu; by operation: their callers did not learn what came of it
	faults  []string                       // guarded by mu; what a list may not show
}

func newHistory() *history {
	return &history{began: time.Now(), unknown: map[string]porcupine.Operation{}}
}

// see takes in an answer. One that says that another change is under way (409) has
// changed nothing and says nothing of the service.
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

// shown is what a list of one service says. It is never half of a change.
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

// settled takes in what the journal says was done and its caller did not learn.
func (h *history) settled(done map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, e := range h.unknown {
		if done[id] == "done" {
			h.events = append(h.events, e)
		}
	}
}

// ordered says whether there is an order of the changes that explains what
// everybody saw of a service that was not frozen in the beginning.
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

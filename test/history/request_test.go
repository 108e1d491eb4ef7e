package history

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"stoker/test/load"
	"stoker/test/site"
)

// sent is a request and its outcome.
type sent struct {
	load.Request

	what   string // the kind in the journal, or list
	place  *place // the place that it changes; nil for a list
	member int    // of the place, for enable and disable
	detail string // the reason of a disable, the site of a failover
	caller int
	api    int
	limit  time.Duration // the caller's timeout
	again  bool          // its key was sent before

	answer load.Answer
	err    error           // why there is no answer
	shows  map[string]look // by host, of a list
	entry  *entry          // of the journal
}

// span is the time of a request, in nanoseconds of the history.
func (h *history) span(s *sent) (call, back int64) {
	began := s.answer.Began.Sub(h.began)
	return int64(began), int64(began + s.answer.Took)
}

// acknowledged reports whether the answer says that the change was or will be carried
// out.
func (s *sent) acknowledged() bool {
	return s.err == nil && s.answer.Status < http.StatusMultipleChoices
}

// refused reports whether the answer says that nothing was changed.
func (s *sent) refused() bool {
	st := s.answer.Status
	return s.err == nil && (st >= 400 && st < 500 || st == http.StatusBadGateway || st == http.StatusServiceUnavailable)
}

// keyTaken reports whether the request was refused because its key is in use: the first
// request is running, or was cut off.
func (s *sent) keyTaken() bool {
	return s.Key != "" && s.answer.Status == http.StatusConflict &&
		(strings.Contains(s.answer.Body, "with this Idempotency-Key is under way") || strings.Contains(s.answer.Body, "was cut off"))
}

// history is everything that was sent, and the site that it was sent to.
type history struct {
	*site.Site
	apis   []*site.Process
	places []*place
	began  time.Time

	mu    sync.Mutex
	round []*sent            // guarded by mu; since the last comparison
	keys  map[string][]*sent // guarded by mu; the requests with each key, all equal
	asked map[string]*sent   // guarded by mu; changes by request id
	wrong []string           // guarded by mu; answers that are not permitted
	total totals             // guarded by mu
}

// send sends a request and records the outcome.
func (h *history) send(ctx context.Context, s *sent) *sent {
	s.ID = "req-" + uuid.NewString()
	h.mu.Lock()
	if s.what != "list" {
		h.asked[s.ID] = s
	}
	if s.Key != "" {
		s.again = len(h.keys[s.Key]) > 0
		h.keys[s.Key] = append(h.keys[s.Key], s)
	}
	h.mu.Unlock()
	s.answer, s.err = load.Ask(context.WithoutCancel(ctx), h.apis[s.api].URL, s.Request, s.limit)
	wrong := s.permit()
	if s.what == "list" && s.acknowledged() {
		if s.shows, s.err = listed(s.answer.Body); s.err != nil {
			wrong = s.err.Error()
		}
		s.answer.Body = ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.round = append(h.round, s)
	if wrong != "" {
		h.wrong = append(h.wrong, h.line(s)+": "+wrong)
	}
	h.total.note(s)
	return s
}

// permit says what is wrong with an answer. A request may be lost with an API process
// that dies, but must not remain unanswered.
func (s *sent) permit() string {
	if s.err != nil {
		if s.limit == load.Deadline && s.answer.Took >= s.limit {
			return "no answer in time"
		}
		return ""
	}
	if s.keyTaken() {
		return ""
	}
	permit := load.Permit
	if s.place != nil && s.place.fleet.Python {
		permit = load.PermitRaised
	}
	if err := permit(s.Request, s.answer); err != nil {
		return err.Error()
	}
	return ""
}

// line formats the request.
func (h *history) line(s *sent) string {
	call, back := h.span(s)
	what := s.what
	if s.place != nil {
		what += " of " + s.place.name
		if s.Body["host"] != nil {
			what = s.what + " of " + fmt.Sprint(s.Body["host"])
		}
	}
	if s.detail != "" {
		what += " (" + s.detail + ")"
	}
	text := fmt.Sprintf("%9.3f to %9.3f s  api%d caller %d  %s", time.Duration(call).Seconds(), time.Duration(back).Seconds(), s.api+1, s.caller, what)
	if s.Key != "" {
		text += " key " + s.Key
	}
	switch {
	case s.err != nil:
		text += ": no answer"
	case s.answer.Replayed:
		text += fmt.Sprintf(": %d again", s.answer.Status)
	default:
		text += fmt.Sprintf(": %d", s.answer.Status)
	}
	if s.answer.Status >= 400 {
		text += " " + strings.TrimSpace(s.answer.Body)
	}
	return text + " " + s.entry.String()
}

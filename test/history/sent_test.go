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

// sent is a request and what came of it.
type sent struct {
	load.Request

	what   string // as the journal calls it, or list
	place  *place // that it changes; nil
	member int    // of the place, for enable and disable
	detail string // the reason of a disable, the site of a failover
	caller int
	api    int
	limit  time.Duration // how long its caller waits for the answer
	again  bool          // its key was sent before

	answer load.Answer
	err    error           // why there is no answer
	shows  map[string]look // by host, of a list
	entry  *entry          // of the journal
}

// times of a request, in nanoseconds of the history.
func (h *history) span(s *sent) (call, back int64) {
	began := s.answer.Began.Sub(h.began)
	return int64(began), int64(began + s.answer.Took)
}

// acknowledged says whether the change was carried out, or taken to be.
func (s *sent) acknowledged() bool {
	return s.err == nil && s.answer.Status < http.StatusMultipleChoices
}

// refused says whether the answer says that nothing was changed.
func (s *sent) refused() bool {
	st := s.answer.Status
	return s.err == nil && (st >= 400 && st < 500 || st == http.StatusBadGateway || st == http.StatusServiceUnavailable)
}

// keyTaken says whether it is refused because its key is in use: the first request
// is under way, or was cut off.
func (s *sent) keyTaken() bool {
	return s.Key != "" && s.answer.Status == http.StatusConflict &&
		(strings.Contains(s.answer.Body, "with this Idempotency-Key is under way") || strings.Contains(s.answer.Body, "was cut off"))
}

// history is all that was sent, and what it was sent to.
type history struct {
	*site.Site
	apis   []*site.Process
	places []*place
	began  time.Time

	mu    sync.Mutex
	round []*sent            // guarded by mu; since the last quiet moment
	keys  map[string][]*sent // guarded by mu; the requests with each key, all of a kind
	asked map[string]*sent   // guarded by mu; changes by request id
	wrong []string           // guarded by mu; answers that there may not be
	total totals             // guarded by mu
}

// send sends a request and keeps what came of it.
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

// permit says what is wrong with an answer. A request may be lost with the API
// process that dies, never left without an answer.
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

// line is the request in a line of text.
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

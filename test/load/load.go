package load

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say who asks for what. The zero value of an option means what stands
// beside it.
type Options struct {
	Clients  [][]Request                 // what each asks for, one after the other, again and again
	Pause    time.Duration               // of a client after an answer; 50 ms
	Deadline time.Duration               // by when every request has an answer; Deadline
	Permit   func(Request, Answer) error // which answers there may be; Permit
	Dies     bool                        // the API may die: a request that it takes along is counted under status 0
	See      func(Request, Answer)       // is told each answer; called by many at a time
}

// Load is clients at work.
type Load struct {
	url     string
	options Options
	stop    context.CancelFunc
	working sync.WaitGroup

	mu     sync.Mutex
	report Report // guarded by mu
}

// Start begins, until End or the end of the context. The URL is that of an API,
// without a version.
func Start(ctx context.Context, url string, o Options) *Load {
	o.Pause, o.Deadline = cmp.Or(o.Pause, 50*time.Millisecond), cmp.Or(o.Deadline, Deadline)
	if o.Permit == nil {
		o.Permit = Permit
	}
	ctx, stop := context.WithCancel(ctx)
	l := &Load{url: url, options: o, stop: stop, report: newReport()}
	for _, requests := range o.Clients {
		l.working.Go(func() { l.work(ctx, requests) })
	}
	return l
}

// End lets what is under way come to its end, and returns what was seen.
func (l *Load) End() Report {
	l.stop()
	l.working.Wait()
	return l.report
}

// work is what one client does. It ends with the last of its requests, so that
// what it has frozen it has thawed.
func (l *Load) work(ctx context.Context, requests []Request) {
	for i := 0; ctx.Err() == nil || i%len(requests) != 0; i++ {
		l.send(ctx, requests[i%len(requests)])
		select {
		case <-ctx.Done():
		case <-time.After(l.options.Pause):
		}
	}
}

// send does one request. It is not cut off when the load ends.
func (l *Load) send(ctx context.Context, r Request) {
	a, err := Ask(context.WithoutCancel(ctx), l.url, r, l.options.Deadline)
	if err == nil && l.options.See != nil {
		l.options.See(r, a)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		err = l.options.Permit(r, a)
	case l.options.Dies && a.Took < l.options.Deadline:
		err = nil
	}
	if err != nil {
		l.report.Wrong = append(l.report.Wrong, fmt.Sprintf("%s %s, after %v: %v", time.Now().Format(time.TimeOnly), r.Path, a.Took.Round(time.Millisecond), err))
	}
	l.report.note(r, a)
}

// Permit are the answers that there may be whatever is away: it was done, or
// was not and why, or it is not known yet.
func Permit(r Request, a Answer) error {
	switch a.Status {
	case http.StatusOK, http.StatusAccepted, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil
	case http.StatusBadRequest: // freeze of what is frozen: the thaw before it failed
		if r.Body != nil && !strings.HasSuffix(r.Path, "-log") {
			return nil
		}
	}
	return fmt.Errorf("%d %s", a.Status, a.Body)
}

// PermitRaised are those that there may be of Python services: they raise what
// befalls them, a database that is away among it, and that is passed on as 502.
func PermitRaised(r Request, a Answer) error {
	if a.Status == http.StatusBadGateway {
		return nil
	}
	return Permit(r, a)
}

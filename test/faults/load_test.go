package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const project = "0123456789abcdef0123456789abcdef"

// deadline is by when every request has an answer, whatever is away: the
// response timeout of these tests (5 s), the 15 s that a change has for its end,
// and what a machine under load adds.
const deadline = 40 * time.Second

// load is administrators who ask for everything all the time.
type load struct {
	url     string
	stop    context.CancelFunc
	working sync.WaitGroup

	mu       sync.Mutex
	statuses map[string]map[int]int // guarded by mu; how often each kind of request got each status
	faults   []string               // guarded by mu; what no request may get
}

// request is a change or, without a body, a list.
type request struct {
	path string
	body map[string]any
}

// mixed are the requests of each administrator, one after the other. Nobody
// changes what another does: which answers are right is then known.
func mixed() [][]request {
	alpha, beta, gamma := map[string]any{"host": "host1@alpha"}, map[string]any{"host": "host1@beta"}, map[string]any{"host": "host1@gamma", "binary": "cinder-volume"}
	to := func(target string) map[string]any {
		b := maps.Clone(alpha)
		b["backend_id"] = target
		return b
	}
	because := maps.Clone(gamma)
	because["disabled_reason"] = "disk swap"
	return [][]request{
		{{"", nil}, {"?binary=cinder-volume", nil}},
		{{"/freeze", beta}, {"/thaw", beta}},
		{{"/disable-log-reason", because}, {"/enable", gamma}},
		{{"/failover_host", to("site-b")}, {"/failover_host", to("default")}},
		{{"/get-log", map[string]any{"binary": "", "prefix": "stoker.agent"}}, {"/set-log", map[string]any{"binary": "cinder-backup", "prefix": "stoker.agent", "level": "INFO"}}},
		{{"", nil}},
	}
}

// startLoad begins, until stop.
func startLoad(ctx context.Context, url string) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{url: url, stop: stop, statuses: map[string]map[int]int{}}
	for _, requests := range mixed() {
		l.working.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				l.send(requests[i%len(requests)])
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	return l
}

// end lets what is under way come to its end, and returns what went wrong.
func (l *load) end() []string {
	l.stop()
	l.working.Wait()
	return l.faults
}

// send does one request, and notes when its answer is late or none that there
// may be.
func (l *load) send(r request) {
	status, body, err := ask(l.url, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.faults = append(l.faults, fmt.Sprintf("%s: %v", r.path, err))
		return
	}
	if l.statuses[r.path] == nil {
		l.statuses[r.path] = map[int]int{}
	}
	l.statuses[r.path][status]++
	switch status {
	case http.StatusOK, http.StatusAccepted, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	case http.StatusBadRequest: // freeze of what is frozen: the thaw before it failed
		if r.body == nil || strings.HasSuffix(r.path, "-log") {
			l.faults = append(l.faults, fmt.Sprintf("%s: 400 %s", r.path, body))
		}
	default:
		l.faults = append(l.faults, fmt.Sprintf("%s: %d %s", r.path, status, body))
	}
}

// ask does one request of the API.
func ask(url string, r request) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	method, text := http.MethodGet, ""
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return 0, "", err
		}
		method, text = http.MethodPut, string(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url+"/v3/"+project+"/os-services"+r.path, strings.NewReader(text))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("X-Auth-Token", "admin:"+project)
	req.Header.Set("OpenStack-API-Version", "volume 3.70")
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// within waits until something is so, and fails the test when that takes too long.
func within(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	for !so() {
		select {
		case <-end.C:
			t.Fatalf("in %v it did not come to pass that %s", limit, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

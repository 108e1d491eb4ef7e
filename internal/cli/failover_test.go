package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cli"
)

// always gives the same answer to everything but the versions.
type always string

func (a always) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/" {
		w := httptest.NewRecorder()
		_, _ = w.WriteString(`{"versions": [{"id": "v3.0", "version": "3.71"}]}`)
		return w.Result(), nil
	}
	f := fake{answers: map[string]string{r.Method + " " + r.URL.RequestURI(): string(a)}}
	return f.RoundTrip(r)
}

// moving is an API that has one answer to a failover and then, list by list, others.
type moving struct {
	lists []string // "SERVICES" or "STATUS body"; the last one stays
	n     int
}

func (m *moving) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		return always("202").RoundTrip(r)
	}
	if strings.HasPrefix(r.URL.Path, "/stoker/") { // a Cinder tells no targets
		return always(fault(404, "itemNotFound", "The resource could not be found.")).RoundTrip(r)
	}
	if r.URL.Path != "/" {
		m.n++
	}
	return always(m.lists[min(max(m.n, 1), len(m.lists))-1]).RoundTrip(r)
}

// services is a list of hosts@backends with replication status and active backend.
func services(rows ...string) string {
	var all []string
	for _, row := range rows {
		f := strings.Fields(row + " null")
		cluster, active := "null", f[2]
		if name, host, ok := strings.Cut(f[0], "/"); ok {
			cluster, f[0] = `"`+name+`"`, host
		}
		if active != "null" {
			active = `"` + active + `"`
		}
		all = append(all, fmt.Sprintf(`{"binary": "cinder-volume", "host": %q, "zone": "nova", "status": "enabled", "state": "up", "updated_at": null, "cluster": %s, "replication_status": %q, "active_backend_id": %s}`,
			f[0], cluster, f[1], active))
	}
	return `{"services": [` + strings.Join(all, ",") + `]}`
}

func TestFailoverWaits(t *testing.T) {
	const (
		before = "h@a enabled"
		over   = "h@a failing-over"
	)
	tests := []struct {
		name       string
		args       string
		lists      []string
		wantStderr string
		wantAfter  [2]time.Duration // at least, at most
	}{
		{
			"to a site", "h@a --backend-id site-b",
			[]string{services(over), services(over), services("h@a failed-over site-b")},
			"",
			[2]time.Duration{2 * time.Second, 3 * time.Second},
		},
		{"at once", "h@a --backend-id site-b", []string{services("h@a failed-over site-b")}, "", [2]time.Duration{}},
		{"wherever", "h@a", []string{services("h@a failed-over site-c")}, "", [2]time.Duration{}},
		{"back", "h@a --backend-id default", []string{services(over + " site-b"), services(before)}, "", [2]time.Duration{time.Second, 1500 * time.Millisecond}},
		{
			"refused by the backend", "h@a --backend-id site-b",
			[]string{services(over), services(before)},
			"stoker: the failover did not succeed: h@a is enabled\n",
			[2]time.Duration{time.Second, 1500 * time.Millisecond},
		},
		{
			"an error", "h@a",
			[]string{services("h@a failover-error")},
			"stoker: the failover did not succeed: h@a is failover-error\n",
			[2]time.Duration{},
		},
		{
			"somewhere else", "h@a --backend-id site-b",
			[]string{services("h@a failed-over site-c")},
			"stoker: the failover did not succeed: h@a is failed over to site-c\n",
			[2]time.Duration{},
		},
		{
			"did not come back", "h@a --backend-id default",
			[]string{services("h@a failed-over site-b")},
			"stoker: the failover did not succeed: h@a is failed over to site-b\n",
			[2]time.Duration{},
		},
		{
			"for ever", "h@a --timeout 10s",
			[]string{services(over)},
			"stoker: h@a: the failover has not ended after 10s; it goes on, see stoker service list --long\n",
			[2]time.Duration{10 * time.Second, 10 * time.Second},
		},
		{
			"a cluster", "--cluster c@a --backend-id site-b", []string{
				services("c@a/x@a failing-over", "c@a/y@a failed-over site-b", "other@a failing-over", "c2@a/z@a failing-over"),
				services("c@a/x@a failed-over site-b", "c@a/y@a failed-over site-b", "other@a failing-over", "c2@a/z@a failing-over"),
			}, "", [2]time.Duration{time.Second, 1500 * time.Millisecond},
		},
		{
			"half a cluster", "--cluster c@a --backend-id site-b",
			[]string{services("c@a/x@a enabled", "c@a/y@a failed-over site-b")},
			"stoker: the failover did not succeed: x@a is enabled\n",
			[2]time.Duration{},
		},
		{
			"an API that is away for a while", "h@a",
			[]string{services(over), "503", "504", services("h@a failed-over site-b")},
			"",
			[2]time.Duration{3 * time.Second, 4 * time.Second},
		},
		{
			"an API that will not have us any more", "h@a",
			[]string{services(over), fault(401, "error", "Who are you?"), services("h@a failed-over site-b")},
			"stoker: Who are you?\n",
			[2]time.Duration{time.Second, 1500 * time.Millisecond},
		},
		{
			"removed meanwhile", "h@a",
			[]string{services(over), services()},
			"stoker: the failover was ordered, but the list shows no such service any more\n",
			[2]time.Duration{time.Second, 1500 * time.Millisecond},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got := run(t, &moving{lists: tt.lists}, cli.Deps{}, words("service failover --wait "+tt.args)...)
				took := time.Since(start)
				if got.stderr != tt.wantStderr || (got.status != 0) != (tt.wantStderr != "") {
					t.Errorf("exit status %d, %swant %s", got.status, got.stderr, tt.wantStderr)
				}
				if !strings.Contains(got.stdout, "| operation  | 7c9e6679-7425-40de-944b-e07fc1f90ae7 |") && !strings.Contains(got.stdout, "| operation | 7c9e6679") {
					t.Errorf("no operation in\n%s", got.stdout)
				}
				if strings.Contains(got.stdout, "other@a") || strings.Contains(got.stdout, "z@a") {
					t.Errorf("services of others in\n%s", got.stdout)
				}
				if took < tt.wantAfter[0] || took > tt.wantAfter[1] {
					t.Errorf("took %v, want %v", took, tt.wantAfter)
				}
			})
		})
	}
}

func TestFailoverWaitsInJSON(t *testing.T) {
	got := run(t, &moving{lists: []string{services("h@a failed-over site-b")}}, cli.Deps{}, words("service failover --wait -o json h@a")...)
	golden(t, "service-failover-wait-json", got.String())
}

package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stoker/internal/app"
	"stoker/internal/client"
)

// do sends a request and returns status and body.
func do(t *testing.T, method, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// scrape returns the metrics whose names begin so: their values by name and labels.
func (s *site) scrape(t *testing.T, prefixes ...string) map[string]string {
	t.Helper()
	status, body := do(t, http.MethodGet, "http://"+s.MetricsAddr().String()+"/metrics", "")
	if status != http.StatusOK {
		t.Fatalf("scrape: %d %s", status, body)
	}
	values := map[string]string{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		for _, p := range prefixes {
			if strings.HasPrefix(line, p) {
				values[line[:at]] = line[at+1:]
			}
		}
	}
	return values
}

// measured starts a process whose metrics are served.
func measured(t *testing.T) (*site, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	o := standalone(t, t.TempDir())
	o.Config.MetricsListen, o.Metrics, o.Version = "127.0.0.1:0", registry, "v1.2.3"
	o.Config.Policy.File = filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(o.Config.Policy.File, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, o)
	s.policyFile = o.Config.Policy.File
	return s, registry
}

func TestMetricsOfThePolicy(t *testing.T) {
	s, _ := measured(t)
	// A changed file is noticed within a tenth of a second.
	want := func(ok string) {
		t.Helper()
		eventually(t, "stoker_policy_file_ok is "+ok, func() bool { return s.scrape(t, "stoker_policy_file_ok")["stoker_policy_file_ok"] == ok })
	}
	want("1")
	if got := s.scrape(t, "stoker_policy_reload_failures"); got["stoker_policy_reload_failures_total"] != "0" {
		t.Errorf("failures while all is well: %v", got)
	}
	s.policy(t, "- a list of secrets\n")
	want("0")
	s.policy(t, `{"clusters:get": "role:reader and"}`)
	want("1")
	got := s.scrape(t, "stoker_policy_")
	if got["stoker_policy_reload_failures_total"] == "0" || got["stoker_policy_broken_rules"] != "1" {
		t.Errorf("after a file that could not be read, and one with a broken rule: %v", got)
	}
}

func TestMetricsOfRequests(t *testing.T) {
	s, _ := measured(t)
	const token = "admin:0123456789abcdef0123456789abcdef"
	for i := range 50 {
		do(t, http.MethodGet, fmt.Sprintf("%s/v3/nowhere-%d", s.URL(), i), token)
		do(t, http.MethodGet, fmt.Sprintf("%s/v3/os-services/%d", s.URL(), i), token)
		do(t, fmt.Sprintf("M%d", i), s.URL()+"/v3/os-services", token)
	}
	do(t, http.MethodGet, s.URL()+"/v3/os-services", token)
	do(t, http.MethodGet, s.URL()+"/v3/0123456789abcdef0123456789abcdef/os-services.json", token)
	do(t, http.MethodGet, s.URL()+"/v3/os-services", "")
	want := map[string]string{
		`stoker_http_requests_total{method="GET",route="unmatched",status="4xx"}`:               "50",
		`stoker_http_requests_total{method="GET",route="/v3/os-services/{id}",status="4xx"}`:    "50",
		`stoker_http_requests_total{method="other",route="unmatched",status="4xx"}`:             "50",
		`stoker_http_requests_total{method="GET",route="/v3/os-services",status="2xx"}`:         "2",
		`stoker_http_requests_total{method="GET",route="/v3/os-services",status="4xx"}`:         "1",
		`stoker_http_request_duration_seconds_count{method="GET",route="unmatched"}`:            "50",
		`stoker_http_request_duration_seconds_count{method="GET",route="/v3/os-services/{id}"}`: "50",
		`stoker_http_request_duration_seconds_count{method="other",route="unmatched"}`:          "50",
		`stoker_http_request_duration_seconds_count{method="GET",route="/v3/os-services"}`:      "3",
	}
	// A request is counted when it is over, which its answer may be a little before.
	var diff string
	defer func() {
		if diff != "" {
			t.Logf("(-want +got):\n%s", diff)
		}
	}()
	eventually(t, "every request is counted, and none twice", func() bool {
		diff = cmp.Diff(want, s.scrape(t, "stoker_http_requests_total", "stoker_http_request_duration_seconds_count"))
		return diff == ""
	})
}

func TestMetricsOfTheFleet(t *testing.T) {
	s, registry := measured(t)
	services, err := s.Services(t.Context(), client.ServiceFilter{})
	if err != nil || len(services) == 0 {
		t.Fatalf("%d services, %v", len(services), err)
	}
	victim := services[0]
	if _, err := s.Disable(t.Context(), victim.Host, victim.Binary, "a \"disk\"\nis broken"); err != nil {
		t.Fatal(err)
	}
	got := s.scrape(t, "openstack_cinder_agent_state", "stoker_operations", "stoker_build", "stoker_database", "stoker_bus")
	for _, row := range services {
		state, reason := "enabled", ""
		if row.Host == victim.Host && row.Binary == victim.Binary {
			state, reason = "disabled", `a \"disk\"\nis broken`
		}
		labels := fmt.Sprintf(`adminState="%s",disabledReason="%s",hostname="%s",service="%s",uuid="`, state, reason, row.Host, row.Binary)
		found := 0
		for name, value := range got {
			if strings.Contains(name, "{"+labels) && strings.HasSuffix(name, `",zone="nova"}`) && value == "1" {
				found++
				delete(got, name)
			}
		}
		if found != 1 {
			t.Errorf("%d series of %s, up, want 1", found, labels)
		}
	}
	want := map[string]string{
		"stoker_operations_open": "0", "stoker_operations_overdue": "0", "stoker_operations_stuck": "0", "stoker_operations_monitoring": "0",
		`stoker_build_info{version="v1.2.3"}`: "1", "stoker_database_up": "1", "stoker_database_writable": "1", "stoker_bus_up": "1", "stoker_bus_refusals": "0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Metric != "openstack_cinder_agent_state" { // its labels are openstack-exporter's
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestMetricsWithoutDatabase(t *testing.T) {
	s, _ := measured(t)
	if err := s.CloseDatabase(); err != nil {
		t.Fatal(err)
	}
	got := s.scrape(t, "stoker_database_", "stoker_bus_", "stoker_policy_file_ok", "stoker_operations", "openstack_cinder")
	want := map[string]string{"stoker_database_up": "0", "stoker_database_writable": "0", "stoker_bus_up": "1", "stoker_bus_refusals": "0", "stoker_policy_file_ok": "1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMetricsAreServedOnlyWhereAsked(t *testing.T) {
	s, _ := measured(t)
	at := "http://" + s.MetricsAddr().String()
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/metrics", http.StatusOK},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed},
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/debug/pprof/", http.StatusNotFound},
		{http.MethodGet, "/v3/os-services", http.StatusNotFound},
	} {
		if status, _ := do(t, tt.method, at+tt.path, ""); status != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, status, tt.want)
		}
	}
	if status, _ := do(t, http.MethodGet, s.URL()+"/metrics", ""); status != http.StatusNotFound {
		t.Errorf("the API answers /metrics with %d", status)
	}

	o := standalone(t, t.TempDir())
	o.Config.MetricsListen, o.Log = s.MetricsAddr().String(), io.Discard
	_, err := app.New(t.Context(), o)
	if err == nil || !strings.HasPrefix(err.Error(), "[stoker] metrics_listen: listen on "+o.Config.MetricsListen+": the port is in use") || strings.Contains(err.Error(), "\n") {
		t.Errorf("on a port in use: %v", err)
	}
	o.Config.MetricsListen = ""
	quiet, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if addr := quiet.MetricsAddr(); addr != nil {
		t.Errorf("nobody asked, and metrics are served at %s", addr)
	}
	if err := quiet.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

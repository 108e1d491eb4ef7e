package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A whole process with a cinder-api behind it: what it does not serve is answered
// there, and when that is away it is as healthy as before and says so.
func TestAProcessWithAnUpstream(t *testing.T) {
	cinderAPI := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, _ = io.WriteString(w, `{"versions": [{"id": "v3.0", "version": "3.70"}]}`)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Host+" "+r.Header.Get("X-Forwarded-Host"))
	}))
	t.Cleanup(cinderAPI.Close)
	o := standalone(t, t.TempDir())
	o.Config.Upstream, o.Config.MetricsListen = []string{cinderAPI.URL}, "127.0.0.1:0"
	s := start(t, o)
	ask := func(url string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", "admin")
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode, string(body)
	}
	want := func(path string, status int, text string) {
		t.Helper()
		if got, body := ask(s.URL() + path); got != status || !strings.Contains(body, text) {
			t.Errorf("%s: got %d %s, want %d with %s", path, got, body, status, text)
		}
	}
	host := s.Addr().String()
	want("/v3/volumes/a%2Fb?x;y", http.StatusAccepted, "GET /v3/volumes/a%2Fb?x;y "+host+" "+host)
	want("/v3/", http.StatusOK, `"version":"3.70"`)
	want("/v3/os-services", http.StatusOK, "cinder-scheduler")
	if status, parts := s.health(t); status != http.StatusOK || parts["upstream"] != "OK/" {
		t.Errorf("health with the upstream: %d %v", status, parts)
	}

	cinderAPI.Close()
	want("/v3/volumes", http.StatusServiceUnavailable, `{"serviceUnavailable":{"code":503,`)
	want("/v3/", http.StatusOK, `"version":"3.70"`)
	want("/v3/os-services", http.StatusOK, "cinder-scheduler")
	status, parts := s.health(t)
	if diff := cmp.Diff("OK/away: only what this process serves itself is answered", parts["upstream"]); status != http.StatusOK || diff != "" {
		t.Errorf("health without the upstream: %d (-want +got):\n%s", status, diff)
	}
	_, metrics := ask("http://" + s.MetricsAddr().String() + "/metrics")
	for _, line := range []string{
		`stoker_http_requests_total{method="GET",route="upstream",status="2xx"} 1`, `stoker_http_requests_total{method="GET",route="upstream",status="5xx"} 1`,
		`stoker_http_request_duration_seconds_count{method="GET",route="upstream"} 2`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
}

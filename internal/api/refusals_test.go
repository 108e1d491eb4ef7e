package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stoker/internal/cinder"
)

// known believes some tokens; Keystone is away for others.
type known struct{}

func (known) Authenticate(r *http.Request) (cinder.Caller, error) {
	switch token := r.Header.Get("X-Auth-Token"); token {
	case "away":
		return cinder.Caller{}, cinder.Wrap(cinder.KindUnavailable, errors.New("no route"), "Keystone cannot be reached")
	case "panics":
		panic("oh")
	case "member", "admin":
		return cinder.Caller{UserID: token, ProjectID: project, Roles: []string{token}}, nil
	default:
		return cinder.Caller{}, cinder.Errorf(cinder.KindUnauthenticated, "The request you have made requires authentication.")
	}
}

// byRole lets administrators do everything, and others nothing.
type byRole struct{}

func (byRole) Allow(_ context.Context, c cinder.Caller, rule string) error {
	if c.UserID == "admin" {
		return nil
	}
	return cinder.Errorf(cinder.KindForbidden, "Policy doesn't allow %s to be performed.", rule)
}

// What somebody can cause who is not allowed anything goes where it is counted,
// at every level; what an administrator does is logged each time.
func TestStrangersAreCounted(t *testing.T) {
	strangers := &syncBuffer{}
	r := newRig(t, parts{
		auth: known{}, policy: byRole{}, level: slog.LevelDebug, maxBody: 1000, rate: 100, burst: 100,
		refusals: slog.New(slog.NewTextHandler(strangers, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	const enable = `{"host": "a@b", "binary": "cinder-volume"}`
	for _, tt := range []struct {
		ask    ask
		status int
	}{
		{ask{path: "{P}/os-services", token: "-"}, 401},
		{ask{path: "/stoker/v1/operations", token: "-"}, 401},
		{ask{path: "{P}/" + strings.Repeat("%ff", 5000), token: "wrong"}, 401},
		{ask{path: "/nothing", token: "-"}, 404},
		{ask{path: "/nothing", token: "admin"}, 404},
		{ask{method: "BREW", path: "/", token: "-"}, 300},
		{ask{method: "PUT", path: "/stoker/v1/openapi.yaml", token: "-"}, 404},
		{ask{path: "/", token: "-"}, 300},
		{ask{path: "/healthcheck", token: "-"}, 200},
		{ask{path: "/stoker/v1/openapi.yaml", token: "-"}, 200},
		{ask{method: "OPTIONS", path: "{P}/os-services", token: "-"}, 200},
		{ask{path: "{P}/os-services", token: "away"}, 503},
		{ask{path: "{P}/os-services", token: "panics"}, 500},
		{ask{method: "PUT", path: "{P}/os-services/enable", token: "-", body: strings.Repeat("x", 2000)}, 413},
		{ask{path: "{P}/os-services", token: "member"}, 403},
		{ask{path: "/v3/extensions", token: "member"}, 200},
		{ask{path: "/v3/extensions/none", token: "member"}, 404},
		{ask{path: "{P}/os-services", token: "member", version: "9.9"}, 406},
		{ask{method: "PUT", path: "{P}/os-services/enable", token: "member", body: enable}, 403},
		{ask{method: "PUT", path: "{P}/os-services/enable", token: "member", body: "{"}, 400},
		{ask{method: "PUT", path: "{P}/os-services/enable", token: "member", body: enable, bare: true}, 415},
		{ask{path: "/v3/0123456789/os-services", token: "member"}, 400},
		{ask{path: "/stoker/v1/events", token: "member"}, 403},
	} {
		before := r.log.String()
		got := r.serve(t, tt.ask)
		if got.status != tt.status {
			t.Errorf("%+.80v: %d %s, want %d", tt.ask, got.status, got.body, tt.status)
		}
		if said := strings.TrimPrefix(r.log.String(), before); said != "" {
			t.Errorf("%+.80v, answered %d, can write a line for each request:\n%s", tt.ask, got.status, said)
		}
	}
	for range 200 { // until he has asked too often
		r.serve(t, ask{path: "{P}/os-services", token: "admin"})
	}
	if log := r.log.String(); strings.Contains(log, "status=429") || !strings.Contains(strangers.String(), "status=429") {
		t.Errorf("who asks too often is not counted:\n%s", log)
	}

	r = newRig(t, parts{auth: known{}, policy: byRole{}, refusals: slog.New(slog.NewTextHandler(strangers, nil))})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	for i := range 3 {
		r.serve(t, ask{method: "PUT", path: "{P}/os-services/enable", token: "admin", body: enable})
		r.serve(t, ask{method: "PUT", path: "{P}/os-services/enable", token: "admin", body: fmt.Sprintf(`{"host": "nobody%d", "binary": "cinder-volume"}`, i)})
	}
	if log := r.log.String(); strings.Count(log, "request answered") != 3 || strings.Count(log, "request failed") != 3 {
		t.Errorf("what an administrator does is not logged each time:\n%s", log)
	}
}

// serve is do without a network: what was answered has been logged, too.
func (r *rig) serve(t *testing.T, a ask) reply {
	t.Helper()
	if a.method == "" {
		a.method = http.MethodGet
	}
	req := httptest.NewRequestWithContext(t.Context(), a.method, "http://127.0.0.1"+strings.ReplaceAll(a.path, "{P}", "/v3/"+project), strings.NewReader(a.body))
	if a.token != "-" {
		req.Header.Set("X-Auth-Token", a.token)
	}
	if a.version != "" {
		req.Header.Set("OpenStack-API-Version", "volume "+a.version)
	}
	if a.body != "" && !a.bare {
		req.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	r.api.ServeHTTP(w, req)
	return reply{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
}

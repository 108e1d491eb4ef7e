package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"stoker/internal/cinder"
	"stoker/internal/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const project = "0123456789abcdef0123456789abcdef"

// recorded is a request and the answer of a Cinder 21.3.1, either recorded or derived
// from its recorded behaviour with the rows of a test fixture.
type recorded struct {
	Name    string
	Method  string
	Path    string
	Version string
	Request any
	Status  int
	Headers map[string]string
	Body    string
}

func recordings(t *testing.T) map[string]recorded {
	t.Helper()
	b, err := os.ReadFile("testdata/cinder.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]recorded{}
	for _, r := range all {
		byName[r.Name] = r
	}
	return byName
}

// play serves one recorded answer, with a list of versions up to that of the recording,
// and checks that the request is the recorded one.
func play(t *testing.T, r recorded) *client.Client {
	t.Helper()
	versions := recordings(t)["versions"]
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/" {
			answer(w, versions.Status, strings.Replace(versions.Body, `"version": "3.70"`, `"version": "`+r.Version+`"`, 1), nil)
			return
		}
		got := recorded{Name: r.Name, Method: req.Method, Path: req.URL.RequestURI(), Status: r.Status, Headers: r.Headers, Body: r.Body}
		got.Version = strings.TrimPrefix(req.Header.Get("OpenStack-API-Version"), "volume ")
		if b, _ := io.ReadAll(req.Body); len(b) > 0 {
			if err := json.Unmarshal(b, &got.Request); err != nil {
				t.Errorf("body %q: %v", b, err)
			}
			if req.Header.Get("Content-Type") != "application/json" {
				t.Errorf("content type %q", req.Header.Get("Content-Type"))
			}
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("request (-recorded +got):\n%s", diff)
		}
		if got, want := req.Header.Get("X-Auth-Token"), "admin:"+project; got != want {
			t.Errorf("token %q, want %q", got, want)
		}
		answer(w, r.Status, r.Body, r.Headers)
	})
	return serve(t, h, client.Options{Project: project})
}

func answer(w http.ResponseWriter, status int, body string, headers map[string]string) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// serve returns a client of a server that runs until the test ends.
func serve(t *testing.T, h http.Handler, o client.Options) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	if o.Endpoint == "" {
		o.Endpoint = s.URL + "/v3"
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestReads(t *testing.T) {
	at := func(s string) *client.Time {
		parsed, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return &client.Time{Time: parsed}
	}
	services := func(f client.ServiceFilter) func(context.Context, *client.Client) (any, error) {
		return func(ctx context.Context, c *client.Client) (any, error) { return c.Services(ctx, f) }
	}
	tests := []struct {
		recording string
		call      func(context.Context, *client.Client) (any, error)
		want      any
	}{
		{"services by host", services(client.ServiceFilter{Host: "host1@beta", Binary: cinder.BinaryVolume}), []client.Service{{
			Binary: "cinder-volume", Host: "host1@beta", Zone: "nova", Status: "enabled", State: "up", UpdatedAt: new(client.Time),
			DisabledReason: new(string), BackendState: new("up"), ReplicationStatus: new("disabled"), Frozen: new(false),
		}}},
		{"no services", services(client.ServiceFilter{Host: "nope"}), []client.Service{}},
		{"clusters", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Clusters(ctx, client.ClusterFilter{}, false)
		}, []client.Cluster{}},
		{"clusters/list@3.26", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Clusters(ctx, client.ClusterFilter{}, false)
		}, []client.Cluster{
			{Name: "mycluster@lvm", Binary: "cinder-volume", State: "up", Status: "enabled", ReplicationStatus: new("enabled")},
			{Name: "cold@tape", Binary: "cinder-volume", State: "down", Status: "disabled", ReplicationStatus: new("not-capable")},
		}},
		{"clusters/show-binary@3.26", func(ctx context.Context, c *client.Client) (any, error) {
			return c.Cluster(ctx, "mycluster@lvm", cinder.BinaryVolume)
		}, client.Cluster{
			Name: "mycluster@lvm", Binary: "cinder-volume", State: "up", Status: "enabled", ReplicationStatus: new("enabled"),
			NumHosts: new(2), NumDownHosts: new(0), LastHeartbeat: at("2026-11-23 11:56:57"), CreatedAt: at("2026-11-23 11:56:57"),
			UpdatedAt: at("2026-11-23 11:56:57"), Frozen: new(false),
		}},
		{"get-log", func(ctx context.Context, c *client.Client) (any, error) {
			return c.GetLog(ctx, client.LogFilter{Server: "host1@alpha", Binary: "cinder-volume", Prefix: "cinder.volume.m"})
		}, client.LogAnswer{Levels: []client.LogLevels{{
			Binary: "cinder-volume", Host: "host1@alpha", Levels: map[string]cinder.LogLevel{"cinder.volume.manager": cinder.LogInfo},
		}}}},
	}
	for _, tt := range tests {
		t.Run(tt.recording, func(t *testing.T) {
			c := play(t, recordings(t)[tt.recording])
			got, err := tt.call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := got.([]client.Service); ok && len(s) > 0 {
				*s[0].UpdatedAt = client.Time{} // it varies with the recording
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestServicesOfOldServers(t *testing.T) {
	got, err := play(t, recordings(t)["services at 3.0"]).Services(t.Context(), client.ServiceFilter{})
	if err != nil || len(got) != 5 || got[2].Cluster != nil || got[2].BackendState != nil || *got[2].ReplicationStatus != "enabled" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestChanges(t *testing.T) {
	tests := []struct {
		recording string
		call      func(context.Context, *client.Client) (client.Change, error)
		wantErr   string
		wantKind  cinder.Kind
	}{
		{recording: "enable/clustered@3.70", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Enable(ctx, "node1@lvm", "cinder-volume")
		}},
		{recording: "disable/clustered", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Disable(ctx, "node1@lvm", "cinder-volume", "")
		}},
		{recording: "disable-log-reason/reason-plain", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Disable(ctx, "stor1@lvm", "cinder-volume", "maintenance")
		}},
		{recording: "freeze", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Freeze(ctx, client.Target{Host: "host1@alpha"})
		}},
		{recording: "failover_host", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Failover(ctx, client.Target{Host: "host1@alpha"}, "")
		}},
		{recording: "failover", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Failover(ctx, client.Target{Cluster: "mycl@alpha"}, "site-b")
		}},
		{recording: "set-log", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.SetLog(ctx, client.LogFilter{Binary: "cinder-volume", Server: "host1@alpha", Prefix: "cinder.nobody.has.this"}, cinder.LogDebug)
		}},
		{recording: "clusters/enable@3.70", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			got, change, err := c.EnableCluster(ctx, "cold@tape", "cinder-volume")
			if got.Status != "enabled" || got.Name != "cold@tape" {
				t.Errorf("cluster %+v", got)
			}
			return change, err
		}},
		{recording: "clusters/disable@3.70", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			got, change, err := c.DisableCluster(ctx, "mycluster@lvm", "cinder-volume", "why")
			if got.Status != "disabled" || *got.DisabledReason != "why" {
				t.Errorf("cluster %+v", got)
			}
			return change, err
		}},

		{recording: "thaw refused", wantKind: cinder.KindConflict, wantErr: "Backend reported error during thaw_host operation.", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Thaw(ctx, client.Target{Host: "host1@gamma"})
		}},
		{recording: "freeze nobody", wantKind: cinder.KindInvalid, wantErr: "No service found with host=nope", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Freeze(ctx, client.Target{Host: "nope"})
		}},
		{recording: "failover nobody", wantKind: cinder.KindInvalid, wantErr: "No service found with host=nope", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Failover(ctx, client.Target{Host: "nope"}, "site-b")
		}},
		{recording: "enable nobody", wantKind: cinder.KindNotFound, wantErr: "Service cinder-volume could not be found on host nope.", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.Enable(ctx, "nope", "cinder-volume")
		}},
		{recording: "set-log, bad level", wantKind: cinder.KindInvalid, wantErr: "Invalid input received: LOUD is not a valid log level.", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			return c.SetLog(ctx, client.LogFilter{Binary: "cinder-volume"}, "LOUD")
		}},
		{recording: "no token", wantKind: cinder.KindUnauthenticated, wantErr: "The request you have made requires authentication.", call: list},
		{recording: "not allowed", wantKind: cinder.KindForbidden, wantErr: "Policy doesn't allow volume_extension:services:index to be performed.", call: list},
		{recording: "clusters/show-nope@3.26", wantKind: cinder.KindNotFound, wantErr: "Cluster {'binary': 'cinder-volume', 'name': 'nope'} could not be found.", call: func(ctx context.Context, c *client.Client) (client.Change, error) {
			_, err := c.Cluster(ctx, "nope", "")
			return client.Change{}, err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.recording, func(t *testing.T) {
			r := recordings(t)[tt.recording]
			change, err := tt.call(t.Context(), play(t, r))
			if tt.wantErr != "" {
				checkError(t, err, tt.wantKind, tt.wantErr)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := change.RequestID, r.Headers["X-Openstack-Request-Id"]; got != want {
				t.Errorf("request id %q, want %q", got, want)
			}
		})
	}
}

func list(ctx context.Context, c *client.Client) (client.Change, error) {
	_, err := c.Services(ctx, client.ServiceFilter{})
	return client.Change{}, err
}

func checkError(t *testing.T, err error, kind cinder.Kind, msg string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	if got := cinder.KindOf(err); got != kind {
		t.Errorf("kind %v, want %v", got, kind)
	}
	if got := err.Error(); got != msg {
		t.Errorf("got  %s\nwant %s", got, msg)
	}
}

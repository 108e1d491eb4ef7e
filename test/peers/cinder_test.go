package peers

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDatabasesWithTheTablesOfCinder(t *testing.T) {
	for name, engine := range databases(t) {
		t.Run(name, func(t *testing.T) {
			d := engine(t)
			for range 2 {
				db := Open(t, d.Cinder(t))
				var revision string
				var services int
				if err := db.QueryRowContext(t.Context(), "SELECT version_num FROM alembic_version").Scan(&revision); err != nil || revision == "" {
					t.Errorf("revision %q, want one: %v", revision, err)
				}
				if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM services").Scan(&services); err != nil || services != 0 {
					t.Errorf("%d services, want none: %v", services, err)
				}
			}
		})
	}
}

func TestCinder(t *testing.T) { engines.Each(t, cinderWorks) }

func cinderWorks(t *testing.T, engines *Shared) {
	t.Helper()
	c := StartCinder(t, CinderOptions{Release: engines.Release(), Database: engines.MariaDB(t).Cinder(t), Transport: engines.RabbitMQ(t).URL(t)})
	const project, noauth = "/v3/0123456789abcdef/", "admin:0123456789abcdef"
	if status, text := ask(t, c, noauth, http.MethodGet, project+"os-services", ""); status != http.StatusOK || strings.Count(text, `"state": "up"`) != 5 {
		t.Fatalf("five services are not up: %d %s", status, text)
	}
	if status, text := ask(t, c, noauth, http.MethodPut, project+"os-services/freeze", `{"host": "host1@alpha"}`); status != http.StatusOK {
		t.Errorf("freeze: %d %s", status, text)
	}
	c.Tell(t, "alpha", map[string]any{"thaw_error": "the array is rebuilding"})
	if status, text := ask(t, c, noauth, http.MethodPut, project+"os-services/thaw", `{"host": "host1@alpha"}`); status != http.StatusOK || !strings.Contains(text, "Backend reported error") {
		t.Errorf("a refused thaw: %d %s", status, text)
	}
	if diff := cmp.Diff([]string{"freeze", "freeze done", "thaw"}, c.Calls(t, "alpha")); diff != "" {
		t.Errorf("what alpha was told (-want +got):\n%s", diff)
	}

	volume := c.Service(t, "volume")
	volume.Pause(t)
	if status, text := ask(t, c, noauth, http.MethodPut, project+"os-services/freeze", `{"host": "host1@beta"}`); status != http.StatusInternalServerError {
		t.Errorf("freeze by a paused service: %d %s", status, text)
	}
	volume.Kill(t)
	if got := c.Calls(t, "beta"); len(got) != 0 {
		t.Errorf("beta was told %q while it was paused", got)
	}
	volume.Start(t)
	if _, text := ask(t, c, noauth, http.MethodGet, project+"os-services?binary=cinder-volume", ""); strings.Count(text, `"state": "up"`) != 3 {
		t.Errorf("after the start: %s", text)
	}
}

// ask does a request of a real cinder-api, at a version whose list asks no scheduler.
func ask(t *testing.T, c *Cinder, token, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("OpenStack-API-Version", "volume 3.40")
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

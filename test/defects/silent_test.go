package defects

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// away are the two ways in which a service does not answer.
func away(service *peers.Engine) map[string][2]func(testing.TB) {
	return map[string][2]func(testing.TB){
		"dead":    {service.Kill, service.Start},
		"stopped": {service.Pause, service.Resume},
	}
}

// Cinder answers 500 for all of them, after its timeout.
func TestGetLogWithASilentService(t *testing.T) { byHost(t, getLogWithASilentService) }

func getLogWithASilentService(t *testing.T, p place) {
	t.Helper()
	for name, s := range away(p.volumes["host1"].Service(t, "volume")) {
		t.Run(name, func(t *testing.T) {
			s[0](t)
			var got cloud.Answer
			var told, silent map[string]bool
			defer func() {
				if t.Failed() {
					t.Logf("levels of %v, without an answer from %v: %s", told, silent, got.Body)
				}
			}()
			// On a busy machine those who are well may be late for once.
			cloud.Eventually(t, "the scheduler and the backup service tell their levels, and alpha, beta and gamma are named", func() bool {
				got = p.api.Put(t, "os-services/get-log", cloud.Newest, map[string]any{"binary": "", "prefix": "cinder.manager"})
				var said struct {
					LogLevels  []struct{ Binary string } `json:"log_levels"`
					Unanswered []struct{ Binary, Host, Reason string }
				}
				if err := json.Unmarshal([]byte(got.Body), &said); err != nil || got.Status != ok {
					t.Fatalf("%d %s", got.Status, got.Body)
				}
				told, silent = map[string]bool{}, map[string]bool{}
				for _, l := range said.LogLevels {
					told[l.Binary] = true
				}
				for _, u := range said.Unanswered {
					silent[u.Binary+" "+u.Host] = u.Reason != ""
				}
				return told["cinder-scheduler"] && told["cinder-backup"] && !told["cinder-volume"] && len(silent) == 3 &&
					silent["cinder-volume host1@alpha"] && silent["cinder-volume host1@beta"] && silent["cinder-volume host1@gamma"]
			})
			s[1](t)
			cloud.Eventually(t, "all answer", func() bool {
				got := p.api.Put(t, "os-services/get-log", cloud.Newest, map[string]any{"binary": "", "prefix": "cinder.manager"})
				return got.Status == ok && !strings.Contains(got.Body, "unanswered")
			})
		})
	}
}

// Cinder answers 500, after its timeout, whichever services are asked for.
func TestListWithoutAScheduler(t *testing.T) { byHost(t, listWithoutAScheduler) }

func listWithoutAScheduler(t *testing.T, p place) {
	t.Helper()
	for name, s := range away(p.central.Service(t, "scheduler")) {
		t.Run(name, func(t *testing.T) {
			s[0](t)
			// What the scheduler said last may be a second old.
			cloud.Eventually(t, "the state of the backends is not known", func() bool {
				return strings.Contains(strings.ReplaceAll(p.api.Get(t, "os-services?host=host1@alpha", cloud.Newest), " ", ""), `"backend_state":null`)
			})
			for _, path := range []string{"os-services", "os-services?binary=cinder-backup"} {
				var fastest time.Duration
				for i := range 3 { // a busy machine may be late for once
					began := time.Now()
					if got, err := p.api.Ask(t.Context(), http.MethodGet, path, cloud.Newest, nil); err != nil || got.Status != ok || !strings.Contains(got.Body, "cinder-backup") {
						t.Fatalf("%s: %d %s: %v", path, got.Status, got.Body, err)
					}
					if took := time.Since(began); i == 0 || took < fastest {
						fastest = took
					}
				}
				// It waits for a second at most; the response timeout is six.
				if fastest > 4*time.Second {
					t.Errorf("%s takes %v", path, fastest)
				}
			}
			s[1](t)
			cloud.Eventually(t, "the state of the backends is known again", func() bool {
				return strings.Contains(strings.ReplaceAll(p.api.Get(t, "os-services?host=host1@alpha", cloud.Newest), " ", ""), `"backend_state":"up"`)
			})
		})
	}
}

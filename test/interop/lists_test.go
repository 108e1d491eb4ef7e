package interop

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"stoker/test/cloud"
	"stoker/test/load"
	"stoker/test/peers"
)

// lists are the paths whose answers the two APIs have to give alike, each at the
// versions in which it looks different.
func lists() map[string][]string {
	return map[string][]string{
		"os-services": {"3.0", "3.7", "3.48", "3.70"},
		"os-services?binary=cinder-volume&host=host1": {"3.70"},
		"os-services?host=host1@alpha":                {"3.70"},
		"os-services?service=cinder-backup":           {"3.70"},
		"clusters":                                    {"3.7", "3.70"},
		"clusters/detail":                             {"3.7", "3.70"},
	}
}

// alike checks that both APIs give the same answers on the same rows. Heartbeats
// go on and schedulers learn meanwhile, so that it is tried for a while whether
// two answers of the same moment are the same, but for what may differ.
func alike(t *testing.T, ours, cinder cloud.API, but ...func(content any)) {
	t.Helper()
	for path, versions := range lists() {
		for _, version := range versions {
			var diff string
			if !soon(t, func() bool {
				theirs, mine := content(t, cinder.Get(t, path, version)), content(t, ours.Get(t, path, version))
				for _, drop := range but {
					drop(theirs)
					drop(mine)
				}
				diff = gocmp.Diff(theirs, mine)
				return diff == ""
			}) {
				t.Errorf("%s at %s (-%s +%s):\n%s", path, version, cinder.Name, ours.Name, diff)
			}
		}
	}
}

// backendStateOfClusters is what Cinder looks for under the wrong name: it is not
// compared.
func backendStateOfClusters(content any) {
	list, _ := content.(map[string]any)
	services, _ := list["services"].([]any)
	for _, s := range services {
		if s, ok := s.(map[string]any); ok && s["cluster"] != nil {
			delete(s, "backend_state")
		}
	}
}

// soon tries for a while whether something is so: what a list shows of pools may be
// a second old, a scheduler hears of changes a little later still, and heartbeats
// come between two answers that are compared.
func soon(t *testing.T, so func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), load.Patience)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
	return true
}

// content is what an answer means: the order of a list does not matter.
func content(t *testing.T, body string) any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, v := range value {
		if l, ok := v.([]any); ok {
			slices.SortFunc(l, func(a, b any) int { return cmp.Compare(text(a), text(b)) })
		}
	}
	return value
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// client runs a release's own command line of Cinder against an API, and returns
// what it prints.
func client(t *testing.T, in peers.Release, a cloud.API, args ...string) string {
	t.Helper()
	cmd := in.Command(t.Context(), in.Need(t, "Cinder's client", "/usr/bin/cinder"), append([]string{
		"--os-auth-type", "noauth", "--os-endpoint", a.URL + "/v3", "--os-project-id", cloud.Project, "--os-user-id", "admin", "--os-volume-api-version", "3.66",
	}, args...)...)
	cmd.Env = append(cmd.Environ(), "PYTHONWARNINGS=ignore")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cinder %s against %s: %v\n%s", strings.Join(args, " "), a.Name, err, out)
	}
	return string(out)
}

// stamps is a table without its times.
func stamps(table string) string {
	return regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+`).ReplaceAllString(table, "TIME")
}

// level is a service's log level under a prefix, as an API reads it; "" when it
// does not say.
func level(t *testing.T, a cloud.API, binary, host, prefix string) string {
	t.Helper()
	got := a.Put(t, "os-services/get-log", cloud.Newest, map[string]any{"binary": binary, "server": host, "prefix": prefix})
	if got.Status != http.StatusOK {
		t.Fatalf("%s: get-log of %s on %s: %d %s", a.Name, binary, host, got.Status, got.Body)
	}
	var said struct {
		LogLevels []struct {
			Binary string            `json:"binary"`
			Host   string            `json:"host"`
			Levels map[string]string `json:"levels"`
		} `json:"log_levels"`
	}
	if err := json.Unmarshal([]byte(got.Body), &said); err != nil {
		t.Fatal(err)
	}
	for _, l := range said.LogLevels {
		if l.Host == host && l.Binary == binary {
			return l.Levels[prefix]
		}
	}
	return ""
}

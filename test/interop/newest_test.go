package interop

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// deaf says whether cinder-api of a release answers enable and disable with 200 and
// changes nothing, and has no failover, as from 28 on.
func deaf(r peers.Release) bool { return r == peers.Sid }

// failover is the action by which an API fails over a cluster.
func failover(r peers.Release, ours bool) string {
	if !ours && deaf(r) {
		return "failover_host"
	}
	return "failover"
}

// What README shows of a real Cinder and Stoker, with a program that anybody has. A
// Cinder that is not deaf disables the service itself.
func TestReadmeBesideCinder(t *testing.T) {
	t.Parallel()
	engines.Each(t, readmeBesideCinder)
}

func readmeBesideCinder(t *testing.T, engines *peers.Shared) {
	t.Helper()
	d := cloud.New(t, engines)
	python := d.Python(t, "host1", "scheduler", "volume", "api")
	d.Sync(t)
	own := d.Stoker(t, "ctl1", "api")
	run := func(line string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", line)
		cmd.Env = append(os.Environ(), "CINDER="+python.URL+"/v3/"+cloud.Project, "STOKER="+own.URL+"/v3/"+cloud.Project, "TOKEN=admin:"+cloud.Project)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	peers.Need(t, "curl", "curl")
	for _, l := range readme(t) {
		before := d.Rows(t)
		out := run(l.command)
		if l.shows == "" {
			continue
		}
		want := l.shows
		if !deaf(d.Options.Release) {
			want = `"status": "disabled"`
		}
		if !strings.Contains(strings.ReplaceAll(out, `":"`, `": "`), want) {
			t.Errorf("%s\nsays %s, want %s; rows before: %v", l.command, out, want, before)
		}
	}
	rows := d.Rows(t)
	if rows["host1@alpha"] != "disabled enabled" {
		t.Errorf("in the end the row is %q", rows["host1@alpha"])
	}
	enable := map[string]any{"host": "host1@alpha", "binary": "cinder-volume"}
	for _, a := range []struct {
		api  cloud.API
		want string
	}{
		{cloud.API{Name: "cinder-api", URL: python.URL}, map[bool]string{true: "disabled enabled", false: healthy}[deaf(d.Options.Release)]},
		{cloud.API{Name: "stoker", URL: own.URL}, healthy},
	} {
		a.api.Must(t, "os-services/enable", maps.Clone(enable))
		if got := d.Rows(t)["host1@alpha"]; got != a.want {
			t.Errorf("after an enable by %s the row is %q, want %q", a.api.Name, got, a.want)
		}
	}
}

// line is a command of README's, and what it says that it shows.
type line struct{ command, shows string }

// readme are the commands that README has of Cinder's newest release.
func readme(t *testing.T) (lines []line) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- newest -->")
	part, _, found := strings.Cut(rest, "<!-- /newest -->")
	for _, m := range regexp.MustCompile(`(?m)^ +\$ (.*?)(?: +# ("status": "\w+").*)?$`).FindAllStringSubmatch(part, -1) {
		lines = append(lines, line{strings.Replace(m[1], "curl ", "curl -sSf ", 1), m[2]})
	}
	if !found || len(lines) != 4 {
		t.Fatalf("README has %d commands between <!-- newest --> and <!-- /newest -->, want 4", len(lines))
	}
	return lines
}

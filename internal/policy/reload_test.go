package policy_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/policy"
)

const list = "volume_extension:services:index"

func reader() cinder.Caller {
	return cinder.Caller{UserID: "u", ProjectID: "p", Roles: []string{"reader"}, IsAdminProject: true}
}

// site is a directory with policy files that change.
type site struct {
	dir, file string
	log       bytes.Buffer
	e         *policy.Enforcer
	t         *testing.T
}

func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), t: t}
	s.file = filepath.Join(s.dir, "policy.yaml")
	for name, text := range files {
		s.write(name, text)
	}
	var err error
	if s.e, err = policy.New(s.options()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) options() policy.Options {
	return policy.Options{
		File: "policy.yaml", Dirs: []string{"policy.d", filepath.Join(s.dir, "more.d")}, Find: s.find,
		DefaultRule: "default", Interval: -1, Log: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
}

// find searches the test's directory, like a configuration directory.
func (s *site) find(name string) []string {
	if filepath.IsAbs(name) {
		return []string{name}
	}
	return []string{filepath.Join(s.dir, "nosuch", name), filepath.Join(s.dir, name)}
}

// write replaces a file by a new one, as operators are told to.
func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) remove(name string) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) want(allowed bool) {
	s.t.Helper()
	if err := s.e.Allow(s.t.Context(), reader(), list); (err == nil) != allowed {
		s.t.Errorf("a reader may list: %v, want %v", err, allowed)
	}
}

// rule is a policy file whose check decides who may list.
func rule(check string) string { return `"` + list + `": "` + check + "\"\n" }

func TestChangesAreSeen(t *testing.T) {
	s := newSite(t, nil)
	s.want(false)
	s.write("policy.yaml", rule("role:reader"))
	s.want(true)
	s.write("policy.yaml", rule("role:xeader")) // the same length
	s.want(false)
	s.write("policy.d/20-a.yaml", rule("@"))
	s.want(true)
	s.write("policy.d/30-b.json", `{"`+list+`": "!"}`)
	s.want(false)
	s.write("more.d/10", rule("@"))
	s.want(true)
	s.remove("more.d")
	s.want(false)
	s.remove("policy.d/30-b.json")
	s.want(true)
	s.write("policy.d/.hidden", rule("!"))
	s.write("policy.d/below/x.yaml", rule("!"))
	s.want(true)
	if h := s.e.Health(); h.Err != nil || h.Failures != 0 || h.Reads < 8 {
		t.Errorf("health is %+v", h)
	}
}

// TestAChangeThatTheClockDoesNotShow rewrites a file in place within the clock's
// resolution, to the same length.
func TestAChangeThatTheClockDoesNotShow(t *testing.T) {
	s := newSite(t, map[string]string{"policy.yaml": rule("role:reader")})
	s.want(true)
	info, err := os.Stat(s.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file, []byte(rule("role:xeader")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(s.file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	s.want(false)
}

func TestFilesAreNotReadMoreOftenThanAsked(t *testing.T) {
	s := newSite(t, map[string]string{"policy.yaml": rule("@")})
	o := s.options()
	o.Interval = time.Hour
	e, err := policy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.write("policy.yaml", rule("!"))
	if err := e.Allow(t.Context(), reader(), list); err != nil {
		t.Errorf("the file was looked at: %v", err)
	}
}

func TestTheLastGoodRulesStay(t *testing.T) {
	for name, spoil := range map[string]func(*site){
		"no YAML":              func(s *site) { s.write("policy.yaml", "a: b: c\n") },
		"no mapping":           func(s *site) { s.write("policy.yaml", "- a\n") },
		"not UTF-8":            func(s *site) { s.write("policy.yaml", "a: \xff\n") },
		"a directory":          func(s *site) { s.remove("policy.yaml"); s.write("policy.yaml/x", "") },
		"too long":             func(s *site) { s.write("policy.yaml", strings.Repeat("#\n", 1<<20)) },
		"gone":                 func(s *site) { s.remove("policy.yaml") },
		"bad in the directory": func(s *site) { s.write("policy.d/x.yaml", "{") },
		"a link to nowhere":    func(s *site) { s.link("policy.d/x.yaml") },
		"nested without end":   func(s *site) { s.write("policy.yaml", "a: &a [*a]\n") },
		"too deep":             func(s *site) { s.write("policy.yaml", "a: "+strings.Repeat("[", 20000)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, map[string]string{"policy.yaml": rule("@")})
			s.write("policy.d/0.yaml", "a: '@'\n")
			s.want(true)
			spoil(s)
			s.want(true)
			s.want(true)
			h := s.e.Health()
			if h.Err == nil || !strings.Contains(h.Err.Error(), "policy.") || h.Failures < 2 || h.Since.IsZero() {
				t.Errorf("health is %+v", h)
			}
			if n := strings.Count(s.log.String(), "level=ERROR"); n != 1 {
				t.Errorf("%d errors in the log, want one:\n%s", n, s.log.String())
			}
			s.remove("policy.yaml")
			s.remove("policy.d")
			s.write("policy.yaml", rule("!"))
			s.want(false)
			if h := s.e.Health(); h.Err != nil {
				t.Errorf("mended, health is %+v", h)
			}
		})
	}
}

// TestAnotherFileIsNoSubstitute checks that when the policy file disappears, a file at
// the next path is not used instead.
func TestAnotherFileIsNoSubstitute(t *testing.T) {
	s := newSite(t, nil)
	s.write("policy.yaml", rule("!"))
	s.want(false)
	s.write("nosuch/policy.yaml", rule("@")) // would have been found first
	s.want(false)
	s.remove("policy.yaml")
	s.want(false)
	if h := s.e.Health(); h.Err == nil {
		t.Error("nothing is said about it")
	}
	s.write("policy.yaml", rule("role:reader"))
	s.want(true)
}

func (s *site) link(name string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.dir, "policy.d"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink("/nosuch", filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

func TestABadFileIsFatalAtStart(t *testing.T) {
	for name, text := range map[string]string{"no YAML": "a: b: c", "no mapping": "[a]", "two documents": "a: b\n---\nc: d\n"} {
		s := newSite(t, nil)
		s.write("policy.yaml", text)
		if _, err := policy.New(s.options()); err == nil || !strings.Contains(err.Error(), s.file) {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
	}
}

func TestABadRuleDeniesAlone(t *testing.T) {
	s := newSite(t, map[string]string{"policy.yaml": rule("role:reader and") + "'clusters:get': 'role:reader'\n'volume:thaw_host': 'rule:nosuch'\n'clusters:update': 'rule:clusters:update'\n"})
	s.want(false)
	if err := s.e.Allow(t.Context(), reader(), "clusters:get"); err != nil {
		t.Errorf("the rule beside it: %v", err)
	}
	if got := strings.Join(s.e.Health().Broken, " "); got != list+" volume:thaw_host clusters:update" {
		t.Errorf("broken are %s", got)
	}
	for _, name := range []string{list, "volume:thaw_host", "clusters:update"} {
		if !strings.Contains(s.log.String(), "rule="+name) {
			t.Errorf("the log does not speak of %s:\n%s", name, s.log.String())
		}
	}
}

// TestAnEmptyRuleIsLoud checks that an empty rule passes for everybody, as in
// oslo.policy, and that this is logged.
func TestAnEmptyRuleIsLoud(t *testing.T) {
	s := newSite(t, map[string]string{"policy.yaml": `"` + list + "\": !\n"})
	s.want(true)
	if !strings.Contains(s.log.String(), "lets everybody in") {
		t.Errorf("the log says nothing:\n%s", s.log.String())
	}
}

func TestOurOwnRules(t *testing.T) {
	e := enforcer(t, "")
	admin := cinder.Caller{UserID: "a", ProjectID: "p", Roles: []string{"admin"}, IsAdminProject: true}
	system := cinder.Caller{UserID: "s", SystemScope: "all", Roles: []string{"reader"}, IsAdminProject: true}
	for _, tt := range []struct {
		rule   string
		caller cinder.Caller
		want   bool
	}{
		{"stoker:operations:index", admin, true},
		{"stoker:operations:index", system, true},
		{"stoker:operations:index", reader(), false},
		{"stoker:operations:abort", admin, true},
		{"stoker:operations:abort", system, false},
		{"stoker:nosuch", admin, false},
	} {
		if err := e.Allow(t.Context(), tt.caller, tt.rule); (err == nil) != tt.want {
			t.Errorf("%s of %s: %v, want %v", tt.rule, tt.caller.UserID, err, tt.want)
		}
	}
	for _, r := range e.Rules() {
		if r.Problems != nil || r.Default.Description == "" || r.Source != policy.SourceDefault {
			t.Errorf("a default is not whole: %+v", r)
		}
	}
}

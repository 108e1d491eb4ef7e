package policy

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

func administrator() cinder.Caller {
	return cinder.Caller{UserID: "u1", ProjectID: "p1", Roles: []string{"reader", "member", "admin"}, IsAdminProject: true}
}

func TestExplain(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.Explain(t.Context(), cinder.Caller{UserID: "u1", Roles: []string{"member"}}, "clusters:get")
	if err != nil {
		t.Fatal(err)
	}
	roles := "the roles are member"
	want := Explanation{
		Rule:  x.Rule,
		Admin: &Step{Check: "role:admin", Why: roles},
		Steps: &Step{
			Check: "rule:admin_api", Why: "is_admin:True or (role:admin and is_admin_project:True), of default",
			Steps: []*Step{{
				Check: "(is_admin:True or (role:admin and is_admin_project:True))",
				Steps: []*Step{
					{Check: "is_admin:True", Why: "the caller's is False, compared with 'True'"},
					{Check: "(role:admin and is_admin_project:True)", Steps: []*Step{{Check: "role:admin", Why: roles}}},
				},
			}},
		},
	}
	if diff := cmp.Diff(want, x, cmp.AllowUnexported(Rule{}), cmp.Comparer(func(a, b check) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if x, err := e.Explain(t.Context(), administrator(), "clusters:get"); err != nil || !x.Allowed {
		t.Errorf("an administrator: %+v, %v", x, err)
	}
	if _, err := e.Explain(t.Context(), administrator(), "nosuch"); cinder.KindOf(err) != cinder.KindNotFound {
		t.Errorf("no such rule: %v", err)
	}
}

// FuzzRule checks that the text form of a parsed rule means the same as the rule.
func FuzzRule(f *testing.F) {
	for _, c := range verdicts(f, "testdata/verdicts.json") {
		if text, ok := c.Rules["x"].(string); ok {
			f.Add(text)
		}
	}
	caller := administrator()
	f.Fuzz(func(t *testing.T, text string) {
		o := Options{Remote: Remote{CAFile: "/nosuch", VerifyServer: true}}
		if strings.Contains(text, "http") {
			t.Skip("asks a server")
		}
		c := parseText(text)
		decide := func(c check) (bool, error) {
			s := newRuleset(&o, map[string]fileRule{})
			s.rules["x"] = &Rule{check: c}
			return s.allows(context.Background(), &caller, "x", nil)
		}
		ok, err := decide(c)
		if ok && err != nil {
			t.Errorf("%q passes and has no verdict: %v", text, err)
		}
		if len(problems(c)) > 0 || err != nil {
			return
		}
		again, err := decide(parseText(c.String()))
		if again != ok || err != nil {
			t.Errorf("%q is told as %q, and that means %v, %v; want %v", text, c.String(), again, err, ok)
		}
	})
}

// FuzzFile checks that any file is either a mapping or an error.
func FuzzFile(f *testing.F) {
	for _, c := range verdicts(f, "testdata/verdicts.json") {
		for _, text := range c.Files {
			if text != nil {
				f.Add([]byte(*text))
			}
		}
	}
	caller := administrator()
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parseFile(text)
		if err != nil {
			return
		}
		files := map[string]fileRule{}
		for name, v := range found {
			files[name] = fileRule{value: v}
		}
		s := newRuleset(&Options{}, files)
		for name, r := range s.rules {
			if strings.Contains(r.Check, "http") {
				continue
			}
			if ok, err := s.allows(context.Background(), &caller, name, &Step{}); ok && err != nil {
				t.Errorf("%s passes and has no verdict: %v", name, err)
			}
		}
	})
}

// TestBounds checks that rules which multiply or refer to themselves terminate.
func TestBounds(t *testing.T) {
	doubling := map[string]fileRule{"r30": {value: "!"}}
	for i := range 30 {
		next := "rule:r" + json.Number(itoa(i+1)).String()
		doubling["r"+itoa(i)] = fileRule{value: "(" + next + " or " + next + ") or (" + next + " or " + next + ")"}
	}
	caller := administrator()
	for name, files := range map[string]map[string]fileRule{
		"doubling": doubling,
		"cycle":    {"r0": {value: "not rule:r0"}},
		"wide":     {"r0": {value: strings.Repeat("role:x or ", 20000) + "@"}},
		"deep":     {"r0": {value: strings.Repeat("not ", 20000) + "@"}},
	} {
		s := newRuleset(&Options{}, files)
		if ok, err := s.allows(t.Context(), &caller, "r0", nil); ok || err == nil {
			t.Errorf("%s: %v, %v, want no verdict", name, ok, err)
		}
	}
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

func BenchmarkAllow(b *testing.B) {
	path := b.TempDir() + "/policy.yaml"
	if err := os.WriteFile(path, []byte("nothing: '!'\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	e, err := New(Options{File: path, Dirs: []string{b.TempDir()}})
	if err != nil {
		b.Fatal(err)
	}
	caller := administrator()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Allow(ctx, caller, "volume_extension:services:index"); err != nil {
			b.Fatal(err)
		}
	}
}

// TestConcurrentReload has many callers while the files change: each decision is based
// on one version of the policy.
func TestConcurrentReload(t *testing.T) {
	path := t.TempDir() + "/policy.yaml"
	write := func(text string) {
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}
	// Both rules change together: neither passes, or both.
	both := func(check string) string { return "a: '" + check + "'\nb: 'rule:a'\n" }
	write(both("@"))
	e, err := New(Options{File: path, Interval: -1})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			caller := administrator()
			for range 200 {
				s := e.rules.Load()
				a, errA := s.allows(t.Context(), &caller, "a", nil)
				b, errB := s.allows(t.Context(), &caller, "b", nil)
				if a != b || errA != nil || errB != nil {
					t.Errorf("a %v %v, b %v %v", a, errA, b, errB)
				}
				if err := e.Allow(t.Context(), caller, "a"); err != nil && cinder.KindOf(err) != cinder.KindForbidden {
					t.Error(err)
				}
				if rand.IntN(10) == 0 {
					e.Health()
				}
			}
		}()
	}
	for i := range 50 {
		write(both([]string{"@", "!"}[i%2]))
	}
	for range 4 {
		<-done
	}
}

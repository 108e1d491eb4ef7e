package policy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// verdict is a case of testdata/verdicts.json: a decision of oslo.policy.
type verdict struct {
	Name     string
	Rules    map[string]any
	Files    []*string
	Caller   object
	Target   object
	Ask      string
	Options  map[string]any
	Defaults [][]any
	Want     string
	Ours     string
	Differs  *string
}

func verdicts(tb testing.TB, path string) []verdict {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var file struct {
		Caller, Target object
		Cases          []verdict
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&file); err != nil {
		tb.Fatal(err)
	}
	for i := range file.Cases {
		c := &file.Cases[i]
		if c.Caller == nil {
			c.Caller = file.Caller
		}
		if c.Target == nil {
			c.Target = file.Target
		}
		// As the enforcer does before it decides.
		if scope, ok := c.Caller["system_scope"].(string); ok {
			c.Caller["system"] = scope
		}
		if roles, ok := c.Caller["roles"].([]any); ok {
			texts := make([]string, len(roles))
			for i, r := range roles {
				texts[i] = r.(string)
			}
			c.Caller["roles"] = texts
		}
	}
	return file.Cases
}

// options returns the options of the case.
func (c verdict) options(tb testing.TB) Options {
	tb.Helper()
	o := Options{DefaultRule: "default", Defaults: []Default{}}
	if name, ok := c.Options["policy_default_rule"].(string); ok {
		o.DefaultRule = name
	}
	o.EnforceScope, _ = c.Options["enforce_scope"].(bool)
	o.EnforceNewDefaults, _ = c.Options["enforce_new_defaults"].(bool)
	for _, d := range c.Defaults {
		made := Default{Name: d[0].(string), Check: d[1].(string)}
		if scopes, ok := d[2].([]any); ok {
			for _, s := range scopes {
				made.ScopeTypes = append(made.ScopeTypes, s.(string))
			}
		}
		if old, ok := d[3].([]any); ok {
			made.Deprecated = &Deprecated{old[0].(string), old[1].(string)}
		}
		o.Defaults = append(o.Defaults, made)
	}
	return o
}

// rules returns the rules of the case; nil when they cannot be read.
func (c verdict) rules(tb testing.TB) *ruleset {
	tb.Helper()
	o := c.options(tb)
	if c.Files == nil {
		rules := map[string]fileRule{}
		for name, v := range c.Rules {
			rules[name] = fileRule{value: v}
		}
		return newRuleset(&o, rules)
	}
	dir := tb.TempDir()
	o.File, o.Dirs = filepath.Join(dir, "policy.yaml"), []string{filepath.Join(dir, "policy.d")}
	if err := os.Mkdir(o.Dirs[0], 0o700); err != nil {
		tb.Fatal(err)
	}
	for i, text := range c.Files {
		path := o.File
		if i > 0 {
			path = filepath.Join(o.Dirs[0], strconv.Itoa(i-1)+".yaml")
		}
		if text == nil {
			continue
		}
		if err := os.WriteFile(path, []byte(*text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	e, err := New(o)
	if err != nil {
		return nil
	}
	return e.rules.Load()
}

func (c verdict) decide(tb testing.TB) string {
	tb.Helper()
	rules := c.rules(tb)
	if rules == nil {
		return "error"
	}
	ok, err := rules.decide(&evaluation{ctx: tb.Context(), rules: rules, rule: c.Ask, caller: c.Caller, target: c.Target})
	switch {
	case err != nil && err != errNoRule: //nolint:errorlint // nothing wraps it
		if ok {
			tb.Error("what has no verdict passes")
		}
		return "error"
	case ok:
		return "allow"
	}
	return "deny"
}

func TestLikeOsloPolicy(t *testing.T) {
	cases := verdicts(t, "testdata/verdicts.json")
	if len(cases) < 800 {
		t.Fatalf("%d cases only", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			want := c.Want
			if c.Ours != "" {
				want = c.Ours
			}
			if got := c.decide(t); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// TestLikeOsloPolicyAtRandom reads random cases made by testdata/verdicts.py; see
// there.
func TestLikeOsloPolicyAtRandom(t *testing.T) {
	path := os.Getenv("VERDICTS")
	if path == "" {
		t.Skip("VERDICTS names no file of cases")
	}
	for _, c := range verdicts(t, path) {
		if got := c.decide(t); got != c.Want {
			t.Errorf("%v: %s, want %s", c.Rules, got, c.Want)
		}
	}
}

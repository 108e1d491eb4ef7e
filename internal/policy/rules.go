package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rule is a rule in force.
type Rule struct {
	Name     string
	Check    string   // the default's text, or that of the file
	Source   string   // "default", or the file
	Problems []string // what will not work as intended; nil when all is well

	Default Default // the rule without files; zero for a rule that only a file has

	check check
}

// SourceDefault is the source of rules that no file overrides.
const SourceDefault = "default"

// ruleset is an immutable set of rules.
type ruleset struct {
	rules    map[string]*Rule
	fallback string // the rule for names without one
	remote   Remote
	scope    bool // enforce_scope
}

// newRuleset merges the rules of files into the defaults.
func newRuleset(o *Options, files map[string]fileRule) *ruleset {
	s := &ruleset{rules: map[string]*Rule{}, fallback: o.DefaultRule, remote: o.Remote, scope: o.EnforceScope}
	for name, f := range files {
		c := parseRule(f.value)
		s.rules[name] = &Rule{Name: name, Check: ruleText(f.value, c), Source: f.path, check: c}
	}
	for _, d := range o.Defaults {
		r := s.rules[d.Name]
		if r == nil {
			r = s.defaultRule(o, d)
			s.rules[d.Name] = r
		}
		r.Default = d
	}
	for _, r := range s.rules {
		r.Problems = append(problems(r.check), s.dangling(r.check)...)
		if f, ok := files[r.Name]; ok && f.value == nil {
			r.Problems = append(r.Problems, `it is empty and lets everybody in; nobody is "!", in quotes`)
		}
		if s.cyclic(r) {
			r.Problems = append(r.Problems, "it refers to itself")
		}
	}
	return s
}

// ruleText is a rule's text as written, if it is text.
func ruleText(v any, c check) string {
	if text, ok := v.(string); ok && text != "" {
		return text
	}
	return c.String()
}

// defaultRule is the rule for a default that no file overrides. A file may still have
// it under its deprecated name, and whoever passes the deprecated check still passes.
func (s *ruleset) defaultRule(o *Options, d Default) *Rule {
	r := &Rule{Name: d.Name, Check: d.Check, Source: SourceDefault, check: parseRule(d.Check)}
	old := d.Deprecated
	if old == nil {
		return r
	}
	if f := s.rules[old.Name]; f != nil && f.Source != SourceDefault && old.Name != d.Name && f.check.String() != "rule:"+d.Name {
		return &Rule{Name: d.Name, Check: f.Check, Source: f.Source, check: f.check}
	}
	if !o.EnforceNewDefaults && old.Check != d.Check {
		r.check = anyOf{r.check, parseRule(old.Check)}
		r.Check = fmt.Sprintf("(%s) or (%s)", d.Check, old.Check)
	}
	return r
}

// find returns the rule with that name, or else the fallback.
func (s *ruleset) find(name string) *Rule {
	if r := s.rules[name]; r != nil {
		return r
	}
	if s.fallback == "" {
		return nil
	}
	return s.rules[s.fallback]
}

// references are the names of the rules that a check refers to.
func references(c check) []string {
	switch v := c.(type) {
	case ruleCheck:
		return []string{string(v)}
	case not:
		return references(v.check)
	case allOf:
		return referencesOf(v)
	case anyOf:
		return referencesOf(v)
	}
	return nil
}

func referencesOf(checks []check) []string {
	var names []string
	for _, c := range checks {
		names = append(names, references(c)...)
	}
	return names
}

// dangling lists the missing rules that a check refers to.
func (s *ruleset) dangling(c check) []string {
	var found []string
	for _, name := range references(c) {
		if s.find(name) == nil {
			found = append(found, fmt.Sprintf("there is no rule %s", name))
		}
	}
	return found
}

// cyclic reports whether a rule refers to itself, directly or indirectly.
func (s *ruleset) cyclic(r *Rule) bool {
	seen := map[string]bool{}
	next := references(r.check)
	for len(next) > 0 {
		name := next[len(next)-1]
		next = next[:len(next)-1]
		to := s.find(name)
		if to == r {
			return true
		}
		if to != nil && !seen[name] {
			seen[name] = true
			next = append(next, references(to.check)...)
		}
	}
	return false
}

// sorted returns the rules as a list: those with a default in their order, then the
// files' own.
func (s *ruleset) sorted(defaults []Default) []Rule {
	order := map[string]int{}
	for i, d := range defaults {
		order[d.Name] = i - len(defaults)
	}
	list := make([]Rule, 0, len(s.rules))
	for _, r := range slices.SortedFunc(maps.Values(s.rules), func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(order[a.Name], order[b.Name]), strings.Compare(a.Name, b.Name))
	}) {
		list = append(list, *r)
	}
	return list
}

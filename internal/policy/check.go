package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// check is a node of a parsed rule.
type check interface {
	// passes reports whether the check passes. An error ends the whole decision,
	// whatever surrounds the check, so that a "not" before a check that cannot be
	// evaluated does not permit anything.
	passes(e *evaluation) (bool, error)
	// String returns the check in oslo.policy's form.
	String() string
}

// evalError says why a check cannot be evaluated. In oslo.policy this is an exception,
// which Cinder answers with 500; here it denies.
type evalError struct{ why string }

func (e *evalError) Error() string { return e.why }

func evalErrorf(format string, args ...any) error { return &evalError{fmt.Sprintf(format, args...)} }

// errNoTarget means that the target lacks the attribute of a %(name)s. It fails the
// check. In an http: check it is an error, which an enclosing rule: turns into a
// failure.
var errNoTarget = errors.New("the target has no such attribute")

// maxSteps bounds a decision, since rules may refer to each other and to themselves.
// The largest policies of clouds take a few dozen.
const maxSteps = 5000

// evaluation is one decision in progress.
type evaluation struct {
	ctx     context.Context //nolint:containedctx // it lives as long as the decision, for checks that send requests
	rules   *ruleset
	rule    string // the rule being decided, which http: checks send
	caller  attributes
	target  attributes
	steps   int
	explain *Step // where to record the steps; may be nil
}

// run evaluates a check.
func (e *evaluation) run(c check) (bool, error) {
	if e.steps++; e.steps > maxSteps {
		return false, evalErrorf("more than %d checks: rules that refer to one another?", maxSteps)
	}
	if e.explain == nil {
		return c.passes(e)
	}
	step := &Step{Check: c.String()}
	above := e.explain
	above.Steps = append(above.Steps, step)
	e.explain = step
	ok, err := c.passes(e)
	e.explain = above
	step.Passed = ok
	if err != nil {
		step.Why = err.Error()
	}
	return ok, err
}

// note records an explanation for the current check.
func (e *evaluation) note(format string, args ...any) {
	if e.explain != nil {
		e.explain.Why = fmt.Sprintf(format, args...)
	}
}

// constant is @ (true) or ! (false).
type constant bool

func (c constant) passes(*evaluation) (bool, error) { return bool(c), nil }

func (c constant) String() string {
	if c {
		return "@"
	}
	return "!"
}

// unreadable is a check that cannot be parsed: it fails.
type unreadable struct{ text, why string }

func (c unreadable) passes(e *evaluation) (bool, error) { e.note("%s", c.why); return false, nil }
func (c unreadable) String() string                     { return c.text }

// unusable is a rule that oslo.policy accepts and then cannot evaluate.
type unusable struct{ text, why string }

func (c unusable) passes(*evaluation) (bool, error) { return false, evalErrorf("%s", c.why) }
func (c unusable) String() string                   { return c.text }

type not struct{ check check }

func (c not) passes(e *evaluation) (bool, error) {
	ok, err := e.run(c.check)
	return !ok && err == nil, err
}

func (c not) String() string { return "not " + c.check.String() }

// allOf is "and".
type allOf []check

func (c allOf) passes(e *evaluation) (bool, error) {
	for _, sub := range c {
		if ok, err := e.run(sub); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c allOf) String() string { return joined(c, " and ") }

// anyOf is "or".
type anyOf []check

func (c anyOf) passes(e *evaluation) (bool, error) {
	for _, sub := range c {
		if ok, err := e.run(sub); ok || err != nil {
			return ok && err == nil, err
		}
	}
	return false, nil
}

func (c anyOf) String() string { return joined(c, " or ") }

func joined(checks []check, word string) string {
	texts := make([]string, len(checks))
	for i, c := range checks {
		texts[i] = c.String()
	}
	return "(" + strings.Join(texts, word) + ")"
}

// ruleCheck is rule:NAME.
type ruleCheck string

func (c ruleCheck) passes(e *evaluation) (bool, error) {
	r := e.rules.find(string(c))
	if r == nil {
		e.note("there is no rule of that name, and no default rule")
		return false, nil
	}
	if e.explain != nil {
		e.note("%s, of %s", r.Check, r.Source)
	}
	ok, err := e.run(r.check)
	if errors.Is(err, errNoTarget) {
		return false, nil
	}
	return ok, err
}

func (c ruleCheck) String() string { return "rule:" + string(c) }

// roleCheck is role:NAME, compared without case.
type roleCheck struct{ name template }

func (c roleCheck) passes(e *evaluation) (bool, error) {
	name, err := c.name.fill(e.target)
	if err != nil {
		return false, unlessMissing(e, err)
	}
	has, _ := e.caller.attribute("roles")
	roles, ok := has.([]string)
	if !ok {
		return false, nil
	}
	switch {
	case e.explain == nil:
	case len(roles) == 0:
		e.note("there are no roles")
	default:
		e.note("the roles are %s", strings.Join(roles, ", "))
	}
	return slices.ContainsFunc(roles, func(r string) bool { return sameFold(r, name) }), nil
}

func (c roleCheck) String() string { return "role:" + c.name.text }

// sameFold compares like Python's lower(). strings.EqualFold equates more characters,
// for instance \u017f and s.
func sameFold(a, b string) bool {
	return a == b || strings.ToLower(a) == strings.ToLower(b) //nolint:staticcheck // see above
}

// unlessMissing returns a template's error, unless it is a missing attribute of the
// target.
func unlessMissing(e *evaluation, err error) error {
	if errors.Is(err, errNoTarget) {
		e.note("%s", err)
		return nil
	}
	return err
}

// attributeCheck is KIND:MATCH, where KIND is a dotted path to an attribute of the
// caller, or a Python literal.
type attributeCheck struct {
	kind    string
	literal *string  // its str(); nil for an attribute
	path    []string // of an attribute
	wrong   string   // why kind is neither
	match   template
}

func (c attributeCheck) passes(e *evaluation) (bool, error) {
	match, err := c.match.fill(e.target)
	if err != nil {
		return false, unlessMissing(e, err)
	}
	switch {
	case c.wrong != "":
		return false, evalErrorf("%s", c.wrong)
	case c.literal != nil:
		e.note("compared with %q", match)
		return *c.literal == match, nil
	}
	value, ok := e.caller.attribute(c.path[0])
	if !ok {
		e.note("the caller has no %s", c.path[0])
		return false, nil
	}
	if e.explain != nil {
		e.note("the caller's is %s, compared with %s", quoted(value), quoted(match))
	}
	return matches(value, c.path[1:], match)
}

func (c attributeCheck) String() string { return c.kind + ":" + c.match.text }

// matches reports whether the value at path has the text match. It looks into each
// element of a list.
func matches(value any, path []string, match string) (bool, error) {
	switch v := value.(type) {
	case error:
		return false, v
	case []string:
		for _, item := range v {
			if ok, err := matchesElement(item, path, match); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case []any:
		for _, item := range v {
			if ok, err := matchesElement(item, path, match); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	return matchesElement(value, path, match)
}

// matchesElement is matches for an element of a list, which is not searched itself if
// it is a list.
func matchesElement(value any, path []string, match string) (bool, error) {
	if len(path) == 0 {
		return textOf(value) == match, nil
	}
	m, ok := value.(map[string]any)
	if !ok {
		return false, evalErrorf("%s stands where an object with %s should", quoted(value), path[0])
	}
	value, ok = m[path[0]]
	if !ok {
		return false, nil
	}
	return matches(value, path[1:], match)
}

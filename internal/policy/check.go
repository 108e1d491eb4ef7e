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
	// passes says whether the check passes. An error is no verdict: it ends the
	// whole decision, whatever stands around the check, so that a "not" in front
	// of what cannot be evaluated opens nothing.
	passes(e *evaluation) (bool, error)
	// String is the check as oslo.policy writes it.
	String() string
}

// brokenError is why a check has no verdict. In oslo.policy it is an exception,
// which Cinder answers with 500; here it denies.
type brokenError struct{ why string }

func (e *brokenError) Error() string { return e.why }

func broken(format string, args ...any) error { return &brokenError{fmt.Sprintf(format, args...)} }

// errNoTarget is a %(name)s that the target does not have. It fails a check; out
// of an http: check it is an error, which a rule: above turns into a failure.
var errNoTarget = errors.New("the target has no such attribute")

// maxSteps bounds a decision: rules may refer to rules, and to themselves. The
// largest policy of a cloud takes a few dozen.
const maxSteps = 5000

// evaluation is one decision under way.
type evaluation struct {
	ctx     context.Context //nolint:containedctx // it lives as long as the decision, for checks that ask others
	rules   *ruleset
	rule    string // what was asked for, which http: checks are told
	caller  attributes
	target  attributes
	steps   int
	explain *Step // where the checks are told of; nil for nobody to tell
}

// run evaluates a check.
func (e *evaluation) run(c check) (bool, error) {
	if e.steps++; e.steps > maxSteps {
		return false, broken("more than %d checks: rules that refer to one another?", maxSteps)
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

// note adds to what is told of the check that is evaluated.
func (e *evaluation) note(format string, args ...any) {
	if e.explain != nil {
		e.explain.Why = fmt.Sprintf(format, args...)
	}
}

// constant is @ and !.
type constant bool

func (c constant) passes(*evaluation) (bool, error) { return bool(c), nil }

func (c constant) String() string {
	if c {
		return "@"
	}
	return "!"
}

// unreadable is what could not be understood: it fails, and says why.
type unreadable struct{ text, why string }

func (c unreadable) passes(e *evaluation) (bool, error) { e.note("%s", c.why); return false, nil }
func (c unreadable) String() string                     { return c.text }

// unusable is what oslo.policy takes for a rule and then cannot evaluate.
type unusable struct{ text, why string }

func (c unusable) passes(*evaluation) (bool, error) { return false, broken("%s", c.why) }
func (c unusable) String() string                   { return c.text }

type not struct{ check check }

func (c not) passes(e *evaluation) (bool, error) {
	ok, err := e.run(c.check)
	return !ok && err == nil, err
}

func (c not) String() string { return "not " + c.check.String() }

// all is "and".
type all []check

func (c all) passes(e *evaluation) (bool, error) {
	for _, sub := range c {
		if ok, err := e.run(sub); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c all) String() string { return joined(c, " and ") }

// some is "or".
type some []check

func (c some) passes(e *evaluation) (bool, error) {
	for _, sub := range c {
		if ok, err := e.run(sub); ok || err != nil {
			return ok && err == nil, err
		}
	}
	return false, nil
}

func (c some) String() string { return joined(c, " or ") }

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

// roleCheck is role:NAME. Case does not matter.
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

// sameFold compares as Python's lower() does. strings.EqualFold would take more
// for the same: \u017f for an s.
func sameFold(a, b string) bool {
	return a == b || strings.ToLower(a) == strings.ToLower(b) //nolint:staticcheck // see above
}

// unlessMissing is the error of a template, when it is more than an attribute
// that the target does not have.
func unlessMissing(e *evaluation, err error) error {
	if errors.Is(err, errNoTarget) {
		e.note("%s", err)
		return nil
	}
	return err
}

// attributeCheck is KIND:MATCH, where KIND is an attribute of the caller, by a
// path with dots, or a literal of Python.
type attributeCheck struct {
	kind    string
	literal *string  // its value as a text; nil for an attribute
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
		return false, broken("%s", c.wrong)
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
	return found(value, c.path[1:], match)
}

func (c attributeCheck) String() string { return c.kind + ":" + c.match.text }

// found looks below a value for one that reads as match: in each element where
// there is a list.
func found(value any, path []string, match string) (bool, error) {
	switch v := value.(type) {
	case error:
		return false, v
	case []string:
		for _, item := range v {
			if ok, err := below(item, path, match); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case []any:
		for _, item := range v {
			if ok, err := below(item, path, match); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	return below(value, path, match)
}

// below is found for an element of a list, which is not opened once more.
func below(value any, path []string, match string) (bool, error) {
	if len(path) == 0 {
		return textOf(value) == match, nil
	}
	m, ok := value.(map[string]any)
	if !ok {
		return false, broken("%s stands where an object with %s should", quoted(value), path[0])
	}
	value, ok = m[path[0]]
	if !ok {
		return false, nil
	}
	return found(value, path[1:], match)
}

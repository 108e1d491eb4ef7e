package policy

import (
	"context"

	"stoker/internal/cinder"
)

// Step is an evaluated check. Steps has only the checks that were evaluated.
type Step struct {
	Check  string // in oslo.policy's form
	Passed bool
	Why    string // what it was compared with, or why it cannot be evaluated; "" when obvious
	Steps  []*Step
}

// Explanation explains a decision.
type Explanation struct {
	Rule    Rule
	Allowed bool
	Steps   *Step // of the rule's check
	Admin   *Step // of the administrator check; nil when the caller has IsAdmin
}

// Explain decides like Allow and returns the steps. KindNotFound when there is neither
// such a rule nor a default rule.
func (e *Enforcer) Explain(ctx context.Context, caller cinder.Caller, rule string) (Explanation, error) {
	e.refresh(ctx)
	s := e.rules.Load()
	r := s.find(rule)
	if r == nil {
		return Explanation{}, cinder.Errorf(cinder.KindNotFound, "There is no rule %s.", rule)
	}
	var x Explanation
	x.Rule = *r
	if !caller.IsAdmin {
		a := &callerAttributes{caller: &caller, roles: caller.Roles}
		x.Admin = &Step{}
		_, err := s.decide(&evaluation{ctx: ctx, rules: s, rule: ruleAdmin, caller: a, target: a, explain: x.Admin})
		x.Admin = root(x.Admin, err)
	}
	top := &Step{}
	ok, err := s.allows(ctx, &caller, rule, top)
	x.Allowed = ok && err == nil
	x.Steps = root(top, err)
	return x, nil
}

// root is the only step below top, for a rule is one check.
func root(top *Step, err error) *Step {
	if len(top.Steps) == 1 {
		return top.Steps[0]
	}
	if err != nil {
		top.Why = err.Error()
	}
	return top
}

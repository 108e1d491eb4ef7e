package policy

import (
	"context"

	"stoker/internal/cinder"
)

// Step is a check that was evaluated on the way to a decision. Checks that the
// decision did not depend on any more are not among Steps.
type Step struct {
	Check  string // as oslo.policy writes it
	Passed bool
	Why    string // what it was compared with, or why it has no verdict; "" when that is plain
	Steps  []*Step
}

// Explanation is how a decision came about.
type Explanation struct {
	Rule    Rule
	Allowed bool
	Steps   *Step // the rule's check
	Admin   *Step // who counts as an administrator; nil when the caller is one anyway
}

// Explain decides as Allow does, and tells the steps. It fails with KindNotFound
// when there is neither such a rule nor a default rule.
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

// root is the one step below top: a rule is one check.
func root(top *Step, err error) *Step {
	if len(top.Steps) == 1 {
		return top.Steps[0]
	}
	if err != nil {
		top.Why = err.Error()
	}
	return top
}

package app_test

import (
	"slices"
	"testing"

	"stoker/internal/api"
	"stoker/internal/policy"
)

// A rule that no route asks for makes an operator believe in a request that is not there.
func TestEveryDefaultRuleIsAskedFor(t *testing.T) {
	asked := api.Rules()
	for _, d := range policy.Defaults() {
		if len(d.Requests) > 0 && !slices.Contains(asked, d.Name) {
			t.Errorf("%s is a default and is asked for by no route", d.Name)
		}
	}
}

// A rule without a default would deny everybody, or whom the default rule lets in.
func TestEveryRouteHasADefaultRule(t *testing.T) {
	for _, rule := range api.Rules() {
		if !slices.ContainsFunc(policy.Defaults(), func(d policy.Default) bool { return d.Name == rule }) {
			t.Errorf("%s is asked for and has no default", rule)
		}
	}
}

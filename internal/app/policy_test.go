package app_test

import (
	"slices"
	"testing"

	"stoker/internal/api"
	"stoker/internal/policy"
)

// A rule without a default would deny everybody, or whom the default rule lets in.
func TestEveryRouteHasADefaultRule(t *testing.T) {
	for _, rule := range api.Rules() {
		if !slices.ContainsFunc(policy.Defaults(), func(d policy.Default) bool { return d.Name == rule }) {
			t.Errorf("%s is asked for and has no default", rule)
		}
	}
}

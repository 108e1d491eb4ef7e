// Package policy decides what a caller may do: it has the language of oslo.policy, the
// default rules for Cinder's os-services and clusters and for our own API, and the
// operator's policy files, reloaded when they change.
//
//	policy_file, policy_dirs ─▶ files.go ─▶ parse.go ─▶ rules ─┐
//	                     defaults.go ────────────────────────▶ │ Allow ─▶ yes or KindForbidden
//	                     cinder.Caller ─▶ attributes.go ─────▶ ┘
//
// A file is read completely or not at all: while one is unreadable, the last good rules
// stay in force, and Health reports it. A rule that cannot be parsed denies; the others
// are not affected. The language is specified by its Python code only:
// testdata/verdicts.json has the results of the real oslo.policy for some hundred
// rules, and testdata/callers.json those of the real Cinder for callers and policies;
// the scripts beside them made these files.
//
// The package authenticates nobody and knows no requests: cinder.Caller describes the
// caller, and the API's route table names the rule.
package policy

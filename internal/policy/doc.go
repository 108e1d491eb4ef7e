// Package policy decides what a caller may do: the language of oslo.policy, the
// default rules of Cinder's os-services and clusters and of our own API, and the
// operator's files over them, read again when they change.
//
//	policy_file, policy_dirs ─▶ files.go ─▶ parse.go ─▶ rules ─┐
//	                     defaults.go ────────────────────────▶ │ Allow ─▶ yes or KindForbidden
//	                     cinder.Caller ─▶ attributes.go ─────▶ ┘
//
// A file is read whole or not at all: while one cannot be read, the last good
// rules stay in force, and Health says so. A rule that cannot be parsed denies,
// alone. What the language means is not written down anywhere but in Python:
// testdata/verdicts.json holds what the real oslo.policy makes of some hundred
// rules, and testdata/callers.json what the real Cinder makes of callers and
// policies; the scripts beside them asked.
//
// The package authenticates nobody and knows no request: who calls is told by
// cinder.Caller, which rule is asked for by the API's route table.
package policy

// Package archtest holds the rules between packages as tests: who may import
// whom, that ARCHITECTURE.md names every package there is, and that what comments
// and pages cite is there.
package archtest

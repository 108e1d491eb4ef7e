// Package archtest holds the rules between packages as tests: who may import
// whom, and that ARCHITECTURE.md names every package there is.
package archtest

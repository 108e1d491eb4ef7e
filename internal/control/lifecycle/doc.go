// Package lifecycle is the life of an operation as one table: in which phase it
// is, what can become known, and what follows. Step is pure; package control
// finds out the facts, and its settle.go carries out the effects.
//
// An enable, a disable and a set-log are done when they are recorded, and have no
// life to speak of. The table is for what sends a command and waits: freeze and
// thaw, failover, and telling the members of a cluster of one.
package lifecycle

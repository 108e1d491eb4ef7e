// Package backend says what a storage backend is to the volume service that
// drives it: something with pools that can be frozen, thawed and, when it is
// replicated, moved to another site.
//
// It holds the words and the interface; package mirror is a backend. What rows
// say of a backend, and when, is the agent's concern, not a backend's.
package backend

// Package identity holds the tests that ask a real Keystone who is let in: what
// becomes of a token that is revoked, of a user who is disabled or loses a role,
// and of everybody while Keystone hangs, restarts or has another time than we.
// internal/keystone has the same, and more, with a Keystone of its own.
package identity

// Package keystonetest is a Keystone for tests. It replays the recorded answers of a
// real one for tokens of every kind, and can fail on demand: revoke tokens, go away, be
// slow, refuse its client, answer nonsense, and have a different clock.
package keystonetest

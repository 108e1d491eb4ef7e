// Package keystonetest is a Keystone for tests. It answers with what a real one
// was recorded to answer for tokens of every kind, and can do what a real one
// does only now and then: revoke, go away, dawdle, refuse its client, talk
// nonsense, and have another time than the rest of the world.
package keystonetest

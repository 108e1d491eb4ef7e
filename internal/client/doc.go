// Package client is a client of the REST API, for operators' programs. It works with
// Stoker and Cinder, at the newest microversion that both sides know, and converts the
// faults of either to *cinder.Error.
//
// It does not retry: a list can simply be requested again, and whether to repeat a
// change is the caller's decision. Its only state is the negotiated microversion and
// the token.
package client

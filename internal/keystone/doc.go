// Package keystone authenticates requests: it has Keystone validate their tokens, and
// caches the answers. It implements api.Authenticator.
//
//	request -> tokens of its headers -> cache -> one validation per token -> Keystone
//	                                                 |                          ^
//	                                                 +--- our own token --------+
//
// It talks to Keystone through gophercloud and reads [keystone_authtoken] as
// keystonemiddleware does. A caller is described by Keystone's answer alone: the
// identity headers that keystonemiddleware passes to Cinder (X-Roles, X-User-Id and so
// on) are never read, so no client can forge them.
//
// Only a complete and consistent answer of Keystone authenticates a request: a token
// that Keystone does not know is KindUnauthenticated, and every other failure is
// KindUnavailable. Authorization is the business of package policy.
//
// Login is for the other side: an operator's program that needs a token.
package keystone

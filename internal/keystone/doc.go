// Package keystone finds out who sends a request: it has Keystone validate the
// token that comes with it, and remembers the answer for a while. It implements
// api.Authenticator.
//
//	request -> tokens of its headers -> cache -> one validation per token -> Keystone
//	                                                 |                          ^
//	                                                 +--- our own token --------+
//
// It speaks to Keystone through gophercloud and reads [keystone_authtoken] as
// keystonemiddleware does. What it says of a caller comes from Keystone's answer
// alone: the identity headers that keystonemiddleware would hand on to Cinder
// (X-Roles, X-User-Id and so on) are never read, so no client can forge them.
//
// Whatever is not a token's description by Keystone, whole and consistent, lets
// nobody in: a token that Keystone does not know is KindUnauthenticated, and
// everything else that goes wrong is KindUnavailable. What a caller may do is
// none of this package's business: that is policy's.
//
// Login is for the other side: an operator's program that needs a token itself.
package keystone

// Package interop drives the built program together with a real Cinder: the API
// over Python services, Cinder's own API over Stoker's services, a cluster with
// a member of each, and both APIs over one database. It holds no code of the
// product.
package interop

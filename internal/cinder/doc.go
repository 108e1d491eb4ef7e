// Package cinder is the vocabulary of a block-storage fleet: services, clusters,
// pools, callers, operations and errors, as OpenStack Cinder names them.
//
// It holds no behaviour beyond what follows from the words themselves (when a
// service is up, which queue it answers on) and imports only the standard
// library, so every other package can speak it.
package cinder

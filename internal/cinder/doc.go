// Package cinder is the vocabulary of a block-storage deployment: services, clusters,
// pools, callers, operations and errors, with OpenStack Cinder's names.
//
// It has no behaviour beyond the definitions themselves (when a service is up, which
// queue it listens on) and imports only the standard library, so that every other
// package can use it.
package cinder

// Package backend defines what a volume service needs of a storage backend: it has
// pools and can be frozen, thawed and, when it is replicated, failed over to another
// site.
//
// Package mirror is an implementation. Rows are the business of package agent.
package backend

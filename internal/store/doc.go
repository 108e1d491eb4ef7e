// Package store keeps the fleet in an SQL database: Cinder's own tables
// services, clusters and workers, as they are, and beside them what Cinder has
// not: why a service is disabled (stoker_causes) and the journal of changes
// (stoker_operations).
//
// It holds SQL and nothing else: no rule about who may do what to a service
// lives here. Reads are snapshots, writes are conditional on what was read, and
// a time is UTC. What others write to Cinder's tables while we run is seen by
// the next read.
//
// The engines are SQLite, MariaDB (or MySQL, alone or as a Galera cluster) and
// PostgreSQL. Where they differ is gathered in the dialect interface; every other
// file keeps to SQL that all of them read.
package store

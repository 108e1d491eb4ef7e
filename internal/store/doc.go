// Package store keeps services, clusters and operations in an SQL database: Cinder's
// own tables, unchanged, and beside them ours: why a service is disabled
// (stoker_causes), the journal (stoker_operations) and more.
//
// It holds SQL and no rules about who may do what to a service. Reads are snapshots,
// writes are conditional on what was read, and times are UTC. The next read sees
// whatever other programs have written to Cinder's tables.
//
// The engines are SQLite, MariaDB (or MySQL, alone or as a Galera cluster) and
// PostgreSQL. The dialect interface has their differences; all other files keep to SQL
// that every engine reads.
package store

// Package agent is a running service: a volume backend, a scheduler or a backup
// service. It registers its row, sends heartbeats, carries out commands and publishes
// its capabilities.
//
//	Start: register -> settle the row, set the backend up -> serve -> heartbeat -> publish
//	every report_interval:                 heartbeat; register again when the row is gone; abandon an overdue failover
//	every backend_stats_polling_interval:  publish capabilities
//	Failover: backend -> rows of volumes, snapshots, groups -> own row, cluster, members
//	Stop:  stop serving -> wait for every goroutine
//
// This package decides what a command does to the service's own row, as Cinder's
// services do (doc/cinder/behaviour.md#who-writes-what), and what a failover does to
// the rows of volumes; control decides what it does to other services. While the
// database or the bus is away, the service keeps doing what it can without.
//
// Other packages decode messages and send replies: a service is a value with one method
// per command, and its options say how it is served. Fleet simulates many services that
// only send heartbeats.
package agent

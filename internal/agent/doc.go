// Package agent is a running service: a volume backend, a scheduler or a backup
// service that registers its row, beats, obeys commands and says what it can do.
//
//	Start: register -> settle the row, set the backend up -> serve -> beat -> publish
//	every report_interval:                 beat; register again when the row is gone; put back a failover that does not come
//	every backend_stats_polling_interval:  publish capabilities
//	Failover: backend -> rows of volumes, snapshots, groups -> own row, cluster, members
//	Stop:  stop serving -> wait for every goroutine
//
// What a command does to the service's own row is decided here, as Cinder's
// services do it (doc/cinder/behaviour.md#who-writes-what), and what a failover
// does to the rows of volumes; what it does to the rest of the fleet is control's.
// A database or a bus that is away is waited for: the service goes on with what it can do without.
//
// Messages are decoded and answered elsewhere: a service is a value with one
// method per command, and whoever starts it says how it is served (the Serve
// options). Fleet stands in for many services that only beat.
package agent

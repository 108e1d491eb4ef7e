// Package rpc is what Cinder's services say to one another: each command with
// its method, version, arguments and queue (doc/cinder/wire.md#methods), typed
// on both sides.
//
//	Client         freeze, thaw, failover, log levels, pools; capabilities, failover outcomes, cleanup
//	ServeVolume    commands of a volume service, on its own queues and its cluster's
//	ServeScheduler pools, cleanup, and capabilities as they come in
//	ServeBackup    log levels and the request to publish
//
// Package oslo knows how messages look, this one which there are. Neither
// decides anything: what a command does is the service's concern, and what an
// outcome means that of package control.
package rpc

// Package rpc is the RPC interface of Cinder's services: each command with its method,
// version, arguments and queue (doc/cinder/wire.md#methods), typed on both sides.
//
//	Client         freeze, thaw, failover, log levels, pools; capabilities, failover outcomes, cleanup
//	ServeVolume    commands of a volume service, on its own queues and its cluster's
//	ServeScheduler pools, cleanup, incoming capabilities
//	ServeBackup    log levels and the request to publish capabilities
//
// Package oslo knows the form of messages, this package their contents. Neither makes
// decisions: packages agent and control do.
package rpc

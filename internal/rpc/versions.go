package rpc

import (
	"strings"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// Topics: the names of the binaries.
const (
	topicVolume    = cinder.BinaryVolume
	topicScheduler = cinder.BinaryScheduler
	topicBackup    = cinder.BinaryBackup
)

// Methods.
const (
	methodFreeze            = "freeze_host"
	methodThaw              = "thaw_host"
	methodFailover          = "failover"
	methodFailoverHost      = "failover_host" // the name of failover before 3.8
	methodFailoverCompleted = "failover_completed"
	methodGetLogLevels      = "get_log_levels"
	methodSetLogLevels      = "set_log_levels"
	methodGetPools          = "get_pools"
	methodUpdate            = "update_service_capabilities"
	methodNotify            = "notify_service_capabilities"
	methodPublish           = "publish_service_capabilities"
	methodCapabilities      = "get_capabilities"
	methodCleanup           = "do_cleanup"
	methodWorkCleanup       = "work_cleanup"
)

// server is the server name under which a host or cluster listens: the part before the
// backend (doc/cinder/wire.md#listeners).
func server(host string) string {
	name, _, _ := strings.Cut(host, "@")
	return name
}

// older reports whether a service with this version in its row does not accept requests
// of version want. Without a version it is taken for the oldest, which every release
// still accepts.
func older(version, want string) bool {
	return !oslo.Compatible(version, want)
}

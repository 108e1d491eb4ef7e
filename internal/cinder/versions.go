package cinder

// The versions that services of ours speak, and write into their rows. A lower
// one would make every API of the deployment speak an older language
// (WIRE.md, section 5).
const (
	VolumeRPCVersion    = "3.18" // rpc_current_version of cinder-volume
	SchedulerRPCVersion = "3.12" // of cinder-scheduler
	BackupRPCVersion    = "2.3"  // of cinder-backup
	ObjectVersion       = "1.39" // object_current_version of all
)

package cinder

// The versions that our services speak and write into their rows: those of
// Cinder 26 to 29. A lower one would make every API of the deployment speak an
// older language (doc/cinder/wire.md#pins), and cinder-api refuse what its own
// cinder-volume can do. A higher one than Cinder 21 knows does it no harm: what
// it sends is within it.
const (
	VolumeRPCVersion    = "3.20" // rpc_current_version of cinder-volume
	SchedulerRPCVersion = "3.12" // of cinder-scheduler
	BackupRPCVersion    = "2.4"  // of cinder-backup
	ObjectVersion       = "1.39" // object_current_version of all
)

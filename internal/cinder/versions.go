package cinder

// Versions that our services implement and write to their rows: those of Cinder 26 to
// 29. With lower ones, every API of the deployment would use an older interface
// (doc/cinder/wire.md#pins), and cinder-api would refuse what its own cinder-volume can
// do. Higher ones than Cinder 21 knows do no harm: its messages are within them.
const (
	VolumeRPCVersion    = "3.20" // rpc_current_version of cinder-volume
	SchedulerRPCVersion = "3.12" // of cinder-scheduler
	BackupRPCVersion    = "2.4"  // of cinder-backup
	ObjectVersion       = "1.39" // object_current_version of all
)

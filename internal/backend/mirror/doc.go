// Package mirror is a storage backend made of directories: one per site, under a common
// root.
//
//	root/
//	  default/      the primary site
//	  site-b/       a target
//	  refuse-thaw   if it exists, the backend refuses to thaw, with its text
//
// A volume is a regular file in the active site's directory; directories and names that
// begin with a dot are ignored. Replication copies new and newer files from the active
// site to the others. It never removes files, nor overwrites newer ones, so that
// replication from a site wrongly taken for the active one does no harm. A volume
// removed at one site must therefore be removed at the others by hand, before a
// failover brings it back.
//
// The file of a volume has Cinder's name for it, volume-ID. After a failover the volume
// is lost if its file is not at the active site, but at another, or possibly at an
// unreachable one. A volume without a file anywhere was not created here, and counts as
// failed over.
//
// While the backend is frozen, the active directory is not writable: only root can
// create or remove volumes in it, while existing ones stay usable.
//
// The active site is not stored here: the service knows it and passes it to Setup.
package mirror

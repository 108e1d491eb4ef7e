// Package mirror is a storage backend made of directories: one per site, side by
// side under a root.
//
//	root/
//	  default/      the primary site
//	  site-b/       a target
//	  refuse-thaw   when it is there, the backend refuses to thaw, in its words
//
// A volume is a regular file of the active site's directory; directories and
// names that begin with a dot are not looked at. Replication copies what is new
// or newer at the active site to the others, and never removes anything or writes
// over something newer, so that a site that was wrongly taken for the active one
// harms no other: a volume that was removed at one site has to be removed at the
// others by hand, before a failover brings it back.
//
// The file of a volume of Cinder's has the name that Cinder gives it, volume-ID. In
// a failover it is lost when it is not at the site that is active now, but at
// another, or perhaps at another that cannot be reached. A volume that has no file
// anywhere is none of this backend's making, and counts as carried along.
//
// A frozen backend's active directory has no write permission: nobody but root
// can create or remove volumes there, while those that exist go on being used.
//
// Which site is active is not written down here: the service that drives the
// backend knows, and says so at Setup.
package mirror

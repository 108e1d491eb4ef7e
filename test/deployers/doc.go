// Package deployers runs the built program with the configuration files that
// deployment tools write for cinder-api and cinder-volume, as their templates have
// it by default or with Ceph and LVM. In testdata, what a machine fills in is
// written <SO>: a directory, addresses, passwords that are used. The others are
// made up.
package deployers

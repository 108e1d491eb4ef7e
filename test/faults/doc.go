// Package faults takes the database and the bus away from the built program under load,
// alone and together with a real Cinder's services: restarted, paused, cut off, silent
// or slow, for all processes or for one.
package faults

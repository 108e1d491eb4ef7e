// Package faults takes the database and the bus away from the built program
// while it is at work, alone and together with a real Cinder's services:
// restarted, paused, cut off, silent, slow, for all processes or for one.
package faults

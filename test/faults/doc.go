// Package faults takes the database and the bus away from the built program
// while it is at work: restarted, paused, cut off, silent. It holds no code of
// the product.
package faults

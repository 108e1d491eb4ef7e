// Package client is the REST API from the other side: what an operator's program
// calls. It speaks to stoker and to Cinder alike, at the newest microversion both
// know, and turns the faults of either into *cinder.Error.
//
// It retries nothing: a list can simply be asked for again, and whether a change
// should be is the caller's to say. It keeps no state but the microversion that
// was agreed on.
package client

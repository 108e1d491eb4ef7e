// Package memory carries messages between the parts of one process, as a broker
// does between processes: encoded, through queues that outlive their listeners.
//
// Nothing outlives the process. A queue is a name and a slice, and a listener
// runs a goroutine only while it has messages, so thousands of either cost little.
package memory

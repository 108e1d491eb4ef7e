// Package memory carries messages between the parts of one process, as a broker does
// between processes: encoded, through queues that outlive their listeners.
//
// Messages do not survive the process. A queue is a slice, and a listener runs a
// goroutine only while it has messages, so thousands of either are cheap.
package memory

// Package oslo speaks oslo.messaging's RPC: its envelope, requests, replies,
// failures, request context and versioned objects, and the client and server
// that exchange them.
//
//	Client.Call --request--> any listener of a topic, or one server of it
//	           <--reply----- through the client's own reply queue, by message id
//	Client.Cast ----------->  the same, no reply
//	Client.Fanout --------->  every listener of a topic, no reply
//
// What carries the bytes is a Transport: package memory within one process, a
// broker between processes. The package knows no command of any service; package
// rpc does. The rules are those of doc/cinder/wire.md, Cinder's recorded behaviour on the bus.
package oslo

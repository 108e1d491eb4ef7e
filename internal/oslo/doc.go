// Package oslo implements oslo.messaging's RPC: its envelope, requests, replies,
// failures, request context and versioned objects, and a client and a server.
//
//	Client.Call --request--> any listener of a topic, or one server of it
//	           <--reply----- through the client's own reply queue, by message id
//	Client.Cast ----------->  the same, no reply
//	Client.Fanout --------->  every listener of a topic, no reply
//
// A Transport carries the bytes: package memory within a process, a broker between
// processes. This package knows no service's commands; package rpc does.
// doc/cinder/wire.md, Cinder's recorded behaviour on the bus, is its specification.
package oslo

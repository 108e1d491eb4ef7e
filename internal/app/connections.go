package app

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections keeps in bounds how many there are: of too many, those that have
// done nothing for longest are closed. One with a request under way never is.
type connections struct {
	limit int

	mu      sync.Mutex // guards what follows
	open    int
	idle    list.List // of net.Conn, the longest idle first
	waiting map[net.Conn]*list.Element
}

// maxConnections is enough for the proxies of a cloud, which keep theirs open, and
// some tens of megabytes.
const maxConnections = 4096

func newConnections(limit int) *connections {
	return &connections{limit: limit, waiting: map[net.Conn]*list.Element{}}
}

// changed is http.Server's ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if victim := c.note(conn, state); victim != nil {
		if c, ok := victim.(*tls.Conn); ok {
			victim = c.NetConn() // without a word to a client that does not listen
		}
		_ = victim.Close() // the server that reads from it finds out
	}
}

// note keeps account of a connection, and returns one to close.
func (c *connections) note(conn net.Conn, state http.ConnState) (victim net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.waiting[conn]; at != nil {
		c.idle.Remove(at)
		delete(c.waiting, conn)
	}
	switch state {
	case http.StateNew:
		c.open++
	case http.StateClosed, http.StateHijacked:
		c.open--
		return nil
	case http.StateActive:
		return nil
	case http.StateIdle:
	}
	c.waiting[conn] = c.idle.PushBack(conn)
	if c.open <= c.limit {
		return nil
	}
	at := c.idle.Front()
	victim = at.Value.(net.Conn)
	c.idle.Remove(at)
	delete(c.waiting, victim)
	return victim
}

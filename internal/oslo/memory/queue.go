package memory

import (
	"slices"
	"time"

	"stoker/internal/oslo"
)

// queue holds messages until a listener takes them.
type queue struct {
	of        oslo.Destination
	messages  []message
	consumers []*listener // the next one to serve first
}

type message struct {
	body    []byte
	expires time.Time // zero: never
}

func (m *message) expired(now time.Time) bool { return !m.expires.IsZero() && !now.Before(m.expires) }

// push adds a message. It returns false when the queue is full, even without the
// expired messages.
func (q *queue) push(m oslo.Message, now time.Time) bool {
	if len(q.messages) >= Capacity {
		q.messages = slices.DeleteFunc(q.messages, func(m message) bool { return m.expired(now) })
		if len(q.messages) >= Capacity {
			return false
		}
	}
	added := message{body: m.Body}
	if m.Expiry > 0 {
		added.expires = now.Add(m.Expiry)
	}
	q.messages = append(q.messages, added)
	return true
}

// pop removes and returns the first message that has not expired.
func (q *queue) pop(now time.Time) (oslo.Message, bool) {
	for len(q.messages) > 0 {
		m := q.messages[0]
		q.messages[0] = message{} // release the body
		q.messages = q.messages[1:]
		if m.expired(now) {
			continue
		}
		taken := oslo.Message{Body: m.body}
		if !m.expires.IsZero() {
			taken.Expiry = m.expires.Sub(now)
		}
		return taken, true
	}
	q.messages = nil
	return oslo.Message{}, false
}

// rotate moves a listener that got a message to the end.
func (q *queue) rotate(l *listener) {
	if i := slices.Index(q.consumers, l); i >= 0 {
		q.consumers = append(slices.Delete(q.consumers, i, i+1), l)
	}
}

package keystone

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"stoker/internal/cinder"
)

// How much is remembered: some hundred bytes each.
const (
	maxCallers = 10_000
	maxRefused = 1_000
	// refusedFor is how long a refusal is remembered: long enough that a client
	// that hammers with a bad token does not hammer Keystone, and short enough that
	// nobody waits for a token that Keystone knows only now, as after its keys were
	// distributed.
	refusedFor = 5 * time.Second
)

// digest stands for a token, and for whether it may have expired. It is keyed
// with a secret of this process, so that what is remembered gives no token away
// and cannot be aimed at.
type digest [sha256.Size]byte

// cache remembers what Keystone said. Refusals have a room of their own, so that
// garbage does not push out who is known. The newest stay.
type cache struct {
	key     []byte
	callers *lru.Cache[digest, remembered]
	refused *lru.Cache[digest, time.Time]
}

// remembered is a caller, and until when he may be believed in.
type remembered struct {
	caller cinder.Caller
	until  time.Time
}

func newCache() (*cache, error) {
	c := &cache{key: make([]byte, sha256.Size)}
	_, _ = rand.Read(c.key) // never fails
	var err error
	if c.callers, err = lru.New[digest, remembered](maxCallers); err != nil {
		return nil, err
	}
	c.refused, err = lru.New[digest, time.Time](maxRefused)
	return c, err
}

func (c *cache) digest(token string, expiredToo bool) digest {
	h := hmac.New(sha256.New, c.key)
	flag := byte('0')
	if expiredToo {
		flag = '1'
	}
	h.Write([]byte{flag})
	h.Write([]byte(token))
	var d digest
	h.Sum(d[:0])
	return d
}

// caller is who the token belongs to, when that is remembered.
func (c *cache) caller(d digest) (cinder.Caller, bool) {
	r, ok := c.callers.Get(d)
	if ok && time.Now().Before(r.until) {
		return r.caller, true
	}
	return cinder.Caller{}, false
}

// isRefused says whether Keystone has refused the token a moment ago.
func (c *cache) isRefused(d digest) bool {
	until, ok := c.refused.Get(d)
	return ok && time.Now().Before(until)
}

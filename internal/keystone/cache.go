package keystone

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How much is remembered: some hundred bytes each.
const (
	maxGrants  = 10_000
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
	grants  *lru.Cache[digest, grant]
	refused *lru.Cache[digest, time.Time]
}

func newCache() (*cache, error) {
	c := &cache{key: make([]byte, sha256.Size)}
	_, _ = rand.Read(c.key) // never fails
	var err error
	if c.grants, err = lru.New[digest, grant](maxGrants); err != nil {
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

// grant is what the token is good for, when that is remembered.
func (c *cache) grant(d digest) (grant, bool) {
	g, ok := c.grants.Get(d)
	if ok && time.Now().Before(g.caller.Until) {
		return g, true
	}
	return grant{}, false
}

// isRefused says whether Keystone has refused the token a moment ago.
func (c *cache) isRefused(d digest) bool {
	until, ok := c.refused.Get(d)
	return ok && time.Now().Before(until)
}

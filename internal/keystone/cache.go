package keystone

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Sizes of the cache; an entry has some hundred bytes.
const (
	maxGrants  = 10_000
	maxRefused = 1_000
	// refusedFor is how long a refusal is cached: long enough that a client hammering
	// with a bad token does not hammer Keystone, and short enough for a token that
	// Keystone knows only now, for instance once its keys were distributed.
	refusedFor = 5 * time.Second
)

// digest identifies a token, and whether it may have expired. It is keyed with a secret
// of this process, so that the cache reveals no token and collisions cannot be
// constructed.
type digest [sha256.Size]byte

// cache holds Keystone's answers. Refusals are separate, so that garbage does not evict
// valid tokens.
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

// grant returns the cached grant of a token.
func (c *cache) grant(d digest) (grant, bool) {
	g, ok := c.grants.Get(d)
	if ok && time.Now().Before(g.caller.Until) {
		return g, true
	}
	return grant{}, false
}

// isRefused reports whether Keystone refused the token a moment ago.
func (c *cache) isRefused(d digest) bool {
	until, ok := c.refused.Get(d)
	return ok && time.Now().Before(until)
}

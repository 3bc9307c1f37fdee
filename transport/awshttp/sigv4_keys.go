package awshttp

import (
	"container/list"
	"sync"
)

// keyCache holds derived signing keys, the least recently used go first. Deriving one takes four HMACs, and a client
// uses one for a whole day.
type keyCache struct {
	max int
	mu  sync.Mutex
	// mu guards the following.
	byScope map[scope]*list.Element
	order   *list.List // of *cachedKey, most recently used first
}

type cachedKey struct {
	scope  scope
	secret string // a changed secret makes the entry useless
	key    []byte
}

func newKeyCache(limit int) *keyCache {
	return &keyCache{max: limit, byScope: make(map[scope]*list.Element), order: list.New()}
}

// signing returns the key that signs requests of a scope. Callers must not write to it.
func (c *keyCache) signing(s scope, secret string) []byte {
	c.mu.Lock()
	if e := c.byScope[s]; e != nil {
		if k, ok := e.Value.(*cachedKey); ok && k.secret == secret {
			c.order.MoveToFront(e)
			c.mu.Unlock()
			return k.key
		}
		c.order.Remove(e)
		delete(c.byScope, s)
	}
	c.mu.Unlock()
	key := deriveKey(s, secret)
	if secret == "" {
		return key // an unknown access key must not push good ones out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byScope[s] == nil {
		c.byScope[s] = c.order.PushFront(&cachedKey{scope: s, secret: secret, key: key})
		if c.order.Len() > c.max {
			oldest := c.order.Back()
			if k, ok := c.order.Remove(oldest).(*cachedKey); ok {
				delete(c.byScope, k.scope)
			}
		}
	}
	return key
}

func deriveKey(s scope, secret string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range [...]string{s.day, s.region, s.service, sigTerminator} {
		key = hmacOf(key, part)
	}
	return key
}

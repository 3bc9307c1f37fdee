package engine

import (
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/zstdpool"
)

const (
	// cachedBodies bounds the decompressed bodies that are kept, in bytes. Pages hold what they show beyond that.
	cachedBodies = 32 << 20
	// largestCached keeps one body from pushing out all others.
	largestCached = cachedBodies / 8
)

// bodyCache keeps decompressed batches, so that several consumers of a shard, and one that takes a batch in small pages,
// decompress it once. A batch is known by its position in the lane, which never comes again. Bodies in use stay until
// their last page is released, evicted or not.
type bodyCache struct {
	zstd *zstdpool.Pool
	free sync.Pool // of *body

	mu          sync.Mutex // guards the following
	bodies      map[uint64]*body
	newest, old *body // ends of the list by last use
	size        int
}

// body is one decompressed batch. What it holds never changes once ready is done.
type body struct {
	cache *bodyCache
	refs  atomic.Int32 // pages that show it, one for being cached
	ready sync.Once
	it    batch.Iterator // holds the decompressed bytes; readers walk copies of it
	err   error

	position     uint64
	size         int   // of the buffer, at most
	newer, older *body // guarded by cache.mu
}

// get returns the decompressed batch, held for the caller until release. Concurrent calls for one batch decompress once.
// The error says that the batch cannot be decompressed.
func (c *bodyCache) get(b batch.Batch) (*body, error) {
	at := b.Position()
	c.mu.Lock()
	d := c.bodies[at]
	if d != nil {
		c.unlinkLocked(d)
		c.linkLocked(d)
		d.refs.Add(1)
		c.mu.Unlock()
	} else {
		d = c.newBody(at, b.RawLen())
		if d.size <= largestCached {
			c.addLocked(d)
		}
		c.mu.Unlock()
	}
	d.ready.Do(func() { d.err = d.it.Reset(b) })
	if d.err != nil {
		d.release()
		return nil, d.err
	}
	return d, nil
}

// newBody is a body held once, with a buffer of an earlier one where that fits well.
func (c *bodyCache) newBody(at uint64, rawLen int) *body {
	d, ok := c.free.Get().(*body)
	if !ok || d.size > 4*rawLen {
		d = &body{}
	}
	*d = body{cache: c, it: d.it, position: at, size: max(rawLen, d.size)}
	d.it.Zstd = c.zstd
	d.refs.Store(1)
	return d
}

// addLocked keeps d and lets go of what was not used for longest.
func (c *bodyCache) addLocked(d *body) {
	if c.bodies == nil {
		c.bodies = map[uint64]*body{}
	}
	d.refs.Add(1)
	c.bodies[d.position] = d
	c.size += d.size
	c.linkLocked(d)
	for c.size > cachedBodies {
		victim := c.old
		c.unlinkLocked(victim)
		delete(c.bodies, victim.position)
		c.size -= victim.size
		victim.release()
	}
}

func (c *bodyCache) linkLocked(d *body) {
	d.older, d.newer = c.newest, nil
	if c.newest != nil {
		c.newest.newer = d
	} else {
		c.old = d
	}
	c.newest = d
}

func (c *bodyCache) unlinkLocked(d *body) {
	if d.newer != nil {
		d.newer.older = d.older
	} else {
		c.newest = d.older
	}
	if d.older != nil {
		d.older.newer = d.newer
	} else {
		c.old = d.newer
	}
	d.newer, d.older = nil, nil
}

// release lets go of a hold. The last one gives the buffer to a later body.
func (d *body) release() {
	if d.refs.Add(-1) == 0 {
		d.cache.free.Put(d)
	}
}

package lane

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// cacheOverhead is about what an entry costs beyond its bytes: list element, map slot, slice header.
const cacheOverhead = 200

// directory stands for the directory itself where a shard is asked for.
const directory = MaxShards

// indexCache keeps directories and extents of sealed segments, the least recently used ones going first.
type indexCache struct {
	max   int64
	mu    sync.Mutex // guards the following
	size  int64
	order list.List // of *cached, most recently used first
	byKey map[cacheKey]*list.Element
}

type cacheKey struct {
	base  uint64
	shard uint32 // or directory
}

type cached struct {
	key     cacheKey
	dir     []byte
	extents []*chunk // one, full
	size    int64
}

func newIndexCache(limit int64) *indexCache {
	return &indexCache{max: limit, byKey: make(map[cacheKey]*list.Element)}
}

func (c *indexCache) get(k cacheKey) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[k]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached)
}

// put adds v, which may push others out, or itself where it alone is above the limit.
func (c *indexCache) put(v *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey[v.key] != nil {
		return // two readers loaded it at a time
	}
	c.byKey[v.key] = c.order.PushFront(v)
	c.size += v.size
	for c.size > c.max {
		c.removeLocked(c.order.Back())
	}
}

func (c *indexCache) removeLocked(e *list.Element) {
	v := c.order.Remove(e).(*cached)
	delete(c.byKey, v.key)
	c.size -= v.size
}

// drop forgets everything of the segment at base. Called when one is trimmed, which is rare, so it looks at every entry.
func (c *indexCache) drop(base uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*cached).key.base == base {
			c.removeLocked(e)
		}
		e = next
	}
}

// extentsOf returns shard's extents in s, which the caller has acquired. A footer that proves damaged is replaced in
// memory by an index made from the batches.
func (l *Lane) extentsOf(s *segment, shard uint32) (extents, error) {
	for {
		if x := s.index.Load(); x != nil {
			if r := x.run(shard); r != nil {
				return r.view(), nil
			}
			return extents{}, nil
		}
		f := s.foot.Load()
		if f == nil || !f.mayHold(shard) {
			return extents{}, nil
		}
		x, err := l.loadExtents(s, f, shard)
		if err == nil {
			return x, nil
		}
		if !errors.Is(err, errFooter) && !errors.Is(err, io.EOF) {
			return extents{}, fmt.Errorf("index of segment %s: %w", s.name, err)
		}
		if err := l.reindex(s); err != nil {
			return extents{}, err
		}
	}
}

// loadExtents gets shard's extents from the cache or from the footer.
func (l *Lane) loadExtents(s *segment, f *footer, shard uint32) (extents, error) {
	key := cacheKey{base: s.base, shard: shard}
	if c := l.cache.get(key); c != nil {
		return extents{chunks: c.extents}, nil
	}
	dir, err := l.loadDirectory(s, f)
	if err != nil {
		return extents{}, err
	}
	e, ok := findEntry(dir, shard)
	if !ok {
		return extents{}, nil
	}
	if int64(e.off)+int64(e.len) > int64(f.extentsLen) {
		return extents{}, errFooter
	}
	p := make([]byte, e.len)
	if err := l.readFooter(s, p, f.dirOffset+int64(f.entries)*entryLen+int64(e.off)); err != nil {
		return extents{}, err
	}
	if xxhash.Sum64(p) != e.sum {
		return extents{}, errFooter
	}
	list, err := parseExtents(p, e.batches, f.end-s.base)
	if err != nil {
		return extents{}, err
	}
	c := &chunk{extents: list}
	c.n.Store(uint32(len(list)))
	v := &cached{key: key, extents: []*chunk{c}, size: int64(len(list))*8 + cacheOverhead}
	l.cache.put(v)
	return extents{chunks: v.extents}, nil
}

func (l *Lane) loadDirectory(s *segment, f *footer) ([]byte, error) {
	key := cacheKey{base: s.base, shard: directory}
	if c := l.cache.get(key); c != nil {
		return c.dir, nil
	}
	p := make([]byte, f.entries*entryLen) // parseFooter has compared it with the file's size
	if err := l.readFooter(s, p, f.dirOffset); err != nil {
		return nil, err
	}
	if xxhash.Sum64(p) != f.dirSum {
		return nil, errFooter
	}
	l.cache.put(&cached{key: key, dir: p, size: int64(len(p)) + cacheOverhead})
	return p, nil
}

func (l *Lane) readFooter(s *segment, p []byte, off int64) error {
	f, err := l.useFile(s)
	if err != nil {
		return err
	}
	defer l.doneFile(s)
	_, err = f.ReadAt(p, off)
	return err
}

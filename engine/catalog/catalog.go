package catalog

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/shardmill/shardmill/internal/vfs"
)

// SecretLen is the length of the secret that a catalog keeps for its owner.
const SecretLen = 32

// Options configure a catalog. The zero value of each field is its default.
type Options struct {
	FS  vfs.FS // nil: nothing is kept beyond Close
	Dir string // the catalog's own folder; made where absent
	// CompactAt is how long the log may grow before a snapshot replaces it, in bytes; default 1 MiB, and never less than
	// twice the last snapshot.
	CompactAt int64
}

// Catalog remembers streams. Get and All may be called at any time from anywhere and take no lock that a writer holds
// while it waits for the disk; Put and Remove are serialised.
type Catalog struct {
	o     Options
	names sync.Map // Name -> *StreamInfo: the current value of each stream

	mu      sync.Mutex // guards the following
	st      *state
	log     *logFile // nil in memory
	snapLen int64
	buf     []byte
	err     error // why no change is taken any more
}

// Open reads the folder, or makes an empty catalog where there is none. A torn last entry is cut. Damage is a
// *CorruptionError, a file of a newer build a *VersionError.
func Open(o Options) (*Catalog, error) {
	if o.CompactAt <= 0 {
		o.CompactAt = 1 << 20
	}
	c := &Catalog{o: o, st: newState()}
	if o.FS != nil {
		if err := c.load(); err != nil {
			return nil, err
		}
	} else if err := c.st.makeSecret(); err != nil {
		return nil, err
	}
	for _, s := range c.st.streams {
		if err := s.valid(); err != nil {
			_ = c.Close() // the damage is what the caller must hear of
			return nil, &CorruptionError{"log", 0, err.Error()}
		}
		if _, twice := c.names.LoadOrStore(s.Name, s); twice {
			_ = c.Close()
			return nil, &CorruptionError{"log", 0, fmt.Sprintf("two streams are called %v", s.Name)}
		}
	}
	return c, nil
}

// Get returns the stream of that name, nil where there is none.
func (c *Catalog) Get(n Name) *StreamInfo {
	if v, ok := c.names.Load(n); ok {
		return v.(*StreamInfo)
	}
	return nil
}

// All returns every stream, by name. The slice is the caller's, the streams are shared.
func (c *Catalog) All() []*StreamInfo {
	var out []*StreamInfo
	c.names.Range(func(_, v any) bool {
		out = append(out, v.(*StreamInfo))
		return true
	})
	slices.SortFunc(out, func(a, b *StreamInfo) int { return a.Name.Compare(b.Name) })
	return out
}

// Secret is 32 random bytes made with the catalog and kept as long as it.
func (c *Catalog) Secret() [SecretLen]byte { return c.st.secret }

// ReserveStream returns an id for a new stream. It is handed out once, used or not.
func (c *Catalog) ReserveStream() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.st.nextStream++
	return c.st.nextStream - 1
}

// ReserveShards returns the first of n shard ids in a row. They are handed out once, used or not; an id that no Put has
// made durable may come again after a restart. n is not negative. Where no ids are left the row reaches beyond 32 bits.
func (c *Catalog) ReserveShards(n int) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.st.nextShard
	c.st.nextShard = uint32(min(uint64(first)+uint64(n), math.MaxUint32)) // never back to ids in use
	return first
}

// Put makes next the current value of the stream next.ID and returns once that is durable. It writes what differs from
// the value before, all or nothing. next is the catalog's from now on. After an error nothing has changed for readers,
// though the change may be there after a restart.
func (c *Catalog) Put(next *StreamInfo) error {
	if err := next.valid(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if other, ok := c.names.Load(next.Name); ok && other.(*StreamInfo).ID != next.ID {
		return fmt.Errorf("%w: %v", ErrTaken, next.Name)
	}
	prev := c.st.streams[next.ID]
	if prev != nil && prev.Name != next.Name {
		return fmt.Errorf("%w: stream %d cannot change its name", ErrInvalid, next.ID)
	}
	if err := c.commitLocked(func(b []byte) []byte { return diff(b, prev, next) }); err != nil {
		return err
	}
	c.st.streams[next.ID] = next
	c.st.nextStream = max(c.st.nextStream, next.ID+1)
	for i := range next.Shards {
		c.st.nextShard = max(c.st.nextShard, next.Shards[i].ID+1)
	}
	c.names.Store(next.Name, next)
	c.compactLocked()
	return nil
}

// Remove forgets a stream and returns once that is durable. Removing what is not there is no error.
func (c *Catalog) Remove(id uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	s := c.st.streams[id]
	if s == nil {
		return nil
	}
	if err := c.commitLocked(func(b []byte) []byte { return appendNumber(b, kindRemoved, uint64(id)) }); err != nil {
		return err
	}
	delete(c.st.streams, id)
	c.names.Delete(s.Name)
	c.compactLocked()
	return nil
}

// Err is nil, or why the catalog takes no more changes.
func (c *Catalog) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close releases the files. Idempotent.
func (c *Catalog) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = ErrClosed
	}
	if c.log == nil {
		return nil
	}
	f := c.log.f
	c.log = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("catalog: close log: %w", err)
	}
	return nil
}

// commitLocked writes one entry with the changes that body appends and syncs it. A failure is final: what the disk then
// holds is known only to the next Open.
func (c *Catalog) commitLocked(body func([]byte) []byte) error {
	if c.log == nil {
		return nil
	}
	b := body(beginEntry(c.buf[:0]))
	c.buf = b
	if len(b) == entryHeader+1 {
		return nil // nothing changed
	}
	b, err := endEntry(b, 0, c.log.size, c.log.salt)
	if err != nil {
		return err // refused before anything was written
	}
	if err := c.log.append(b); err != nil {
		c.err = fmt.Errorf("catalog: append to log %d: %w", c.log.generation, err)
		return c.err
	}
	return nil
}

// compactLocked replaces snapshot and log by a new snapshot and an empty log once the log has grown long. The change
// that led here is durable already, so a failure shows with the next one.
func (c *Catalog) compactLocked() {
	if c.log == nil || c.log.size < max(c.o.CompactAt, 2*c.snapLen) {
		return
	}
	old := c.log
	if err := c.beginGeneration(old.generation + 1); err != nil {
		c.err = fmt.Errorf("catalog: compact to generation %d: %w", old.generation+1, err)
		return
	}
	if err := old.f.Close(); err != nil {
		c.err = fmt.Errorf("catalog: close log %d: %w", old.generation, err)
		return
	}
	if err := c.removeGeneration(old.generation); err != nil {
		c.err = fmt.Errorf("catalog: remove generation %d: %w", old.generation, err)
	}
}

func (st *state) makeSecret() error {
	st.hasSecret = true
	_, err := rand.Read(st.secret[:])
	return err
}

func newSalt() (uint64, error) {
	var b [8]byte
	_, err := rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

// sortedStreams returns the streams by id, so that equal states give equal snapshots.
func (st *state) sortedStreams() []*StreamInfo {
	out := make([]*StreamInfo, 0, len(st.streams))
	for _, id := range slices.Sorted(maps.Keys(st.streams)) {
		out = append(out, st.streams[id])
	}
	return out
}

package loadgen

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
)

// faults are what a faultyTarget does wrong. Counts are of requests, from 1, over all workers; 0 is never.
type faults struct {
	lose      int           // acknowledge this request and forget it
	duplicate int           // keep this one twice
	swap      int           // keep this one after the shard's next
	damage    int           // flip a bit in this one's first record and keep it
	refuse    int           // refuse each n-th
	keepAll   bool          // refused requests are kept all the same
	dieAt     int           // the connection fails at this one
	muteAt    int           // answer none from this one on
	stallAt   time.Duration // take nothing from then on for
	stallFor  time.Duration
	split     int  // close shard 0 at this request; its keys go to a new one
	closedNow bool // seek fails
}

// faultyTarget is a target in memory that does wrong as told. Batches go through the wire's real form.
type faultyTarget struct {
	c      *Config
	faults faults
	window time.Time // when open was called

	mu       sync.Mutex // guards the following
	requests int
	shardLog map[uint32][]batch.Batch
	closed   map[uint32]bool
	held     batch.Batch // swapped with the next of its shard
}

func newFaultyTarget(c *Config, f faults) *faultyTarget {
	return &faultyTarget{c: c, faults: f, shardLog: make(map[uint32][]batch.Batch), closed: make(map[uint32]bool)}
}

func (t *faultyTarget) open(context.Context) error { t.window = time.Now(); return nil }
func (t *faultyTarget) close() error               { return nil }

func (t *faultyTarget) shardOf(key []byte) uint32 {
	return uint32(xxhash.Sum64(key) % uint64(t.c.Shards))
}

func (t *faultyTarget) sender(_ context.Context, _ uint32, done completion) (sender, error) {
	s := &faultySender{t: t, done: done, queue: make(chan func(), maxWindow)}
	s.nativeWire = nativeWire{shardOf: t.shardOf, limit: t.c.BatchBytes}
	s.wg.Go(func() {
		for f := range s.queue {
			f()
		}
	})
	return s, nil
}

type faultySender struct {
	nativeWire
	t     *faultyTarget
	done  completion
	queue chan func() // acknowledgements, given on a goroutine of their own as a connection's reader would
	wg    sync.WaitGroup
}

var errDied = errors.New("connection reset")

func (s *faultySender) send(ctx context.Context, r *request, tag uint64) error {
	t := s.t
	if f := &t.faults; f.stallFor > 0 {
		since := time.Since(t.window)
		if since >= f.stallAt && since < f.stallAt+f.stallFor {
			pause(ctx, f.stallAt+f.stallFor-since)
		}
	}
	b, err := batch.Check(slices.Clone(r.wire), batch.MaxLen)
	if err != nil {
		return err
	}
	t.mu.Lock()
	err, refused := t.take(b)
	mute := t.faults.muteAt != 0 && t.requests >= t.faults.muteAt
	t.mu.Unlock()
	switch {
	case err != nil:
		return err
	case mute:
		return nil
	}
	s.queue <- func() { s.done.done(tag, outcome{err: refused}) }
	return nil
}

// take keeps a batch, or does what is to be done wrong with it.
func (t *faultyTarget) take(b batch.Batch) (fatal, refused error) {
	t.requests++
	f, n := &t.faults, t.requests
	is := func(at int) bool { return at != 0 && n == at }
	if f.dieAt != 0 && n >= f.dieAt {
		return errDied, nil
	}
	if f.refuse != 0 && n%f.refuse == 0 {
		if f.keepAll {
			t.keep(b)
		}
		return nil, &RequestError{Code: "Refused"}
	}
	if is(f.split) {
		t.closed[0] = true
	}
	switch {
	case is(f.lose):
	case is(f.duplicate):
		t.keep(b)
		t.keep(b)
	case is(f.swap):
		t.held = b
	case is(f.damage):
		b[batch.HeaderLen+2+keyLen+headerLen] ^= 1 // the first byte after the first record's header
		t.keep(b)
	default:
		t.keep(b)
		if t.held != nil && t.held.Shard() == b.Shard() {
			t.keep(t.held)
			t.held = nil
		}
	}
	return nil, nil
}

func (t *faultyTarget) keep(b batch.Batch) {
	shard := b.Shard()
	if t.closed[shard] {
		shard = uint32(t.c.Shards)
	}
	t.shardLog[shard] = append(t.shardLog[shard], b)
}

func (s *faultySender) close() error {
	close(s.queue)
	s.wg.Wait()
	return nil
}

func (t *faultyTarget) reader(context.Context) (reader, error) {
	if t.faults.closedNow {
		return nil, errDied
	}
	return &faultyReader{t: t}, nil
}

type faultyReader struct {
	t  *faultyTarget
	it batch.Iterator
}

func (r *faultyReader) shards(context.Context) ([]shardRef, error) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	var out []shardRef
	for i := range r.t.c.Shards {
		out = append(out, shardRef{id: strconv.Itoa(i), lane: uint32(i)})
	}
	if r.t.closed[0] {
		out = append(out, shardRef{id: strconv.Itoa(r.t.c.Shards), lane: uint32(r.t.c.Shards), parents: []string{"0"}})
	}
	return out, nil
}

func (r *faultyReader) seek(_ context.Context, s shardRef, _ start) (*cursor, error) {
	return &cursor{shard: s}, nil
}

func (r *faultyReader) read(ctx context.Context, cur *cursor, wait time.Duration, c *checker) (int, bool, error) {
	r.t.mu.Lock()
	kept := r.t.shardLog[cur.shard.lane][cur.position:]
	closed := r.t.closed[cur.shard.lane]
	r.t.mu.Unlock()
	if len(kept) == 0 {
		cur.ended = closed
		pause(ctx, wait)
		return 0, true, nil
	}
	kept = kept[:min(len(kept), 16)]
	n := 0
	c.begin()
	defer c.end()
	for _, b := range kept {
		if err := r.it.Reset(b); err != nil {
			return 0, false, err
		}
		for r.it.Next() {
			c.record(r.it.Key(), r.it.Data())
			n++
		}
	}
	cur.position += uint64(len(kept))
	return n, false, nil
}

func (r *faultyReader) follow(ctx context.Context, curs []*cursor, c *checker) error {
	for ctx.Err() == nil {
		for _, cur := range curs {
			if _, _, err := r.read(ctx, cur, 0, c); err != nil {
				return err
			}
			if cur.ended {
				return nil
			}
		}
		pause(ctx, time.Millisecond)
	}
	return nil
}

func (r *faultyReader) close() error { return nil }

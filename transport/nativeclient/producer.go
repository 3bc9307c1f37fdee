package nativeclient

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
)

// ProducerOptions configure a Producer. The zero value of each field is its default.
type ProducerOptions struct {
	Level      Level         // how far a record must come; the stream's durability is the least
	BatchBytes int           // a batch is sent when it is this long; default 64 KiB
	Linger     time.Duration // how long a batch may wait for more; default 0: until nothing of its shard is in flight
	Codec      batch.Codec   // default raw; compression runs on the producer's own goroutine
	// MaxBuffered bounds the bytes of records not yet acknowledged; Produce blocks beyond it. Default 16 MiB.
	MaxBuffered int
}

const (
	defaultBatchBytes  = 64 << 10
	defaultMaxBuffered = 16 << 20
	// recordOverhead is what a buffered record costs beside its bytes: table entries and its future.
	recordOverhead = 48
	// routeRetryMin and Max space the attempts to learn of new shards while a split or merge is under way.
	routeRetryMin = 2 * time.Millisecond
	routeRetryMax = 200 * time.Millisecond
	// routeTimeout bounds those attempts.
	routeTimeout = 10 * time.Second
)

// Producer gathers records into batches, one batch growing per shard, and sends them. Records with the same key are
// appended in the order of their Produce calls, also across splits and merges. Its methods may be called concurrently.
type Producer struct {
	s      *Stream
	o      ProducerOptions
	wake   chan struct{} // one token: the sender should look again
	room   chan struct{} // one token: there may be room for another record
	stop   chan struct{}
	wg     sync.WaitGroup
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu       sync.Mutex // guards the following
	routes   *routes    // records are routed by it until all batches of shards it has too many are back
	queues   map[uint32]*shardQueue
	order    []*shardQueue   // the same, served in turn
	turn     int             // whose turn it is
	sent     []*pendingBatch // on the wire, in order; acknowledgements come in that order
	sentHead int
	futures  futures
	free     []*batch.Builder
	buffered int
	waiting  int // callers of Produce that wait for room
	closed   bool
}

// shardQueue is what a producer keeps for one shard.
type shardQueue struct {
	id       uint32
	epoch    uint16
	open     *pendingBatch   // growing
	full     []*pendingBatch // to be sent, in order
	back     []*pendingBatch // came back because the shard is closed, in order
	inFlight int
	stale    bool // the shard is closed: nothing more is sent, and all of it is routed anew once nothing is in flight
	flush    bool // send what there is
	since    time.Time
}

// pendingBatch is a batch from its first record to its acknowledgement.
type pendingBatch struct {
	q       *shardQueue
	builder *batch.Builder
	futures []*Future
	bytes   int // what it counts for in Producer.buffered

	done  chan struct{} // closed once the following are final
	ack   Ack
	moved bool            // its records are in other batches now
	to    []*pendingBatch // those
}

// NewProducer makes a producer. It must be closed.
func (s *Stream) NewProducer(o ProducerOptions) *Producer {
	if o.BatchBytes <= 0 {
		o.BatchBytes = defaultBatchBytes
	}
	if o.MaxBuffered <= 0 {
		o.MaxBuffered = defaultMaxBuffered
	}
	p := &Producer{s: s, o: o, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), stop: make(chan struct{}),
		routes: s.routes.Load(), queues: make(map[uint32]*shardQueue)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.send)
	return p
}

// Produce takes one record; key and data are copied. It blocks while MaxBuffered is used up, until ctx ends: the future
// then fails with ctx's error and the record was not taken.
func (p *Producer) Produce(ctx context.Context, key, data []byte) *Future {
	size := len(key) + len(data) + recordOverhead
	p.mu.Lock()
	for p.buffered > 0 && p.buffered+size > p.o.MaxBuffered && !p.closed {
		if err := p.awaitRoomLocked(ctx); err != nil {
			p.mu.Unlock()
			return failedFuture(err)
		}
	}
	f, wake, err := p.addLocked(key, data, size)
	p.mu.Unlock()
	if err != nil {
		return failedFuture(err)
	}
	if wake {
		signal(p.wake)
	}
	return f
}

// awaitRoomLocked releases mu until room may have come.
func (p *Producer) awaitRoomLocked(ctx context.Context) error {
	p.waiting++
	p.mu.Unlock()
	var err error
	select {
	case <-p.room:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	p.waiting--
	if p.waiting > 0 {
		signal(p.room) // the token was for one; there may be room for the next, too
	}
	return err
}

// addLocked puts a record into its shard's batch. wake: the sender has something to do.
func (p *Producer) addLocked(key, data []byte, size int) (f *Future, wake bool, err error) {
	if p.closed {
		return nil, false, ErrClosed
	}
	f = p.futures.get()
	q, err := p.placeLocked(f, key, data, size)
	if err != nil {
		return nil, false, err
	}
	p.buffered += size
	return f, p.sendableLocked(q, time.Time{}) || len(q.open.futures) == 1 && p.o.Linger > 0, nil
}

// placeLocked routes a record and puts it, and its future, into its shard's growing batch.
func (p *Producer) placeLocked(f *Future, key, data []byte, size int) (*shardQueue, error) {
	sh := p.routes.find(key)
	if sh == nil {
		return nil, ErrNoShard
	}
	q := p.queues[sh.ID]
	if q == nil {
		q = &shardQueue{id: sh.ID, epoch: p.routes.epoch}
		p.queues[sh.ID] = q
		p.order = append(p.order, q)
	}
	if q.open == nil {
		p.beginLocked(q)
	}
	err := q.open.builder.Append(key, data)
	if errors.Is(err, batch.ErrFull) {
		q.full = append(q.full, q.open)
		p.beginLocked(q)
		err = q.open.builder.Append(key, data)
	}
	if err != nil {
		if len(q.open.futures) == 0 {
			p.recycleLocked(q.open)
			q.open = nil
		}
		if errors.Is(err, batch.ErrTooLarge) {
			err = ErrTooLarge
		}
		return nil, err
	}
	b := q.open
	f.i = uint32(len(b.futures))
	f.b.Store(b)
	b.futures = append(b.futures, f)
	b.bytes += size
	if b.builder.Len() >= p.o.BatchBytes {
		q.full = append(q.full, b)
		p.beginLocked(q)
	}
	return q, nil
}

// beginLocked makes a new growing batch.
func (p *Producer) beginLocked(q *shardQueue) {
	b := &pendingBatch{q: q, done: make(chan struct{})}
	if n := len(p.free); n > 0 {
		b.builder = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		b.builder = new(batch.Builder)
	}
	b.builder.Reset(q.id, batch.BuildOptions{Codec: p.o.Codec, MaxLen: p.s.c.MaxBatch(), RouteEpoch: q.epoch})
	q.open, q.since = b, time.Time{}
	if p.o.Linger > 0 {
		q.since = time.Now()
	}
}

func (p *Producer) recycleLocked(b *pendingBatch) {
	p.free = append(p.free, b.builder) // as many as were ever pending at a time, which MaxBuffered bounds
	b.builder, b.futures = nil, nil
}

// Flush sends what is buffered and waits until everything produced before the call has an answer. It returns the first
// error among those, or ctx's.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	var todo []*pendingBatch
	todo = append(todo, p.sent[p.sentHead:]...)
	for _, q := range p.order {
		todo = append(append(todo, q.back...), q.full...)
		if q.open != nil && len(q.open.futures) > 0 {
			q.flush = true
			todo = append(todo, q.open)
		}
	}
	p.mu.Unlock()
	signal(p.wake)
	var first error
	for len(todo) > 0 {
		b := todo[0]
		todo = todo[1:]
		select {
		case <-b.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if b.moved {
			todo = append(todo, b.to...)
		} else if first == nil {
			first = b.ack.Err
		}
	}
	return first
}

// Close flushes, for as long as the connection lives, and ends the producer. It returns the first error of the records
// flushed. Later calls return nil.
func (p *Producer) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	signal(p.room)
	err := p.Flush(p.ctx)
	p.cancel()
	close(p.stop)
	p.wg.Wait()
	return err
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

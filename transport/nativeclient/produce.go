package nativeclient

import (
	"context"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
)

// Ack is what became of a batch, or of a record.
type Ack struct {
	Position uint64 // in the log; record i of a batch is at the batch's position + i
	Micros   int64  // arrival, microseconds since 1970
	Err      error  // nil: it has reached the level asked for
}

// Completion learns what became of a batch. Done runs on the client's reading goroutine: it must not block, nor wait for
// anything of the client.
type Completion interface{ Done(tag uint64, a Ack) }

// pendingAck is a PRODUCE frame that was not acknowledged yet.
type pendingAck struct {
	tag  uint64
	done Completion
	corr uint32
	size int
}

// ackQueue is a FIFO in a ring that grows and stays; the budget bounds it.
type ackQueue struct {
	ring []pendingAck // a power of two, or empty
	head int
	n    int
}

func (q *ackQueue) push(p pendingAck) {
	if q.n == len(q.ring) {
		next := make([]pendingAck, max(64, 2*len(q.ring)))
		for i := range q.n {
			next[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = next, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = p
	q.n++
}

func (q *ackQueue) first() *pendingAck { return &q.ring[q.head] }

func (q *ackQueue) pop() pendingAck {
	p := q.ring[q.head]
	q.ring[q.head] = pendingAck{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return p
}

// produceOverhead is what a PRODUCE frame adds to a batch.
const produceOverhead = frame.HeaderLen + frame.PrefixLen

// MaxBatch is the longest batch that fits a frame to the server, in bytes.
func (c *Client) MaxBatch() int {
	return (c.maxFrame - frame.MinLen - frame.PrefixLen) &^ (batch.Align - 1)
}

// ProduceBatch sends one finished batch (what batch.Builder.Finish returns, its header naming an open shard of the
// stream). done is called once with tag, on the reading goroutine, when the batch has reached level or has failed; it is
// not called where ProduceBatch returns an error. Batches of one goroutine are appended in the order of its calls. b may
// be reused after the return. It blocks while the bytes in flight are used up, until ctx ends. Errors: ctx's, why the
// connection ended, ErrGoAway, ErrTooLarge. It does not allocate in a steady state.
func (s *Stream) ProduceBatch(ctx context.Context, b batch.Batch, level Level, tag uint64, done Completion) error {
	c := s.c
	if len(b) > c.MaxBatch() {
		return ErrTooLarge
	}
	size := produceOverhead + len(b)
	if err := c.budget.acquire(ctx, size, c.dead); err != nil {
		if err := c.Err(); err != nil {
			return err
		}
		return err
	}
	c.mu.Lock()
	if err := c.refusalLocked(); err != nil {
		c.mu.Unlock()
		c.budget.release(size)
		return err
	}
	corr := c.nextCorrLocked()
	alone := c.acks.n == 0
	c.acks.push(pendingAck{tag: tag, done: done, corr: corr, size: size})
	c.produceLocked(corr, s.handle, level, b, alone || len(b) >= directBytes)
	c.mu.Unlock()
	return nil
}

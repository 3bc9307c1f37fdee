package nativeclient

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/shardmill/shardmill/codec/frame"
)

const defaultCredit = 4 << 20

// Subscription gets batches of several shards pushed. Next may be called by one goroutine at a time, Release of what it
// returned by any.
type Subscription struct {
	c      *Client
	id     uint32
	credit int

	mu     sync.Mutex // guards the following
	queue  []Delivery // bounded by the credit and one frame
	head   int
	bytes  int // in queue
	owed   int // credit released but not yet returned
	err    error
	closed bool

	more chan struct{} // one token: Next should look again
}

// Subscribe asks for pushes of the shards' batches, each in order, all from the same kind of start. credit is how many
// bytes of batches may be on the way or not yet released; default 4 MiB. A shard that was closed ends with a Delivery
// whose End is set; its children are not subscribed to by themselves.
func (s *Stream) Subscribe(ctx context.Context, shardIDs []uint32, from From, credit int) (*Subscription, error) {
	if len(shardIDs) == 0 || len(shardIDs) > frame.MaxShardsPerSubscribe {
		return nil, fmt.Errorf("subscribe: %d shards, not within 1..%d", len(shardIDs), frame.MaxShardsPerSubscribe)
	}
	if credit <= 0 {
		credit = defaultCredit
	}
	c := s.c
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req := frame.Subscribe{Kind: frame.FromKind(from.Kind), Value: from.Value, Credit: uint32(credit)}
	sub := &Subscription{c: c, credit: credit, more: make(chan struct{}, 1)}
	cl := callPool.Get().(*call)
	cl.op = frame.OpSubscribe
	c.mu.Lock()
	if err := c.refusalLocked(); err != nil {
		c.mu.Unlock()
		c.freeCall(cl)
		return nil, err
	}
	sub.id = c.nextCorrLocked()
	c.calls[sub.id], c.subs[sub.id] = cl, sub
	c.sendCallLocked(func(dst []byte, corr uint32) []byte {
		return frame.AppendSubscribe(dst, corr, s.handle, &req, shardIDs)
	}, sub.id)
	c.mu.Unlock()
	cl, err := c.await(ctx, sub.id, cl)
	if err != nil {
		_ = sub.Close() // the server may have begun
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	c.freeCall(cl)
	return sub, nil
}

// push takes a DELIVER frame.
func (s *Subscription) push(d Delivery) error {
	d.sub = s
	s.mu.Lock()
	if s.closed || s.err != nil {
		s.mu.Unlock()
		d.sub = nil
		d.Release()
		return nil
	}
	if s.bytes > s.credit {
		s.mu.Unlock()
		return fmt.Errorf("%w: server pushes beyond its credit", ErrProtocol)
	}
	if s.head > 0 && s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	}
	s.queue = append(s.queue, d)
	s.bytes += len(d.Batches)
	s.mu.Unlock()
	s.signal()
	return nil
}

func (s *Subscription) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// end makes Next return err once the queue is empty.
func (s *Subscription) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
}

// Next waits for the next Delivery, which is the caller's to Release. Errors: ctx's, ErrClosed after Close, why the
// connection or the subscription ended.
func (s *Subscription) Next(ctx context.Context) (Delivery, error) {
	for {
		s.mu.Lock()
		if s.head < len(s.queue) {
			d := s.queue[s.head]
			s.queue[s.head] = Delivery{}
			s.head++
			s.bytes -= len(d.Batches)
			if s.head == len(s.queue) {
				s.queue, s.head = s.queue[:0], 0
			}
			s.mu.Unlock()
			return d, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			s.signal() // for whoever asks next
			return Delivery{}, err
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return Delivery{}, ctx.Err()
		}
	}
}

// returnCredit tells the server that bytes were released, a quarter of the credit at a time.
func (s *Subscription) returnCredit(n int) {
	s.mu.Lock()
	s.owed += n
	owed := s.owed
	if s.closed || s.err != nil || owed < min(s.credit/4, 1<<20) || owed == 0 {
		s.mu.Unlock()
		return
	}
	s.owed = 0
	s.mu.Unlock()
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.sendCallLocked(func(dst []byte, _ uint32) []byte { return frame.AppendCredit(dst, s.id, uint32(owed)) }, 0)
	}
}

// Close ends the subscription. Deliveries not yet taken are released. Idempotent.
func (s *Subscription) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	rest := s.queue[s.head:]
	s.queue, s.head = nil, 0
	if s.err == nil {
		s.err = ErrClosed
	}
	s.mu.Unlock()
	s.signal()
	for i := range rest {
		rest[i].sub = nil
		rest[i].Release()
	}
	c := s.c
	c.mu.Lock()
	delete(c.subs, s.id)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	cl, err := c.do(ctx, frame.OpUnsubscribe, func(dst []byte, corr uint32) []byte {
		return frame.AppendUnsubscribe(dst, corr, s.id)
	})
	if err == nil {
		c.freeCall(cl)
	}
	if c.Err() != nil || errors.Is(err, ErrGoAway) {
		return nil // it ends with its connection
	}
	return err
}

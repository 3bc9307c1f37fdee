package nativeclient

import (
	"context"
	"math/bits"
	"time"

	"github.com/valyala/bytebufferpool"

	"github.com/shardmill/shardmill/codec/frame"
)

// FromKind is how a reader says where to start.
type FromKind uint8

const (
	FromPosition FromKind = FromKind(frame.FromPosition) // Value is a position
	FromHorizon  FromKind = FromKind(frame.FromHorizon)  // the oldest batch kept
	FromLatest   FromKind = FromKind(frame.FromLatest)   // what arrives from now on
	FromMicros   FromKind = FromKind(frame.FromMicros)   // Value is a time, microseconds since 1970
)

// From is where a reader starts. A position within a batch stands for that batch.
type From struct {
	Kind  FromKind
	Value uint64
}

// Delivery is batches of one shard. Release it once; after that Batches is somebody else's memory.
type Delivery struct {
	Shard   uint32 // id in the log
	Batches []byte // whole stored batches back to back, see EachBatch
	Next    uint64 // position to go on from
	End     bool   // the shard is closed and this is the last of it

	c   *Client
	sub *Subscription
	buf *bytebufferpool.ByteBuffer
}

// Release gives the memory back, and to a subscription the credit. Further calls do nothing.
func (d *Delivery) Release() {
	if d.buf == nil {
		return
	}
	n := len(d.Batches)
	d.c.buffers.put(d.buf)
	d.buf, d.Batches = nil, nil
	if d.sub != nil {
		d.sub.returnCredit(n)
		d.sub = nil
	}
}

// Fetch asks once for batches of a shard. It returns as soon as there are minBytes, or after maxWait with what there is;
// at most maxBytes, but at least one batch where there is one. maxWait is cut at a minute. Batches are as stored:
// batch.CheckDelivered verifies their sums. The Delivery is the caller's to Release.
func (s *Stream) Fetch(ctx context.Context, shardID uint32, from From, minBytes, maxBytes int, maxWait time.Duration) (Delivery, error) {
	f := frame.Fetch{Shard: shardID, Kind: frame.FromKind(from.Kind), Value: from.Value, MinBytes: uint32(max(minBytes, 0)),
		MaxBytes:   uint32(max(maxBytes, 0)),
		WaitMillis: uint32(min(max((maxWait+time.Millisecond-1).Milliseconds(), 0), frame.MaxWaitMillis))}
	cl, err := s.c.do(ctx, frame.OpFetch, func(dst []byte, corr uint32) []byte {
		return frame.AppendFetch(dst, corr, s.handle, &f)
	})
	if err != nil {
		return Delivery{}, err
	}
	d := cl.delivery
	s.c.freeCall(cl)
	return d, nil
}

// deliveryBuffers lends buffers of power-of-two sizes, one pool a size.
type deliveryBuffers struct {
	classes [maxClassBits - minClassBits + 1]bytebufferpool.Pool
}

const (
	minClassBits = 10 // 1 KiB
	maxClassBits = 24 // 16 MiB, above any frame
)

func (p *deliveryBuffers) get(n int) *bytebufferpool.ByteBuffer {
	class := max(bits.Len(uint(max(n, 1)-1)), minClassBits) - minClassBits
	b := p.classes[class].Get()
	if cap(b.B) < n {
		b.B = make([]byte, 0, 1<<(class+minClassBits))
	}
	return b
}

func (p *deliveryBuffers) put(b *bytebufferpool.ByteBuffer) {
	// The pool learns from lengths which capacities to keep; here every buffer of a class has the class's size.
	b.B = b.B[:cap(b.B)]
	p.classes[max(bits.Len(uint(len(b.B)-1)), minClassBits)-minClassBits].Put(b)
}

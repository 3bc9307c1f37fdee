package loadgen

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
)

// request is one prepared request: complete bytes in which only the records' headers change.
type request struct {
	wire  []byte
	marks []mark
	bytes int // of record data
}

// mark is one record of a request.
type mark struct {
	at   int    // where its header begins in wire
	rest uint64 // xxh64 of what follows the header
}

// wire makes and stamps requests of one protocol. Not for concurrent use; each worker has its own.
type wire interface {
	// group tells which keys may share a request: those of one group.
	group(key []byte) uint32
	// begin starts a request of a group.
	begin(group uint32)
	// add adds a record; fits is false when the request is full, which the first record never finds. Both slices stay
	// the caller's.
	add(key, data []byte, first bool) (fits bool, err error)
	// finish returns the request, whose marks lack their rest.
	finish() (*request, error)
	// stamp makes the request's records first, first+1, ... of run, intended at the given nanoseconds since 1970.
	stamp(r *request, first uint64, intended int64)
}

// bodySumAt is where a batch keeps the sum of its body, which the client sets (codec/batch/format.go). finish makes
// sure of it.
const bodySumAt = 72

// nativeWire builds batches of codec/batch, each for one shard.
type nativeWire struct {
	shardOf func(key []byte) uint32 // lane id of the shard that takes a key
	limit   int
	b       batch.Builder
	marks   []mark
	at      int
	bytes   int
}

func (w *nativeWire) group(key []byte) uint32 { return w.shardOf(key) }

func (w *nativeWire) begin(group uint32) {
	w.b.Reset(group, batch.BuildOptions{MaxLen: w.limit})
	w.marks, w.at, w.bytes = w.marks[:0], batch.HeaderLen, 0
}

func (w *nativeWire) add(key, data []byte, first bool) (bool, error) {
	err := w.b.Append(key, data)
	if errors.Is(err, batch.ErrFull) && !first {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: a record of %d bytes does not fit a batch of %d: %w", ErrConfig, len(data), w.limit, err)
	}
	w.at += 2 + len(key) // a record is its key's length, the key, the data
	w.marks = append(w.marks, mark{at: w.at})
	w.at += len(data)
	w.bytes += len(data)
	return true, nil
}

func (w *nativeWire) finish() (*request, error) {
	b, err := w.b.Finish()
	if err != nil {
		return nil, err
	}
	r := &request{wire: append([]byte(nil), b...), marks: append([]mark(nil), w.marks...), bytes: w.bytes}
	if binary.LittleEndian.Uint64(r.wire[bodySumAt:]) != b.BodySum() || b.Codec() != batch.CodecRaw {
		panic("BUG: the layout of a batch is not the one stamped here")
	}
	for _, m := range r.marks {
		if r.wire[m.at] != magic0 || r.wire[m.at+1] != magic1 {
			panic("BUG: a record is not where it was expected")
		}
	}
	return r, nil
}

func (w *nativeWire) stamp(r *request, first uint64, intended int64) {
	for i := range r.marks {
		m := &r.marks[i]
		stampHeader(r.wire[m.at:], first+uint64(i), intended, m.rest)
	}
	binary.LittleEndian.PutUint64(r.wire[bodySumAt:], xxhash.Sum64(batch.Batch(r.wire).Body()))
}

package batch

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Stamped is what the server adds to a batch when it appends it.
type Stamped struct {
	Position    uint64 // where in the lane, a multiple of Align
	Key         uint64 // of the lane, see CommitWord
	Len         uint32 // PaddedLen of the batch
	Kind        Kind
	Shard       uint32 // id in the lane
	Micros      int64  // arrival, microseconds since 1970
	DurableHint uint64 // the lane's durable watermark now
}

// Commit is the commit word that publishes the stamped batch.
func (s *Stamped) Commit() uint64 { return CommitWord(s.Position, s.Key) }

// CommitWord is what the first 8 bytes of the batch at position hold once it is committed. laneKey is random, so nobody
// can place a valid word in a body and have it found where an earlier lap left it.
func CommitWord(position, laneKey uint64) uint64 { return position ^ laneKey }

// Stamp completes the stored copy of a batch whose first HeaderLen bytes are dst: every field that is the server's, and
// the header sum, but not the commit word, which must come last and atomically. Does not allocate.
func Stamp(dst []byte, s Stamped) {
	h := dst[:HeaderLen]
	le := binary.LittleEndian
	le.PutUint32(h[offLen:], s.Len)
	h[offKind] = byte(s.Kind)
	le.PutUint32(h[offShard:], s.Shard)
	le.PutUint64(h[offAppendMicros:], uint64(s.Micros))
	le.PutUint64(h[offReserved:], 0)
	le.PutUint64(h[offDurableHint:], s.DurableHint)
	le.PutUint64(h[offHeaderSum:], headerSum(h, s.Position))
}

func headerSum(h []byte, position uint64) uint64 {
	return xxhash.Sum64(h[offLen:offHeaderSum]) ^ position
}

// PutPad writes all of a pad's header but the commit word: dst is the gap [position, position+len(dst)), a multiple of
// Align long. What lies behind the header stays as it is and means nothing. Does not allocate.
func PutPad(dst []byte, position uint64) {
	if len(dst) < PadHeaderLen || len(dst)%Align != 0 || uint64(len(dst)) > MaxPad {
		panic(fmt.Sprintf("BUG: pad of %d bytes", len(dst)))
	}
	h := dst[:PadHeaderLen]
	clear(h[offLen:])
	binary.LittleEndian.PutUint32(h[offLen:], uint32(len(dst)))
	h[offKind] = byte(KindPad)
	binary.LittleEndian.PutUint64(h[offPadSum:], padSum(h, position))
}

func padSum(h []byte, position uint64) uint64 { return xxhash.Sum64(h[offLen:offPadSum]) ^ position }

// CheckStored verifies the batch or pad that p starts with as stored at position in the lane with laneKey: commit word,
// header sum, body sum. It comes back as a view of p; of a pad only Kind and Len mean something. ErrNotCommitted: there
// is no batch here. ErrShort: there is one and p ends before it does. Anything else is damage. Safe for concurrent use
// on bytes that nobody writes any more; does not allocate.
func CheckStored(p []byte, position, laneKey uint64) (Batch, error) {
	b, err := CheckStoredHeader(p, position, laneKey)
	if err != nil {
		return nil, err
	}
	return b.whole()
}

// CheckStoredHeader is CheckStored for a p that may hold no more than the header: PadHeaderLen bytes tell a pad,
// HeaderLen a batch. What comes back is cut to Len where p is longer than that, and is shorter than Len where p is.
func CheckStoredHeader(p []byte, position, laneKey uint64) (Batch, error) {
	if len(p) < PadHeaderLen {
		return nil, ErrShort
	}
	b := Batch(p)
	if b.Position() != CommitWord(position, laneKey) {
		return nil, ErrNotCommitted
	}
	if b.Kind() == KindPad {
		return b.pad(position)
	}
	return b.header(position)
}

// CheckDelivered verifies the batch that p starts with as a consumer gets it. Errors are those of CheckStored without
// ErrNotCommitted; a wrong position is ErrBadHeaderSum. Safe for concurrent use; does not allocate.
func CheckDelivered(p []byte) (Batch, error) {
	if len(p) < HeaderLen {
		return nil, ErrShort
	}
	b, err := Batch(p).header(Batch(p).Position())
	if err != nil {
		return nil, err
	}
	return b.whole()
}

// Deliver makes of a copy of a stored batch what consumers get: the commit word, which would give the lane's key away,
// becomes the plain position.
func Deliver(b Batch, position uint64) {
	binary.LittleEndian.PutUint64(b[offCommit:], position)
}

// header verifies a data batch's header.
func (b Batch) header(position uint64) (Batch, error) {
	if len(b) < HeaderLen {
		return nil, ErrShort
	}
	if b.HeaderSum() != headerSum(b, position) {
		return nil, ErrBadHeaderSum
	}
	if err := b.checkShape(); err != nil {
		return nil, err
	}
	n := min(b.Len(), len(b))
	return b[:n:n], nil
}

// pad verifies a pad's header.
func (b Batch) pad(position uint64) (Batch, error) {
	if binary.LittleEndian.Uint64(b[offPadSum:]) != padSum(b, position) {
		return nil, ErrBadHeaderSum
	}
	n := b.Len()
	if n < PadHeaderLen || n%Align != 0 || n > MaxPad {
		return nil, ErrBadLength
	}
	n = min(n, len(b))
	return b[:n:n], nil
}

// whole verifies what follows a header that has been verified.
func (b Batch) whole() (Batch, error) {
	switch {
	case len(b) < b.Len():
		return nil, ErrShort
	case b.Kind() == KindData && xxhash.Sum64(b.Body()) != b.BodySum():
		return nil, ErrBadSum
	}
	return b, nil
}

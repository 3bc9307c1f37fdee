// Package zstdpool compresses and decompresses whole blocks with zstd. Pool is the one type: it keeps the encoders and
// decoders, which are large, so that many callers share few of them. It writes one single-segment zstd frame per block,
// with its size declared and without a checksum of its own: the blocks lie inside formats that have one.
package zstdpool

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// MaxDecoded is the most that one block may decompress to, whatever the caller asks for: four whole batches.
	MaxDecoded = 64 << 20
	// window is how far back the encoder looks: blocks are batches, most of them smaller than this, and a larger one
	// would cost each encoder memory for little.
	window = 256 << 10
	// slack is room past the decoded bytes that lets the decoder copy in whole vectors. It is never part of the result.
	slack = 32
)

// Pool shares encoders and decoders among its callers. All methods may be called concurrently: as many calls of a kind
// run at once as GOMAXPROCS was when New ran, the others wait for a turn. A Pool comes from New, starts no goroutine and
// needs no closing.
type Pool struct {
	encoders shelf[*zstd.Encoder]
	decoders shelf[*zstd.Decoder]
}

// New returns an empty pool. Encoders and decoders are made when first needed, some 300 and 100 KiB each, and kept.
func New() *Pool {
	p := new(Pool)
	p.encoders.turns = make(chan struct{}, runtime.GOMAXPROCS(0))
	p.decoders.turns = make(chan struct{}, runtime.GOMAXPROCS(0))
	return p
}

// shelf keeps the coders that nobody uses. The last one put back is the next one taken: its tables are still in the
// cache. (zstd's own sharing hands them out in turn, which made each block take a fifth longer on two cores.)
type shelf[T any] struct {
	turns chan struct{} // one element for each coder in use
	mu    sync.Mutex
	idle  []T // guarded by mu
}

// take waits for a turn and returns an idle coder, or a new one of build.
func (s *shelf[T]) take(build func() T) T {
	if s.turns == nil {
		panic("BUG: a zstdpool.Pool that New did not make")
	}
	s.turns <- struct{}{}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle)
	if n == 0 {
		return build()
	}
	c := s.idle[n-1]
	s.idle = s.idle[:n-1]
	return c
}

func (s *shelf[T]) put(c T) {
	s.mu.Lock()
	s.idle = append(s.idle, c)
	s.mu.Unlock()
	<-s.turns
}

// AppendEncode appends src, compressed, to dst and returns it. src is only read. No allocation where dst has room for
// the result.
func (p *Pool) AppendEncode(dst, src []byte) []byte {
	e := p.encoders.take(newEncoder)
	defer p.encoders.put(e)
	return e.EncodeAll(src, dst)
}

// AppendDecode appends the decompressed src to dst and returns it; on an error it returns dst as it was. More than
// maxLen bytes are ErrTooLarge, found before anything of that size is allocated. src is only read. No allocation where
// dst has 32 bytes more room than the result needs.
func (p *Pool) AppendDecode(dst, src []byte, maxLen int) ([]byte, error) {
	maxLen = min(maxLen, MaxDecoded)
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	switch {
	case h.Skippable || h.DictionaryID != 0:
		return dst, ErrCorrupt
	case !h.HasFCS:
		return dst, ErrNoSize
	case maxLen < 0 || h.FrameContentSize > uint64(maxLen):
		return dst, ErrTooLarge
	}
	size := int(h.FrameContentSize)
	dst = slices.Grow(dst, size+slack)
	// The decoder fails rather than going past the capacity, so a second frame behind the first cannot either, and what
	// it returns lies in dst.
	room := dst[len(dst) : len(dst) : len(dst)+size+slack]
	d := p.decoders.take(newDecoder)
	defer p.decoders.put(d)
	out, err := d.DecodeAll(src, room)
	switch {
	case err != nil:
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case len(out) != size:
		return dst, ErrCorrupt
	}
	return dst[:len(dst)+size], nil
}

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(window),
		zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(fmt.Sprintf("BUG: zstd encoder options: %v", err))
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderMaxMemory(MaxDecoded+slack),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(fmt.Sprintf("BUG: zstd decoder options: %v", err))
	}
	return d
}

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

// Pool shares encoders and decoders among its callers. The zero value works. All methods may be called concurrently: as
// many calls run at once as GOMAXPROCS was at the first one, the others wait for a turn. A Pool starts no goroutine and
// needs no closing. It must not be copied after first use.
type Pool struct {
	encOnce sync.Once
	enc     *zstd.Encoder
	decOnce sync.Once
	dec     *zstd.Decoder
}

// New returns an empty pool. Encoders and decoders are made when first needed.
func New() *Pool { return new(Pool) }

// AppendEncode appends src, compressed, to dst and returns it. src is only read. No allocation where dst has room for
// the result.
func (p *Pool) AppendEncode(dst, src []byte) []byte {
	p.encOnce.Do(p.makeEncoder)
	return p.enc.EncodeAll(src, dst)
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
	p.decOnce.Do(p.makeDecoder)
	size := int(h.FrameContentSize)
	dst = slices.Grow(dst, size+slack)
	// The decoder fails rather than going past the capacity, so a second frame behind the first cannot either, and what
	// it returns lies in dst.
	room := dst[len(dst):len(dst) : len(dst)+size+slack]
	out, err := p.dec.DecodeAll(src, room)
	switch {
	case err != nil:
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case len(out) != size:
		return dst, ErrCorrupt
	}
	return dst[:len(dst)+size], nil
}

func (p *Pool) makeEncoder() {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(window),
		zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(fmt.Sprintf("BUG: zstd encoder options: %v", err))
	}
	p.enc = e
}

func (p *Pool) makeDecoder() {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderMaxMemory(MaxDecoded),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(fmt.Sprintf("BUG: zstd decoder options: %v", err))
	}
	p.dec = d
}

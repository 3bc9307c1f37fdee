package lane

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A segment file. The layout is part of the on-disk format and never changes; a new layout gets a new formatVersion.
// All integers are little endian.
//
//	+--------------------+  0
//	| header, 4096 bytes |
//	+--------------------+  4096
//	| batches            |  the batch at position p starts at 4096 + (p - base); pads fill the gaps
//	+--------------------+  4096 + (end - base)          from here on only in a sealed segment
//	| directory          |  one 64-byte entry per shard, by shard id
//	| extents            |  per shard, delta varints
//	| summary            |  64 bytes and a bitmap of the shards present
//	| trailer, 32 bytes  |  the last bytes of the file
//	+--------------------+
//
// Header:
//
//	   0  8  magic "shardlog"
//	   8  4  version
//	  12  4  length of the header
//	  16 16  lane id, random, the same in all segments of a lane
//	  32  8  base     position of the first batch
//	  40  8  size     bytes of address space; base + size is where the next segment of the same run starts
//	  48  8  ring     ring size of the lane that wrote it: no batch crosses a multiple of it, none is longer than a quarter
//	  56  8  key      lane key, random, the same in all segments of one run (from Open to Close or crash)
//	  64  8  prevBase base of the segment before, 0 where there is none
//	  72  8  prevEnd  where that segment's batches end; final only where it was written by an earlier run
//	  80  8  created  microseconds since 1970
//	4088  8  xxh64 of bytes [0,4088)
//
// The file is preallocated to 4096 + size when it is made, and cut to its footer when it is sealed before it is full.
const (
	formatVersion = 1
	headerLen     = 4096

	headerMagic = "shardlog"
	laneIDLen   = 16

	offHeadMagic    = 0
	offHeadVersion  = 8
	offHeadLen      = 12
	offHeadLane     = 16
	offHeadBase     = 32
	offHeadSize     = 40
	offHeadRing     = 48
	offHeadKey      = 56
	offHeadPrevBase = 64
	offHeadPrevEnd  = 72
	offHeadCreated  = 80
	offHeadSum      = headerLen - 8

	// maxPosition keeps positions within the 56 bits that a sequence number has for them.
	maxPosition = 1 << 56
	// keyFloor keeps the commit word of an unwritten position from being zero, whatever the position.
	keyFloor = 1 << 56

	minRingSize    = 4096    // a page
	maxRingSize    = 1 << 31 // a quarter of it still fits the length field of a batch by far
	maxSegmentSize = 1 << 33 // an extent keeps its offset in 28 bits of 32 bytes

	segmentSuffix = ".seg"
	makingSuffix  = ".tmp" // a segment whose header is not yet known to be on disk
)

// header is the decoded start of a segment file.
type header struct {
	lane              [laneIDLen]byte
	base, size, ring  uint64
	key               uint64
	prevBase, prevEnd uint64
	created           int64
}

// end is the first position after the segment's address space.
func (h *header) end() uint64 { return h.base + h.size }

// appendHeader appends the headerLen bytes of h to dst.
func appendHeader(dst []byte, h *header) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, headerLen)...)
	p := dst[at:]
	le := binary.LittleEndian
	copy(p[offHeadMagic:], headerMagic)
	le.PutUint32(p[offHeadVersion:], formatVersion)
	le.PutUint32(p[offHeadLen:], headerLen)
	copy(p[offHeadLane:], h.lane[:])
	le.PutUint64(p[offHeadBase:], h.base)
	le.PutUint64(p[offHeadSize:], h.size)
	le.PutUint64(p[offHeadRing:], h.ring)
	le.PutUint64(p[offHeadKey:], h.key)
	le.PutUint64(p[offHeadPrevBase:], h.prevBase)
	le.PutUint64(p[offHeadPrevEnd:], h.prevEnd)
	le.PutUint64(p[offHeadCreated:], uint64(h.created))
	le.PutUint64(p[offHeadSum:], xxhash.Sum64(p[:offHeadSum]))
	return dst
}

// parseHeader reads the start of a segment file. A newer version is ErrVersion, told from damage by its magic alone: its
// checksum may lie elsewhere.
func parseHeader(p []byte) (header, error) {
	var h header
	le := binary.LittleEndian
	if len(p) < offHeadLen || string(p[:len(headerMagic)]) != headerMagic {
		return h, errMagic
	}
	if v := le.Uint32(p[offHeadVersion:]); v != formatVersion {
		return h, fmt.Errorf("%w: version %d, this build reads %d", ErrVersion, v, formatVersion)
	}
	if len(p) < headerLen || le.Uint32(p[offHeadLen:]) != headerLen {
		return h, errHeader
	}
	if le.Uint64(p[offHeadSum:]) != xxhash.Sum64(p[:offHeadSum]) {
		return h, errHeaderSum
	}
	copy(h.lane[:], p[offHeadLane:])
	h.base = le.Uint64(p[offHeadBase:])
	h.size = le.Uint64(p[offHeadSize:])
	h.ring = le.Uint64(p[offHeadRing:])
	h.key = le.Uint64(p[offHeadKey:])
	h.prevBase = le.Uint64(p[offHeadPrevBase:])
	h.prevEnd = le.Uint64(p[offHeadPrevEnd:])
	h.created = int64(le.Uint64(p[offHeadCreated:]))
	return h, h.validate()
}

func (h *header) validate() error {
	switch {
	case checkSizes(h.ring, h.size) != nil,
		h.base%h.size != 0, h.base == 0, h.base > maxPosition-h.size,
		h.prevBase != 0 && (h.prevBase >= h.base || h.prevEnd < h.prevBase || h.prevEnd > h.base),
		h.prevBase == 0 && h.prevEnd != 0,
		h.key < keyFloor:
		return errHeader
	}
	return nil
}

// checkSizes says whether a ring and a segment size can go together.
func checkSizes(ring, segment uint64) error {
	switch {
	case ring < minRingSize || ring > maxRingSize || ring&(ring-1) != 0:
		return fmt.Errorf("%w: ring size %d is not a power of two in [%d,%d]", ErrInvalid, ring, minRingSize, maxRingSize)
	case segment < ring || segment > maxSegmentSize || segment&(segment-1) != 0:
		return fmt.Errorf("%w: segment size %d is not a power of two in [ring size,%d]", ErrInvalid, segment, maxSegmentSize)
	}
	return nil
}

// segmentName is the file name of the segment at base: 16 hex digits, so that names sort by position.
func segmentName(base uint64) string { return fmt.Sprintf("%016x%s", base, segmentSuffix) }

// parseSegmentName tells whether name is a segment's, and which.
func parseSegmentName(name string) (base uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	for i := range len(digits) {
		c := digits[i]
		switch {
		case c >= '0' && c <= '9':
			base = base<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			base = base<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return base, true
}

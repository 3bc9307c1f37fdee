package lane

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// pad keeps what follows it off the cache line, and the adjacent one that processors prefetch with it, of what precedes.
type pad [128]byte

// ring is the memory that the newest bytes of the lane are in: position p lies at p modulo its size. No batch crosses its
// end, so every batch is one slice. It knows nothing of what it holds.
type ring struct {
	mem   []byte
	mask  uint64
	shift uint
}

func newRing(size int) (*ring, error) {
	mem, err := allocateRing(size)
	if err != nil {
		return nil, err
	}
	return &ring{mem: mem, mask: uint64(size - 1), shift: uint(bits.TrailingZeros(uint(size)))}, nil
}

func (r *ring) size() uint64 { return r.mask + 1 }

// at is the memory of [pos, pos+n), which must not cross the ring's end.
func (r *ring) at(pos, n uint64) []byte {
	o := pos & r.mask
	return r.mem[o : o+n : o+n]
}

// word is the commit word of the batch at pos. Batches are aligned to 32 bytes and the memory to a page.
func (r *ring) word(pos uint64) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&r.mem[pos&r.mask])) //nolint:gosec // aligned, see above
}

// place is where a batch of n bytes goes when the tail is at t: at t, or at the ring's start if it would cross the end.
func (r *ring) place(t, n uint64) uint64 {
	if t>>r.shift != (t+n-1)>>r.shift {
		return (t | r.mask) + 1
	}
	return t
}

// littleEndian tells whether words stored atomically lie in memory as the format wants them.
func littleEndian() bool {
	return binary.NativeEndian.Uint16([]byte{1, 0}) == 1
}

package batch

import (
	"encoding/binary"
	"math/bits"
)

// StampFrom is Stamp for a header that is still the producer's: it writes to dst, all but the commit word, the header of
// src with the server's fields set and summed. Neither dst nor src is read after it is written: the ten words that the
// sum covers stay in registers, because dst is usually memory that is not in the cache yet. That takes a third of the
// time of a copy followed by Stamp. Does not allocate.
func StampFrom(dst, src []byte, s *Stamped) {
	d, h := dst[:HeaderLen], src[:HeaderLen]
	le := binary.LittleEndian
	var w [10]uint64 // bytes [8,88)
	w[0] = uint64(s.Len) | uint64(s.Kind)<<32 | le.Uint64(h[offLen:])&^(1<<40-1)
	w[1] = uint64(s.Shard) | le.Uint64(h[offShard:])&^(1<<32-1)
	w[2] = le.Uint64(h[offRawLen:])
	w[3] = uint64(s.Micros)
	w[4] = 0
	w[5] = le.Uint64(h[offProducerID:])
	w[6] = le.Uint64(h[offProducerSeq:])
	w[7] = le.Uint64(h[offClientMicros:])
	w[8] = le.Uint64(h[offBodySum:])
	w[9] = s.DurableHint
	sum := sumWords(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9])
	le.PutUint64(d[8:], w[0])
	le.PutUint64(d[16:], w[1])
	le.PutUint64(d[24:], w[2])
	le.PutUint64(d[32:], w[3])
	le.PutUint64(d[40:], w[4])
	le.PutUint64(d[48:], w[5])
	le.PutUint64(d[56:], w[6])
	le.PutUint64(d[64:], w[7])
	le.PutUint64(d[72:], w[8])
	le.PutUint64(d[80:], w[9])
	le.PutUint64(d[88:], sum^s.Position)
}

// The constants of xxHash64.
const (
	xxh1 uint64 = 11400714785074694791
	xxh2 uint64 = 14029467366897019727
	xxh3 uint64 = 1609587929392839161
	xxh4 uint64 = 9650029242287828579
)

// sumWords is the xxh64 of ten little-endian words, with seed 0: two stripes of four and two of the tail.
func sumWords(w0, w1, w2, w3, w4, w5, w6, w7, w8, w9 uint64) uint64 {
	first, fourth := xxh1, xxh1 // variables: the sums below wrap, which constants may not
	first += xxh2
	a := sumRound(sumRound(first, w0), w4)
	b := sumRound(sumRound(xxh2, w1), w5)
	c := sumRound(sumRound(0, w2), w6)
	d := sumRound(sumRound(-fourth, w3), w7)
	h := bits.RotateLeft64(a, 1) + bits.RotateLeft64(b, 7) + bits.RotateLeft64(c, 12) + bits.RotateLeft64(d, 18)
	h = (h^sumRound(0, a))*xxh1 + xxh4
	h = (h^sumRound(0, b))*xxh1 + xxh4
	h = (h^sumRound(0, c))*xxh1 + xxh4
	h = (h^sumRound(0, d))*xxh1 + xxh4
	h += 80
	h = bits.RotateLeft64(h^sumRound(0, w8), 27)*xxh1 + xxh4
	h = bits.RotateLeft64(h^sumRound(0, w9), 27)*xxh1 + xxh4
	h ^= h >> 33
	h *= xxh2
	h ^= h >> 29
	h *= xxh3
	return h ^ h>>32
}

func sumRound(acc, w uint64) uint64 { return bits.RotateLeft64(acc+w*xxh2, 31) * xxh1 }

// Package sequence writes and reads the sequence numbers of the Kinesis API: decimal numbers of 56 digits that name a
// record, its shard, and when both came about. Number is the one type. A sequence number of version 2 is, in hex digits,
//
//	digits field     meaning
//	     1 2         fixed
//	     9 created   seconds since 1970 at which the shard was made
//	     1 nibble    low four bits of the shard's index
//	    16 counter   top bit 0; here the position in the lane plus the record's index in its batch
//	     2 00        fixed
//	     9 seconds   seconds since 1970 at which the record arrived
//	     8 shard     index of the shard in its stream
//	     1 2         the version
//
// which is between 2^185 and 3*2^184 and therefore always 56 decimal digits. Within one shard everything before the
// counter is the same, so the order of the numbers is the order of the counters; a child shard is made later than its
// parents, so its numbers are higher. Versions 0 and 1 are read, never written.
package sequence

import (
	"fmt"
	"math/bits"
)

const (
	// Digits is the length of every version-2 number in decimal.
	Digits = 56
	// MaxPosition is the highest counter a record can have; the end of a shard is one above.
	MaxPosition = endPosition - 1
	// MaxSeconds is the highest time the nine hex digits hold.
	MaxSeconds = 1<<36 - 1

	endPosition = 1<<63 - 1
	maxShard    = 1<<31 - 1 // the Kinesis API takes a higher index for negative and refuses it

	// legacy marks the Position of a number of version 0 or 1. Version-2 counters have a zero top bit.
	legacy = 1 << 63

	chunkDigits = 19
	chunk       = 10_000_000_000_000_000_000 // 10^chunkDigits; >= 2^63, so a remainder always is a valid high word
)

// Number is what a sequence number says.
type Number struct {
	ShardCreated int64  // seconds since 1970
	Shard        uint32 // index in the stream
	Position     uint64 // orders the records of a shard; has no meaning where Legacy
	Seconds      int64  // arrival, seconds since 1970
}

// Start is the StartingSequenceNumber of a shard. Every record of the shard is above it.
func Start(created int64, shard uint32) Number {
	return Number{ShardCreated: created, Shard: shard, Seconds: created}
}

// End is the EndingSequenceNumber of a closed shard. Every record of the shard is below it.
func End(created int64, shard uint32, closed int64) Number {
	return Number{ShardCreated: created, Shard: shard, Position: endPosition, Seconds: closed}
}

// IsEnd tells whether n is the end of a shard and not a record.
func (n Number) IsEnd() bool { return n.Position == endPosition }

// Legacy tells whether n was read from a number of version 0 or 1, which this server never hands out. Only its shard
// and times mean something, and it cannot be written.
func (n Number) Legacy() bool { return n.Position&legacy != 0 }

// Version is 2, or for Legacy numbers 0 or 1.
func (n Number) Version() int {
	if n.Legacy() {
		return int(n.Position &^ legacy)
	}
	return 2
}

// String is the 56 digits, or what a legacy number said.
func (n Number) String() string {
	if n.Legacy() {
		return fmt.Sprintf("version %d of shard %d", n.Version(), n.Shard)
	}
	return string(Append(make([]byte, 0, Digits), n))
}

// Append appends the 56 decimal digits of n to dst. It panics where a field does not fit its digits, because another
// number would come out. Safe for concurrent use; does not allocate when dst has room.
func Append(dst []byte, n Number) []byte {
	if uint64(n.ShardCreated) > MaxSeconds || uint64(n.Seconds) > MaxSeconds || n.Position > endPosition || n.Shard > maxShard {
		panic(fmt.Sprintf("BUG: no sequence number can say %#v", n))
	}
	low, mid, high := n.words()
	// Dividing by 10^19 twice leaves 18 digits. high is below 3*2^56 and so below the divisor, as is the upper word of
	// the first quotient: three divisions do.
	q1, r := bits.Div64(high, mid, chunk)
	q0, r0 := bits.Div64(r, low, chunk)
	top, r1 := bits.Div64(q1, q0, chunk)

	at := len(dst)
	dst = append(dst, zeros...)
	d := dst[at : at+Digits]
	putDigits(d[:18], top)
	putDigits(d[18:37], r1)
	putDigits(d[37:], r0)
	return dst
}

// words is the 188-bit number, low word first: each field of the drawing at its bit.
func (n Number) words() (low, mid, high uint64) {
	low = uint64(n.Seconds)<<36 | uint64(n.Shard)<<4 | 2
	mid = n.Position<<16 | uint64(n.Seconds)>>28
	high = 2<<56 | uint64(n.ShardCreated)<<20 | uint64(n.Shard&15)<<16 | n.Position>>48
	return low, mid, high
}

const zeros = "00000000000000000000000000000000000000000000000000000000"

// putDigits writes v into all of d with leading zeros. Two digits a step: the chain of divisions is what takes the time.
func putDigits(d []byte, v uint64) {
	i := len(d)
	for ; i >= 2; i -= 2 {
		pair := v % 100 * 2
		v /= 100
		d[i-2], d[i-1] = pairs[pair], pairs[pair+1]
	}
	if i == 1 {
		d[0] = byte('0' + v)
	}
}

// pairs is 00 to 99.
const pairs = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849" +
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

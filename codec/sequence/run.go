package sequence

import (
	"encoding/binary"
	"math/bits"
)

// Next turns text, the 56 digits of a record's number, into those of the record after it in the same batch: the Position
// is one higher, all else the same. That is what Append writes, in a fraction of the time: one decimal addition of a
// constant. The Position must be below MaxPosition.
func Next(text *[Digits]byte) {
	carry := addDigits(text[48:], step0, 0)
	carry = addDigits(text[40:48], step1, carry)
	carry = addDigits(text[32:40], step2, carry)
	carry = addDigits(text[24:32], step3, carry)
	for i := 23; carry != 0 && i >= 0; i-- {
		if text[i]++; text[i] <= '9' {
			return
		}
		text[i] = '0'
	}
}

// A position counts 2^80 = 1,208925819614629174706176: behind the counter are 9 hex digits of seconds, 8 of the shard, 1
// of the version and 2 zeros. These are its digits, eight in each, the lowest first.
const (
	step0 = 0x0704070006010706
	step1 = 0x0906010406020901
	step2 = 0x0200080902050801
	step3 = 0x0000000000000001

	bytes01 = 0x0101010101010101
)

// addDigits adds the digits in n and a carry to the eight in text, and returns the carry. Each byte is made to overflow
// where its digit does: '0'+x plus 0xc6+y is 0xf6+x+y.
func addDigits(text []byte, n, carry uint64) uint64 {
	sum, carry := bits.Add64(binary.BigEndian.Uint64(text), n+bytes01*0xc6, carry)
	// A byte that overflowed is its digit now; the others are 0xf6 more.
	binary.BigEndian.PutUint64(text, sum-(sum>>4&bytes01)*0xf6+bytes01*'0')
	return carry
}

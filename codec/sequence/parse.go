package sequence

import (
	"fmt"
	"math/bits"
)

// maxLegacySeconds is where version-0 times end: the year 2477.
const maxLegacySeconds = 16_025_175_000

// Parse reads a sequence number of any version: no sign, no leading zero, no space. It accepts what the Kinesis API
// accepts and no less, so the digits that a server writes in one way only (the nibble of the shard, 00) may hold
// anything. It allocates only for the error, which is ErrSyntax.
func Parse[T string | []byte](s T) (Number, error) {
	w, ok := readDecimal(s)
	if !ok {
		return Number{}, syntax(s)
	}
	n, ok := w.number()
	if !ok {
		return Number{}, syntax(s)
	}
	return n, nil
}

func syntax[T string | []byte](s T) error { return fmt.Errorf("%w: %.64q", ErrSyntax, s) }

// Canonical is how the Kinesis API writes the number s back in its messages: one of version 0 gets the leading digit
// that it may come without. Anything else, numbers or not, comes back as it is.
func Canonical(s string) string {
	w, ok := readDecimal(s)
	if !ok || !w.below(2, 0) {
		return s
	}
	high, low := w.align0()
	if !validTime0(high) {
		return s
	}
	// Between 2^124 and 2^125: always 38 digits.
	var digits [2 * chunkDigits]byte
	top, rest := bits.Div64(high&(1<<60-1)|1<<60, low, chunk)
	putDigits(digits[:chunkDigits], top)
	putDigits(digits[chunkDigits:], rest)
	return string(digits[:])
}

// words is a number of up to 192 bits, low word first.
type words struct{ w [3]uint64 }

// readDecimal reads up to Digits decimal digits, which always fit.
func readDecimal[T string | []byte](s T) (w words, ok bool) {
	if len(s) == 0 || len(s) > Digits || s[0] == '0' && len(s) > 1 {
		return w, false
	}
	for at := 0; at < len(s); {
		n := min(len(s)-at, chunkDigits)
		v, scale := uint64(0), uint64(1)
		for _, c := range []byte(s[at : at+n]) {
			if c < '0' || c > '9' {
				return w, false
			}
			v = v*10 + uint64(c-'0')
			scale *= 10
		}
		w.mulAdd(scale, v)
		at += n
	}
	return w, true
}

func (w *words) mulAdd(m, a uint64) {
	for i := range w.w {
		hi, lo := bits.Mul64(w.w[i], m)
		var c uint64
		w.w[i], c = bits.Add64(lo, a, 0)
		a = hi + c
	}
}

// below tells whether w is below a 192-bit number with these upper words and a low word of zero.
func (w *words) below(high, mid uint64) bool {
	return w.w[2] < high || w.w[2] == high && w.w[1] < mid
}

// number takes the fields out, by version.
func (w *words) number() (Number, bool) {
	switch {
	case w.below(2, 0):
		return w.version0()
	case w.below(2<<56, 0) || !w.below(3<<56, 0):
		return Number{}, false
	case w.w[2] == 2<<56 && w.w[1] == 0 && w.w[0] == 0:
		return Number{}, false
	}
	n := Number{ShardCreated: int64(w.w[2] >> 20 & MaxSeconds), Shard: uint32(w.w[0] >> 4)}
	switch w.w[0] & 15 {
	case 2:
		n.Position = w.w[2]<<48 | w.w[1]>>16
		n.Seconds = int64(w.w[1]&0xff<<28 | w.w[0]>>36)
		return n, n.Position < legacy && n.Shard <= maxShard
	case 1: // 2|created:36|nibble:4|byte:8|seconds:36|random:56|counter:8|shard:32|1
		n.Position = legacy | 1
		n.Seconds = int64(w.w[2]&0xff<<28 | w.w[1]>>36)
		return n, true
	}
	return Number{}, false
}

// version0 reads 1|created:36|byte:8|random:64|shard:16. There is no arrival time, so the shard's has to do.
func (w *words) version0() (Number, bool) {
	high, low := w.align0()
	created := int64(high >> 24 & MaxSeconds)
	return Number{ShardCreated: created, Seconds: created, Shard: uint32(low & 0xffff), Position: legacy}, validTime0(high)
}

// align0 is a number of version 0 as 32 hex digits. The leading 1 may be missing and is supplied; fields count from the
// highest digit, so of a number of 33 digits the last is not looked at: the Kinesis API reads them so.
func (w *words) align0() (high, low uint64) {
	high, low = w.w[1], w.w[0]
	if w.below(0, 1<<60) {
		high += 1 << 60
	}
	if w.w[2] != 0 {
		low = low>>4 | high<<60
		high = high>>4 | w.w[2]<<60
	}
	return high, low
}

func validTime0(high uint64) bool { return high>>24&MaxSeconds < maxLegacySeconds }

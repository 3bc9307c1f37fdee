package hashkey

import (
	"fmt"
	"math/bits"
)

const (
	// maxDigits is the length of 2^128-1 in decimal.
	maxDigits = 39
	// chunkDigits is how many decimal digits fit a uint64 whatever they are.
	chunkDigits = 19
	chunk       = 10_000_000_000_000_000_000 // 10^chunkDigits
)

// Parse reads a hash key in decimal: no sign, no leading zero, no space. It allocates only for the error.
func Parse(s string) (Key, error) {
	k, ok := parse(s)
	if !ok {
		return Key{}, fmt.Errorf("%w: %.64q", ErrSyntax, s)
	}
	return k, nil
}

func parse(s string) (Key, bool) {
	if len(s) == 0 || len(s) > maxDigits || s[0] == '0' && len(s) > 1 {
		return Key{}, false
	}
	var k Key
	for len(s) > 0 {
		n := min(len(s), chunkDigits)
		v, scale := uint64(0), uint64(1)
		for _, c := range []byte(s[:n]) {
			if c < '0' || c > '9' {
				return Key{}, false
			}
			v = v*10 + uint64(c-'0')
			scale *= 10
		}
		var carry uint64
		if k, carry = k.mulAdd(scale, v); carry != 0 {
			return Key{}, false
		}
		s = s[n:]
	}
	return k, true
}

// mulAdd is k*m+a and what does not fit 128 bits of it.
func (k Key) mulAdd(m, a uint64) (Key, uint64) {
	mid, lo := bits.Mul64(k.Lo, m)
	over, hi := bits.Mul64(k.Hi, m)
	var c uint64
	lo, c = bits.Add64(lo, a, 0)
	mid, c = bits.Add64(mid, 0, c)
	over += c
	hi, c = bits.Add64(hi, mid, 0)
	return Key{hi, lo}, over + c
}

// divide is k/d and the remainder. d must not be zero.
func (k Key) divide(d uint64) (Key, uint64) {
	hi, r := k.Hi/d, k.Hi%d
	lo, r := bits.Div64(r, k.Lo, d)
	return Key{hi, lo}, r
}

// AppendText appends k in decimal. The error is always nil; the signature is encoding.TextAppender.
func (k Key) AppendText(dst []byte) ([]byte, error) {
	var digits [maxDigits]byte
	at := maxDigits
	for {
		q, r := k.divide(chunk)
		stop := at - chunkDigits
		for r != 0 || q != (Key{}) && at > stop {
			at--
			digits[at] = byte('0' + r%10)
			r /= 10
		}
		if q == (Key{}) {
			break
		}
		k = q
	}
	if at == maxDigits {
		at--
		digits[at] = '0'
	}
	return append(dst, digits[at:]...), nil
}

// String is k in decimal, as the Kinesis API writes it.
func (k Key) String() string {
	b, _ := k.AppendText(make([]byte, 0, maxDigits)) // AppendText has no failure to report
	return string(b)
}

// MarshalText makes JSON of k a decimal string: 128 bits do not survive a JSON number.
func (k Key) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err != nil {
		return err
	}
	*k = v
	return nil
}

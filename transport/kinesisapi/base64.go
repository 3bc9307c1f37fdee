package kinesisapi

import "github.com/emmansun/base64"

// Record data is most of what goes over the wire, and its base64 most of what the wire costs: the library does with
// vector instructions what encoding/base64 does letter by letter, with the same results.

// strictBase64 accepts exactly what an encoder writes, but for line ends; see decodeBase64.
func strictBase64() *base64.Encoding { return base64.StdEncoding.Strict() }

// decodeBase64 writes what src stands for to dst, which needs len(src)/4*3 bytes, and returns how many bytes that is.
// It accepts exactly what an encoder writes: whole groups of four, padding at the end only, no line ends, no stray bits.
// What dst holds after ok false is unspecified.
func decodeBase64(e *base64.Encoding, dst, src []byte) (n int, ok bool) {
	if len(src)%4 != 0 {
		return 0, false
	}
	want := len(src) / 4 * 3
	for i := len(src) - 1; i >= 0 && i >= len(src)-2 && src[i] == '='; i-- {
		want--
	}
	n, err := e.Decode(dst, src)
	return n, err == nil && n == want // line ends are skipped, and then there is less
}

// appendBase64 appends the base64 of src. It grows dst where it has to.
func appendBase64(e *base64.Encoding, dst, src []byte) []byte { return e.AppendEncode(dst, src) }

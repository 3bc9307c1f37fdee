package kinesisapi

import (
	"encoding/base64"
	"encoding/binary"
)

// base64Tables turn text into bytes and back with fewer steps than encoding/base64 takes: record data is most of what
// goes over the wire. They are made once per API and only read afterwards.
type base64Tables struct {
	// quad[i][c] is what letter c stands for at place i of four, shifted to where it belongs in 24 bits; invalid bits
	// are set for what is no letter.
	quad [4][256]uint32
	// pair[n] is the two letters for 12 bits, the first in the high byte.
	pair [1 << 12]uint16
}

const (
	base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	invalidLetter = 1 << 31
	decodeSlack   = 8
)

func newBase64Tables() *base64Tables {
	t := new(base64Tables)
	for i := range t.quad {
		for c := range t.quad[i] {
			t.quad[i][c] = invalidLetter
		}
		for n := range len(base64Letters) {
			t.quad[i][base64Letters[n]] = uint32(n) << (18 - 6*i)
		}
	}
	for n := range t.pair {
		t.pair[n] = uint16(base64Letters[n>>6])<<8 | uint16(base64Letters[n&63])
	}
	return t
}

// decode writes what src stands for to dst and returns how many bytes that is. It accepts exactly what an encoder
// writes: whole groups of four, padding at the end only, no line ends, no stray bits. dst needs len(src)/4*3 bytes; with
// decodeSlack bytes more, which may be overwritten, it is faster. What dst holds after ok false is unspecified.
func (t *base64Tables) decode(dst, src []byte) (n int, ok bool) {
	if len(src)%4 != 0 {
		return 0, false
	}
	if len(src) >= 36 && len(dst) >= len(src)/4*3+decodeSlack && vectorBase64() {
		most := len(src) - 4 // the last group may be padded
		if !decodeBlocks(&dst[0], &src[0], most) {
			return 0, false
		}
		src, n = src[most:], most/4*3
	}
	var bad uint32
	// The last group may be padded, and the four bytes written for each group may not run over the end.
	for len(src) > 16 && len(dst) >= n+16 {
		s, d := src[:16], dst[n:n+16]
		a := t.quad[0][s[0]] | t.quad[1][s[1]] | t.quad[2][s[2]] | t.quad[3][s[3]]
		b := t.quad[0][s[4]] | t.quad[1][s[5]] | t.quad[2][s[6]] | t.quad[3][s[7]]
		c := t.quad[0][s[8]] | t.quad[1][s[9]] | t.quad[2][s[10]] | t.quad[3][s[11]]
		e := t.quad[0][s[12]] | t.quad[1][s[13]] | t.quad[2][s[14]] | t.quad[3][s[15]]
		bad |= a | b | c | e
		// 24+24+16 bits, then 8+24 bits.
		binary.BigEndian.PutUint64(d, uint64(a)<<40|uint64(b&0xffffff)<<16|uint64(c>>8&0xffff))
		binary.BigEndian.PutUint32(d[8:], c<<24|e&0xffffff)
		src, n = src[16:], n+12
	}
	if bad&invalidLetter != 0 {
		return 0, false
	}
	tail := base64.StdEncoding.DecodedLen(len(src))
	for i := len(src) - 1; i >= 0 && i >= len(src)-2 && src[i] == '='; i-- {
		tail--
	}
	return t.decodeTail(dst, src, n, tail)
}

// decodeTail finishes decode, group by group.
func (t *base64Tables) decodeTail(dst, src []byte, n, tail int) (int, bool) {
	for len(src) > 0 {
		v := t.quad[0][src[0]] | t.quad[1][src[1]]
		take := min(tail, 3)
		if take > 1 {
			v |= t.quad[2][src[2]]
		}
		if take > 2 {
			v |= t.quad[3][src[3]]
		}
		if take < 1 || v&invalidLetter != 0 || v<<(8+8*take) != 0 {
			return 0, false
		}
		for i := range take {
			dst[n+i] = byte(v >> (16 - 8*i))
		}
		src, n, tail = src[4:], n+take, tail-take
	}
	return n, true
}

// appendEncoded appends the base64 of src. dst must have room for it.
func (t *base64Tables) appendEncoded(dst, src []byte) []byte {
	at := len(dst)
	dst = dst[:at+base64.StdEncoding.EncodedLen(len(src))]
	out := dst[at:]
	if blocks := (len(src) - 4) / 24; blocks > 0 && vectorBase64() {
		encodeBlocks(&out[0], &src[0], blocks)
		src, out = src[24*blocks:], out[32*blocks:]
	}
	for len(src) >= 8 && len(out) >= 8 {
		v := binary.BigEndian.Uint64(src)
		o := uint64(t.pair[v>>52])<<48 | uint64(t.pair[v>>40&0xfff])<<32 | uint64(t.pair[v>>28&0xfff])<<16 | uint64(t.pair[v>>16&0xfff])
		binary.BigEndian.PutUint64(out, o)
		src, out = src[6:], out[8:]
	}
	base64.StdEncoding.Encode(out, src)
	return dst
}

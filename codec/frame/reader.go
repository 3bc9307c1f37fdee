package frame

import "encoding/binary"

// reader is a cursor over untrusted bytes that remembers that it ran out: decoders read field after field and ask once.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// zero reads n reserved bytes, which must be zero so that a later version may give them a meaning.
func (r *reader) zero(n int) {
	for _, v := range r.take(n) {
		r.bad = r.bad || v != 0
	}
}

// bytes reads n bytes, n at most limit. The slice aliases the frame.
func (r *reader) bytes(n, limit int) []byte {
	if n > limit {
		r.bad = true
	}
	return r.take(n)
}

// flag reads a byte that is 0 or 1.
func (r *reader) flag() bool {
	v := r.u8()
	r.bad = r.bad || v > 1
	return v == 1
}

// end reports whether everything was there and nothing is left.
func (r *reader) end(op Op) error {
	switch {
	case r.bad:
		return malformed(op, "body is short or has a field out of range")
	case len(r.b) != 0:
		return malformed(op, "body is too long")
	}
	return nil
}

func appendU16(dst []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(dst, v) }
func appendU32(dst []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(dst, v) }
func appendU64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

func appendFlag(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

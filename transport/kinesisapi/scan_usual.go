package kinesisapi

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/shardmill/shardmill/engine"
)

// usualRecord reads the record that most clients write: Data, then PartitionKey, nothing else, no space, no escape, an
// ASCII key. It leaves all others, and all that is wrong, where they are: false changes nothing.
func (a *API) usualRecord(s *scanner, b *putBuffer) bool {
	const head, middle, tail = `{"Data":"`, `","PartitionKey":"`, `"}`
	in := s.in[s.at:]
	if len(in) < len(head) || string(in[:len(head)]) != head {
		return false
	}
	in = in[len(head):]
	n := bytes.IndexByte(in, '"')
	if n < 0 || len(in) < n+len(middle) || string(in[n:n+len(middle)]) != middle {
		return false
	}
	text := in[:n]
	in = in[n+len(middle):]
	n = plainKey(in)
	if n == 0 || n > 256 || len(in) < n+len(tail) || string(in[n:n+len(tail)]) != tail {
		return false
	}
	data, ok := a.decode(b, text)
	if !ok {
		return false
	}
	b.recs = append(b.recs, engine.Record{Key: in[:n:n], Data: data})
	s.at = len(s.in) - len(in) + n + len(tail)
	return true
}

// plainKey counts the printable ASCII characters that in begins with, up to a quote or a backslash. Near the end of a
// body it may count fewer.
func plainKey(in []byte) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for n := 0; n+8 <= len(in); n += 8 {
		v := binary.LittleEndian.Uint64(in[n:])
		quote, slash := v^low*'"', v^low*'\\'
		// The highest bit of each byte that is a quote, a backslash, a control character, or no ASCII. Above the first
		// such byte others may be marked wrongly; the first is right.
		stop := ((quote-low)&^quote | (slash-low)&^slash | v - low*0x20 | v) & high
		if stop != 0 {
			return n + bits.TrailingZeros64(stop)/8
		}
	}
	return 0
}

package batch

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// PaddedLen is how long a batch is, in bytes: header and body, or one byte per record where that is more, in whole
// multiples of Align.
func PaddedLen(bodyLen, records int) int {
	return (max(HeaderLen+bodyLen, records) + Align - 1) &^ (Align - 1)
}

// Check takes in a batch as a producer built it. p starts with the batch and may go on; the batch alone comes back, a
// view of p. limit is the longest batch the caller takes, in bytes; a longer one is ErrTooLarge before any of its body is
// waited for or looked at. ErrShort: p ends too early, all that is there is fine. Every header field is verified, and
// the sum of the body, the padding, and that the records end where the body does. The records in between are the
// Iterator's to verify. Safe for concurrent use; does not allocate.
func Check(p []byte, limit int) (Batch, error) {
	if len(p) < HeaderLen {
		return nil, ErrShort
	}
	b := Batch(p)
	if err := b.checkShape(); err != nil {
		return nil, err
	}
	if b.Position()|uint64(b.AppendMicros())|b.DurableHint()|b.HeaderSum() != 0 {
		return nil, ErrServerField
	}
	n := b.Len()
	switch {
	case n > limit:
		return nil, ErrTooLarge
	case n > len(p):
		return nil, ErrShort
	}
	b = b[:n:n]
	if xxhash.Sum64(b.Body()) != b.BodySum() {
		return nil, ErrBadSum
	}
	for _, c := range b[HeaderLen+b.BodyLen():] {
		if c != 0 {
			return nil, ErrBadPadding
		}
	}
	if b.Codec() == CodecRaw && !tiled(b.Body(), b.HasKeyHashes(), b.Records()) {
		return nil, ErrBadBody
	}
	return b, nil
}

// checkShape verifies the fields of a data batch's header that do not depend on who holds it. After it the lengths fit
// each other and MaxLen. b has at least HeaderLen bytes.
func (b Batch) checkShape() error {
	if b.Kind() != KindData {
		return ErrBadKind
	}
	flags := b[offFlags]
	if flags&^(flagCodecMask|flagKeyHashes) != 0 || b.Codec() > CodecZstd ||
		b.DictID() != 0 || binary.LittleEndian.Uint64(b[offReserved:]) != 0 {
		return ErrBadFlags
	}
	// Each length is below 2^32 and a sum of a few of them far below 2^63.
	records, bodyLen, rawLen := b.Records(), b.BodyLen(), b.RawLen()
	perRecord := recordPrefix + endLen
	if b.HasKeyHashes() {
		perRecord += hashLen
	}
	switch {
	case records == 0 || rawLen < records*perRecord || rawLen > MaxLen-HeaderLen:
		return ErrBadLength
	case b.Codec() == CodecRaw && rawLen != bodyLen || bodyLen == 0:
		return ErrBadLength
	case b.Len() != PaddedLen(bodyLen, records) || b.Len() > MaxLen:
		return ErrBadLength
	}
	return nil
}

// tiled tells whether the last record ends where the tables of an uncompressed body begin. checkShape has made sure
// that there is room for the tables.
func tiled(body []byte, keyHashes bool, records int) bool {
	tables := records * endLen
	if keyHashes {
		tables += records * hashLen
	}
	return int(binary.LittleEndian.Uint32(body[len(body)-endLen:])) == len(body)-tables
}

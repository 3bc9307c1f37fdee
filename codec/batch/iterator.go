package batch

import (
	"encoding/binary"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/zstdpool"
)

// Iterator walks the records of a batch, in order or by index. The zero value is ready for Reset. It is not safe for
// concurrent use; any number of them may read the same batch. It keeps one buffer for decompressed bodies, at most
// MaxLen long, and does not allocate once that has grown.
type Iterator struct {
	// Zstd is where compressed batches get their decoder; nil: one of the iterator's own. Set it before the first Reset.
	Zstd *zstdpool.Pool

	records []byte // the records alone
	ends    []byte
	hashes  []byte // empty without a key-hash table
	buf     []byte
	own     *zstdpool.Pool
	err     error
	count   int
	next    int // index of the record that Next goes to
	key     int // where the current record's key begins
	keyEnd  int
	data    int // where its data begins
	end     int // where it ends, and the next one begins
}

// Reset begins with a batch, before its first record. It verifies the shape of the batch but no sums, those are for
// CheckDelivered and CheckStored; it decompresses where needed. The iterator reads from b until the next Reset. After an
// error the iterator has no records.
func (it *Iterator) Reset(b Batch) error {
	it.records, it.ends, it.hashes = nil, nil, nil
	it.count, it.next, it.key, it.keyEnd, it.data, it.end = 0, 0, 0, 0, 0, 0
	it.err = it.open(b)
	return it.err
}

func (it *Iterator) open(b Batch) error {
	if len(b) < HeaderLen {
		return ErrShort
	}
	if err := b.checkShape(); err != nil {
		return err
	}
	if len(b) < b.Len() {
		return ErrShort
	}
	body, count := b.Body(), b.Records()
	if b.Codec() == CodecZstd {
		var err error
		if body, err = it.decompress(body, b.RawLen()); err != nil {
			return err
		}
	}
	if !tiled(body, b.HasKeyHashes(), count) {
		return ErrBadBody
	}
	tables := len(body) - count*endLen
	it.ends = body[tables:]
	if b.HasKeyHashes() {
		it.hashes = body[tables-count*hashLen : tables]
		tables -= count * hashLen
	}
	it.records, it.count = body[:tables], count
	return nil
}

// decompress returns the rawLen bytes of a compressed body. checkShape has bounded rawLen.
func (it *Iterator) decompress(body []byte, rawLen int) ([]byte, error) {
	pool := it.Zstd
	if pool == nil {
		if it.own == nil {
			it.own = zstdpool.New()
		}
		pool = it.own
	}
	out, err := pool.AppendDecode(it.buf[:0], body, rawLen)
	it.buf = out
	if err != nil || len(out) != rawLen {
		return nil, ErrBadBody
	}
	return out, nil
}

// Next goes to the next record and tells whether there is one. False: the end, or a malformed record, see Err.
func (it *Iterator) Next() bool {
	i, start := it.next, it.end
	if i >= it.count {
		return false
	}
	end := int(binary.LittleEndian.Uint32(it.ends[i*endLen:]))
	if end > len(it.records) || start+recordPrefix > end {
		return it.malformed()
	}
	k := int(binary.LittleEndian.Uint16(it.records[start:]))
	key := start + recordPrefix
	keyEnd := key + k&^flagExplicit
	data := keyEnd
	if k&flagExplicit != 0 {
		data += explicitLen
	}
	if data > end || keyEnd-key > MaxKeyLen {
		return it.malformed()
	}
	it.next, it.key, it.keyEnd, it.data, it.end = i+1, key, keyEnd, data, end
	return true
}

// Record goes to record i, so that Next goes on with i+1, and tells whether there is one. False: i is out of range, or
// the record is malformed, see Err.
func (it *Iterator) Record(i int) bool {
	if uint(i) >= uint(it.count) {
		return false
	}
	it.next, it.end = i, 0
	if i > 0 {
		it.end = int(binary.LittleEndian.Uint32(it.ends[(i-1)*endLen:]))
	}
	return it.Next()
}

// malformed ends the walk.
func (it *Iterator) malformed() bool {
	it.err = ErrBadBody
	it.next, it.key, it.keyEnd, it.data, it.end = it.count, 0, 0, 0, 0
	return false
}

// Err is nil, or why Reset failed or the walk ended before the last record.
func (it *Iterator) Err() error { return it.err }

// Records is how many records the batch has.
func (it *Iterator) Records() int { return it.count }

// Index is the current record's place in the batch; its sequence position is the batch's plus this.
func (it *Iterator) Index() int { return it.next - 1 }

// Key is the current record's partition key. It aliases the batch, or where that is compressed the iterator's buffer
// until the next Reset.
func (it *Iterator) Key() []byte { return it.records[it.key:it.keyEnd:it.keyEnd] }

// Data is the current record's data; it aliases as Key does.
func (it *Iterator) Data() []byte { return it.records[it.data:it.end:it.end] }

// Explicit is the hash key that the current record was routed by in place of the hash of its key, if it was.
func (it *Iterator) Explicit() (hashkey.Key, bool) {
	if it.data == it.keyEnd {
		return hashkey.Key{}, false
	}
	p := it.records[it.keyEnd:it.data]
	return hashkey.Key{Lo: binary.LittleEndian.Uint64(p), Hi: binary.LittleEndian.Uint64(p[8:])}, true
}

// KeyHash is the xxh64 of the current record's key as the producer noted it, if the batch has those.
func (it *Iterator) KeyHash() (uint64, bool) {
	if len(it.hashes) == 0 || it.next == 0 || it.end == 0 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(it.hashes[(it.next-1)*hashLen:]), true
}

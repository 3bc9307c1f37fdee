package batch

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/zstdpool"
)

const (
	// DefaultMaxLen is how long a batch gets where BuildOptions do not say: as long as the largest ordinary record.
	DefaultMaxLen = 1 << 20

	recordPrefix = 2  // keyLen and its flag
	explicitLen  = 16 // low word, high word
	flagExplicit = 1 << 15
	endLen       = 4 // an entry of the end table
	hashLen      = 8 // an entry of the key-hash table

	firstBuffer = 4 << 10 // what a Builder starts with; it doubles from there
)

// BuildOptions say how a Builder builds. The zero value of each field is its default.
type BuildOptions struct {
	Codec         Codec          // default raw. A body that does not get smaller stays raw all the same
	KeyHashes     bool           // adds the xxh64 of each partition key
	MaxLen        int            // bytes of the whole batch; default DefaultMaxLen, at most MaxLen
	ProducerID    uint64         // 0: not an idempotent producer
	ProducerSeq   uint32         // number of this batch among the producer's for the shard
	ProducerEpoch uint16         // fences earlier holders of ProducerID
	RouteEpoch    uint16         // version of the shard map the records were routed with
	Zstd          *zstdpool.Pool // where CodecZstd gets its encoder; default: one of the builder's own
}

// Builder makes one batch after the other in buffers that it keeps. Reset before the first record. It is not safe for
// concurrent use. Appending does not allocate once the buffers have grown.
type Builder struct {
	o        BuildOptions
	shard    uint32
	micros   int64
	buf      []byte // header, then records; the tables follow in Finish
	ends     []byte // the end table as it will be written
	hashes   []byte // likewise; unused without KeyHashes
	packed   []byte // header and compressed body
	own      *zstdpool.Pool
	used     int // bytes of buf in use
	last     int // where the last record begins in buf
	lastData int // where its data does
	records  int
	perTable int // table bytes per record
	room     int // bytes that records and their table entries may still take; negative once finished
	slots    int // records that ends and hashes have room for
	max      int
	finished Batch
}

// Reset forgets everything and begins a batch for a shard (its id in the lane).
func (b *Builder) Reset(shard uint32, o BuildOptions) {
	if o.MaxLen <= 0 {
		o.MaxLen = DefaultMaxLen
	}
	b.o, b.shard, b.micros = o, shard, 0
	b.max = min(o.MaxLen, MaxLen) &^ (Align - 1)
	b.perTable = endLen
	if o.KeyHashes {
		b.perTable += hashLen
	}
	b.used, b.last, b.lastData, b.records = HeaderLen, 0, 0, 0
	b.room = b.max - HeaderLen
	b.slots = len(b.ends) / endLen
	if o.KeyHashes {
		b.slots = min(b.slots, len(b.hashes)/hashLen)
	}
	b.finished = nil
}

// Records is how many records the batch has so far.
func (b *Builder) Records() int { return b.records }

// Len is the length that Finish would give without compression, in bytes.
func (b *Builder) Len() int { return PaddedLen(b.used-HeaderLen+b.records*b.perTable, b.records) }

// SetClientMicros sets the producer's own time of the batch, microseconds since 1970. It is informational.
func (b *Builder) SetClientMicros(micros int64) { b.micros = micros }

// Append adds a record. Key and data are copied. ErrFull: the batch has no room for it, but an empty one has;
// ErrTooLarge: not even that; ErrKeyTooLong. After an error the batch is as before.
func (b *Builder) Append(key, data []byte) error {
	p, err := b.Reserve(key, len(data))
	if err == nil {
		copy(p, data)
	}
	return err
}

// AppendExplicit is Append for a record that was routed by hk and not by the hash of its key.
func (b *Builder) AppendExplicit(key, data []byte, hk hashkey.Key) error {
	p, err := b.ReserveExplicit(key, len(data), hk)
	if err == nil {
		copy(p, data)
	}
	return err
}

// Reserve adds a record with n bytes of data and returns those for the caller to fill: what they hold is unspecified,
// and they are the builder's again with the next call of any method except Shrink. Errors are those of Append.
func (b *Builder) Reserve(key []byte, n int) ([]byte, error) {
	size := recordPrefix + len(key) + n
	if size+b.perTable > b.room || b.used+size > len(b.buf) || b.records == b.slots || len(key) > MaxKeyLen || uint(n) > MaxLen {
		if err := b.makeRoom(key, n, size); err != nil {
			return nil, err
		}
	}
	at := b.used
	binary.LittleEndian.PutUint16(b.buf[at:], uint16(len(key)))
	copy(b.buf[at+recordPrefix:], key)
	return b.note(key, at, at+recordPrefix+len(key), at+size), nil
}

// ReserveExplicit is Reserve for a record that was routed by hk and not by the hash of its key.
func (b *Builder) ReserveExplicit(key []byte, n int, hk hashkey.Key) ([]byte, error) {
	size := recordPrefix + len(key) + explicitLen + n
	if size+b.perTable > b.room || b.used+size > len(b.buf) || b.records == b.slots || len(key) > MaxKeyLen || uint(n) > MaxLen {
		if err := b.makeRoom(key, n, size); err != nil {
			return nil, err
		}
	}
	at := b.used
	binary.LittleEndian.PutUint16(b.buf[at:], uint16(len(key))|flagExplicit)
	at += recordPrefix
	copy(b.buf[at:], key)
	at += len(key)
	binary.LittleEndian.PutUint64(b.buf[at:], hk.Lo)
	binary.LittleEndian.PutUint64(b.buf[at+8:], hk.Hi)
	return b.note(key, b.used, at+explicitLen, b.used+size), nil
}

// note enters the record at buf[at:end] into the tables and returns its data.
func (b *Builder) note(key []byte, at, data, end int) []byte {
	i := b.records
	binary.LittleEndian.PutUint32(b.ends[i*endLen:], uint32(end-HeaderLen))
	if b.o.KeyHashes {
		binary.LittleEndian.PutUint64(b.hashes[i*hashLen:], xxhash.Sum64(key))
	}
	b.records = i + 1
	b.room -= end - at + b.perTable
	b.used, b.last, b.lastData = end, at, data
	return b.buf[data:end:end]
}

// makeRoom tells why a record of size bytes does not fit, or makes it fit.
func (b *Builder) makeRoom(key []byte, n, size int) error {
	switch {
	case len(key) > MaxKeyLen:
		return ErrKeyTooLong
	case n < 0 || n > b.max || HeaderLen+size+b.perTable > b.max:
		return ErrTooLarge
	case b.records == MaxRecords || size+b.perTable > b.room:
		return ErrFull
	}
	b.buf = grow(b.buf, b.used, b.used+size, b.max)
	if b.records == b.slots {
		b.slots = min(max(2*b.slots, firstBuffer/endLen), MaxRecords)
		b.ends = grow(b.ends, b.records*endLen, b.slots*endLen, MaxRecords*endLen)
		if b.o.KeyHashes {
			b.hashes = grow(b.hashes, b.records*hashLen, b.slots*hashLen, MaxRecords*hashLen)
		}
	}
	return nil
}

// grow returns buf with at least need bytes, at least doubled and at most limit long where it was too short. Its first
// used bytes stay.
func grow(buf []byte, used, need, limit int) []byte {
	if need <= len(buf) {
		return buf
	}
	next := make([]byte, max(need, min(2*len(buf), limit), firstBuffer))
	copy(next, buf[:min(used, len(buf))])
	return next
}

// Shrink gives the last record's data its final length n, at most what was reserved. A decoder that knows only an upper
// bound beforehand reserves that and shrinks.
func (b *Builder) Shrink(n int) {
	if n < 0 || b.last == 0 || b.finished != nil || n > b.used-b.lastData {
		panic("BUG: Shrink without a record that long")
	}
	end := b.lastData + n
	b.room += b.used - end
	b.used = end
	binary.LittleEndian.PutUint32(b.ends[(b.records-1)*endLen:], uint32(end-HeaderLen))
}

// Drop removes the last record, once: what Reserve reserved and could then not be filled.
func (b *Builder) Drop() {
	if b.last == 0 || b.finished != nil {
		panic("BUG: Drop without a record to drop")
	}
	b.room += b.used - b.last + b.perTable
	b.used, b.last, b.lastData = b.last, 0, 0
	b.records--
}

// Finish completes the batch: tables, compression, sum, header. The batch is the builder's and valid until the next
// Reset; until then nothing more can be appended. A batch without records is ErrEmpty.
func (b *Builder) Finish() (Batch, error) {
	switch {
	case b.records == 0:
		return nil, ErrEmpty
	case b.finished != nil:
		return b.finished, nil
	}
	total := b.Len()
	b.buf = grow(b.buf, b.used, total, total)
	at := b.used
	if b.o.KeyHashes {
		at += copy(b.buf[at:], b.hashes[:b.records*hashLen])
	}
	at += copy(b.buf[at:], b.ends[:b.records*endLen])
	clear(b.buf[at:total])

	out, codec, bodyLen := Batch(b.buf[:total]), CodecRaw, at-HeaderLen
	if b.o.Codec == CodecZstd {
		if n := b.compress(b.buf[HeaderLen:at]); PaddedLen(n, b.records) < total {
			out, codec, bodyLen = b.packed[:PaddedLen(n, b.records)], CodecZstd, n
		}
	}
	b.putHeader(out, codec, bodyLen, at-HeaderLen)
	b.room, b.finished = -1, out
	return out, nil
}

// compress puts the compressed body behind the room for a header in packed, and zeros behind it, and returns its length.
func (b *Builder) compress(body []byte) int {
	pool := b.o.Zstd
	if pool == nil {
		if b.own == nil {
			b.own = zstdpool.New()
		}
		pool = b.own
	}
	b.packed = grow(b.packed, 0, HeaderLen+len(body)+Align, b.max+Align)
	b.packed = pool.AppendEncode(b.packed[:HeaderLen], body)
	n := len(b.packed) - HeaderLen
	b.packed = b.packed[:cap(b.packed)]
	end := HeaderLen + n
	if total := PaddedLen(n, b.records); total <= len(b.packed) {
		clear(b.packed[end:total])
	}
	return n
}

// putHeader writes all 96 bytes: the producer's fields, the length and kind, and zeros for the rest of the server's.
func (b *Builder) putHeader(h Batch, codec Codec, bodyLen, rawLen int) {
	clear(h[:HeaderLen])
	le := binary.LittleEndian
	le.PutUint32(h[offLen:], uint32(len(h)))
	h[offKind] = byte(KindData)
	h[offFlags] = byte(codec)
	if b.o.KeyHashes {
		h[offFlags] |= flagKeyHashes
	}
	le.PutUint16(h[offRecords:], uint16(b.records))
	le.PutUint32(h[offShard:], b.shard)
	le.PutUint32(h[offBodyLen:], uint32(bodyLen))
	le.PutUint32(h[offRawLen:], uint32(rawLen))
	le.PutUint64(h[offProducerID:], b.o.ProducerID)
	le.PutUint32(h[offProducerSeq:], b.o.ProducerSeq)
	le.PutUint16(h[offProducerEpoch:], b.o.ProducerEpoch)
	le.PutUint16(h[offRouteEpoch:], b.o.RouteEpoch)
	le.PutUint64(h[offClientMicros:], uint64(b.micros))
	le.PutUint64(h[offBodySum:], xxhash.Sum64(h.Body()))
}

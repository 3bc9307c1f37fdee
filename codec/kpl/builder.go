package kpl

import (
	"crypto/md5" //nolint:gosec // the format defines its digest as MD5; nothing secret depends on it

	"google.golang.org/protobuf/encoding/protowire"
)

// Builder gathers user records into one aggregated record. All of them must belong to one shard; see Record.HashKey. It is
// not for concurrent use. The zero value makes records of up to MaxSize.
type Builder struct {
	limit   int
	count   int
	keys    table
	hashes  table
	records []byte // the encoded records fields
}

// table numbers the distinct strings it is given.
type table struct {
	index   map[string]uint64
	encoded []byte
}

// lookup returns the number of s, and how many bytes it adds to the message; zero where it is known.
func (t *table) lookup(s string) (index uint64, adds int) {
	if i, ok := t.index[s]; ok {
		return i, 0
	}
	return uint64(len(t.index)), 1 + protowire.SizeBytes(len(s)) // all field numbers have tags of one byte
}

// add puts s, which is not there yet, into the table.
func (t *table) add(field protowire.Number, s string) {
	if t.index == nil {
		t.index = map[string]uint64{}
	}
	t.index[s] = uint64(len(t.index))
	t.encoded = protowire.AppendTag(t.encoded, field, protowire.BytesType)
	t.encoded = protowire.AppendString(t.encoded, s)
}

func (t *table) reset() {
	clear(t.index)
	t.encoded = t.encoded[:0]
}

// NewBuilder returns a Builder of records of at most limit bytes of data; 0 means MaxSize.
func NewBuilder(limit int) *Builder { return &Builder{limit: limit} }

// Add takes a user record: its partition key, its explicit hash key in decimal (empty: none) and its data, all of which
// are copied. On ErrFull and ErrTooLarge nothing has been added.
func (b *Builder) Add(key, explicit string, data []byte) error {
	keyIndex, keyAdds := b.keys.lookup(key)
	hashIndex, hashAdds := uint64(0), 0
	inner := 1 + protowire.SizeVarint(keyIndex) + 1 + protowire.SizeBytes(len(data))
	if explicit != "" {
		hashIndex, hashAdds = b.hashes.lookup(explicit)
		inner += 1 + protowire.SizeVarint(hashIndex)
	}
	limit := b.limit
	if limit == 0 {
		limit = MaxSize
	}
	if b.Size()+keyAdds+hashAdds+1+protowire.SizeBytes(inner) > limit {
		if b.count == 0 {
			return ErrTooLarge
		}
		return ErrFull
	}
	if keyAdds > 0 {
		b.keys.add(fieldKeys, key)
	}
	if hashAdds > 0 {
		b.hashes.add(fieldHashes, explicit)
	}
	b.records = protowire.AppendTag(b.records, fieldRecords, protowire.BytesType)
	b.records = protowire.AppendVarint(b.records, uint64(inner))
	b.records = protowire.AppendTag(b.records, fieldKeyIndex, protowire.VarintType)
	b.records = protowire.AppendVarint(b.records, keyIndex)
	if explicit != "" {
		b.records = protowire.AppendTag(b.records, fieldHashIndex, protowire.VarintType)
		b.records = protowire.AppendVarint(b.records, hashIndex)
	}
	b.records = protowire.AppendTag(b.records, fieldData, protowire.BytesType)
	b.records = protowire.AppendBytes(b.records, data)
	b.count++
	return nil
}

// Len is the number of user records gathered.
func (b *Builder) Len() int { return b.count }

// Size is the length in bytes of what Append would add.
func (b *Builder) Size() int {
	return overhead + len(b.keys.encoded) + len(b.hashes.encoded) + len(b.records)
}

// Append adds the aggregated record of all that was gathered to dst.
func (b *Builder) Append(dst []byte) []byte {
	dst = append(dst, Magic...)
	at := len(dst)
	dst = append(dst, b.keys.encoded...)
	dst = append(dst, b.hashes.encoded...)
	dst = append(dst, b.records...)
	digest := md5.Sum(dst[at:]) //nolint:gosec // see the import
	return append(dst, digest[:]...)
}

// Reset empties the Builder and keeps its memory.
func (b *Builder) Reset() {
	b.count = 0
	b.keys.reset()
	b.hashes.reset()
	b.records = b.records[:0]
}

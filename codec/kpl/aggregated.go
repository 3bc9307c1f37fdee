package kpl

import (
	"crypto/md5" //nolint:gosec // the format defines its digest as MD5; nothing secret depends on it
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// Record is one user record of an aggregated one. Its slices point into the data it was read from.
type Record struct {
	Key      []byte // partition key
	Explicit []byte // explicit hash key in decimal; nil where it has none
	Data     []byte
}

// HashKey is where the record belongs in the space that shards divide: its explicit hash key, else the MD5 of its
// partition key. ok is false where the explicit one is not a decimal number below 2^128. It does not allocate for records
// without an explicit hash key.
func (r *Record) HashKey() (k hashkey.Key, ok bool) {
	if r.Explicit == nil {
		return hashkey.MD5.Of(r.Key), true
	}
	k, err := hashkey.Parse(string(r.Explicit))
	return k, err == nil
}

// span is a piece of Aggregated.message. Four-byte fields keep the tables within four times the message's size.
type span struct{ at, size uint32 }

// Aggregated walks over the user records of one aggregated record. It may be used again for the next one by Reset, and
// then keeps its memory: a used one does not allocate. It is not for concurrent use. The zero value holds no records.
type Aggregated struct {
	message []byte
	keys    []span // of keys and hashes in message
	hashes  []span
	next    int // where in message the next record is looked for
	left    int // records not returned yet
	count   int
}

// Is tells whether data looks like an aggregated record. Most data does not, and this costs one comparison; Reset tells
// for sure.
func Is(data []byte) bool {
	return len(data) > overhead && string(data[:len(Magic)]) == Magic
}

// Reset opens data, which must not change while a or its records are used. It checks all of it, so that Next can not
// fail; on an error (ErrPlain, ErrDigest, ErrMalformed) a holds no records.
func (a *Aggregated) Reset(data []byte) error {
	a.message, a.keys, a.hashes = nil, a.keys[:0], a.hashes[:0]
	a.next, a.left, a.count = 0, 0, 0
	if !Is(data) || len(data) > math.MaxUint32 {
		return ErrPlain
	}
	message, digest := data[len(Magic):len(data)-digestSize], data[len(data)-digestSize:]
	if md5.Sum(message) != [digestSize]byte(digest) { //nolint:gosec // see the import
		return ErrDigest
	}
	if err := a.open(message); err != nil {
		a.keys, a.hashes = a.keys[:0], a.hashes[:0]
		return err
	}
	return nil
}

// open reads the tables, then checks each record against them: the tables may come last.
func (a *Aggregated) open(message []byte) error {
	count := 0
	for at := 0; at < len(message); {
		number, kind, value, size := field(message[at:])
		if size < 0 {
			return ErrMalformed
		}
		at += size
		if kind != protowire.BytesType {
			continue
		}
		piece := span{uint32(at - len(value)), uint32(len(value))}
		switch number {
		case fieldKeys:
			a.keys = append(a.keys, piece)
		case fieldHashes:
			a.hashes = append(a.hashes, piece)
		case fieldRecords:
			count++
		}
	}
	a.message = message
	var r Record
	for range count {
		if !a.advance(&r) {
			a.message, a.next = nil, 0
			return ErrMalformed
		}
	}
	a.next, a.left, a.count = 0, count, count
	return nil
}

// Len is the number of user records.
func (a *Aggregated) Len() int { return a.count }

// Next reads the next user record, in the order they were put; false after the last one.
func (a *Aggregated) Next(r *Record) bool {
	if a.left == 0 {
		return false
	}
	a.left--
	if !a.advance(r) {
		panic("BUG: kpl: a checked record is malformed")
	}
	return true
}

// Rewind goes back to the first user record.
func (a *Aggregated) Rewind() { a.next, a.left = 0, a.count }

// Within tells whether all user records belong to a shard with this range. Where one does not, the Kinesis Client Library
// drops every user record of the aggregated one, and so should any reader that promises the same. It rewinds.
func (a *Aggregated) Within(shard hashkey.Range) bool {
	a.Rewind()
	defer a.Rewind()
	var r Record
	for a.Next(&r) {
		if k, ok := r.HashKey(); !ok || !shard.Contains(k) {
			return false
		}
	}
	return true
}

// advance reads the next record field; false where there is none or it is malformed.
func (a *Aggregated) advance(r *Record) bool {
	for a.next < len(a.message) {
		number, kind, value, size := field(a.message[a.next:])
		if size < 0 {
			return false
		}
		a.next += size
		if number == fieldRecords && kind == protowire.BytesType {
			return a.record(value, r)
		}
	}
	return false
}

// record parses a Record message. Of a field that is there twice the last one counts, as everywhere in protobuf.
func (a *Aggregated) record(message []byte, r *Record) bool {
	*r = Record{}
	var key, hash uint64
	var hasKey, hasHash, hasData bool
	for len(message) > 0 {
		number, kind, value, size := field(message)
		if size < 0 {
			return false
		}
		switch {
		case number == fieldKeyIndex && kind == protowire.VarintType:
			key, _ = protowire.ConsumeVarint(value)
			hasKey = true
		case number == fieldHashIndex && kind == protowire.VarintType:
			hash, _ = protowire.ConsumeVarint(value)
			hasHash = true
		case number == fieldData && kind == protowire.BytesType:
			r.Data, hasData = value, true
		}
		message = message[size:]
	}
	if !hasKey || !hasData || key >= uint64(len(a.keys)) || hasHash && hash >= uint64(len(a.hashes)) {
		return false
	}
	r.Key = a.piece(a.keys[key])
	if hasHash {
		r.Explicit = a.piece(a.hashes[hash])
	}
	return true
}

func (a *Aggregated) piece(s span) []byte {
	end := s.at + s.size
	return a.message[s.at:end:end]
}

// field splits one field off b: size is its length with its tag, negative where b does not begin with a field. value is
// the content for bytes, and the encoded value for all other types.
func field(b []byte) (number protowire.Number, kind protowire.Type, value []byte, size int) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, -1
	}
	if kind == protowire.BytesType {
		value, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return 0, 0, nil, -1
		}
		return number, kind, value[:len(value):len(value)], n + m
	}
	m := protowire.ConsumeFieldValue(number, kind, b[n:])
	if m < 0 {
		return 0, 0, nil, -1
	}
	return number, kind, b[n : n+m], n + m
}

package batch

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// testRecord is one record as a test puts it in and wants it back.
type testRecord struct {
	key, data string
	explicit  *hashkey.Key
}

func build(t testing.TB, shard uint32, o BuildOptions, recs []testRecord) Batch {
	t.Helper()
	var b Builder
	b.Reset(shard, o)
	for i, r := range recs {
		var err error
		if r.explicit != nil {
			err = b.AppendExplicit([]byte(r.key), []byte(r.data), *r.explicit)
		} else {
			err = b.Append([]byte(r.key), []byte(r.data))
		}
		if err != nil {
			t.Fatalf("append record %d: %v", i, err)
		}
	}
	out, err := b.Finish()
	if err != nil {
		t.Fatalf("finish: %v", err)
	}
	return out
}

func wantRecords(t testing.TB, b Batch, recs []testRecord) {
	t.Helper()
	var it Iterator
	if err := it.Reset(b); err != nil {
		t.Fatalf("reset on %v: %v", b, err)
	}
	if it.Records() != len(recs) {
		t.Fatalf("%d records, want %d", it.Records(), len(recs))
	}
	one := func(i int) {
		t.Helper()
		r := recs[i]
		if it.Index() != i || string(it.Key()) != r.key || string(it.Data()) != r.data {
			t.Fatalf("record %d: index %d key %q data %q, want key %q data %q", i, it.Index(), it.Key(), it.Data(), r.key, r.data)
		}
		hk, ok := it.Explicit()
		if ok != (r.explicit != nil) || ok && hk != *r.explicit {
			t.Fatalf("record %d: explicit hash %v %t, want %v", i, hk, ok, r.explicit)
		}
		h, ok := it.KeyHash()
		if ok != b.HasKeyHashes() || ok && h != hashkey.XXH64.Of([]byte(r.key)).Hi {
			t.Fatalf("record %d: key hash %x %t", i, h, ok)
		}
	}
	for i := range recs {
		if !it.Next() {
			t.Fatalf("no record %d: %v", i, it.Err())
		}
		one(i)
	}
	if it.Next() || it.Err() != nil {
		t.Fatalf("a record too many, or error %v", it.Err())
	}
	for i := len(recs) - 1; i >= 0; i-- {
		if !it.Record(i) {
			t.Fatalf("no record %d by index: %v", i, it.Err())
		}
		one(i)
	}
	if it.Record(-1) || it.Record(len(recs)) {
		t.Fatal("a record out of range")
	}
}

func sampleRecords() []testRecord {
	return []testRecord{
		{key: "a", data: "first"},
		{key: "", data: ""},
		{key: "user-17", data: strings.Repeat("GET /index.html HTTP/1.1 200 ", 20)},
		{key: "explicit", data: "routed by hand", explicit: &hashkey.Key{Hi: 1, Lo: 2}},
		{key: strings.Repeat("k", MaxKeyLen), data: "long key"},
		{key: "last", data: "", explicit: &hashkey.Key{}},
	}
}

func TestBuildAndRead(t *testing.T) {
	for _, codec := range []Codec{CodecRaw, CodecZstd} {
		for _, hashes := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v hashes=%t", codec, hashes), func(t *testing.T) {
				b := build(t, 7, BuildOptions{Codec: codec, KeyHashes: hashes, ProducerID: 9, ProducerSeq: 8,
					ProducerEpoch: 7, RouteEpoch: 6}, sampleRecords())
				if b.Codec() != codec || b.HasKeyHashes() != hashes || b.Shard() != 7 || b.ProducerID() != 9 ||
					b.ProducerSeq() != 8 || b.ProducerEpoch() != 7 || b.RouteEpoch() != 6 {
					t.Fatalf("wrong header: %v", b)
				}
				got, err := Check(append(bytes.Clone(b), "what follows"...), len(b))
				if err != nil || !bytes.Equal(got, b) {
					t.Fatalf("check: %v", err)
				}
				wantRecords(t, got, sampleRecords())

				stored := bytes.Clone(got)
				s := Stamped{Position: 4096, Key: 0xfeedface, Len: uint32(len(stored)), Kind: KindData, Shard: 11,
					Micros: 123456789, DurableHint: 4000}
				Stamp(stored, s)
				if _, err := CheckStored(stored, s.Position, s.Key); !errors.Is(err, ErrNotCommitted) {
					t.Fatalf("before commit: %v", err)
				}
				putCommit(stored, s.Commit())
				sb, err := CheckStored(append(stored, 1, 2, 3), s.Position, s.Key)
				if err != nil || sb.Shard() != 11 || sb.AppendMicros() != 123456789 || sb.DurableHint() != 4000 {
					t.Fatalf("stored: %v, %v", sb, err)
				}
				Deliver(sb, s.Position)
				db, err := CheckDelivered(sb)
				if err != nil || db.Position() != s.Position {
					t.Fatalf("delivered: %v, %v", db, err)
				}
				wantRecords(t, db, sampleRecords())
			})
		}
	}
}

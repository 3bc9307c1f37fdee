package batch

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// testRecord is one record as a test puts it in and wants it back.
type testRecord struct {
	key, data string
	explicit  *hashkey.Key
}

// fataler is what testing.T and rapid.T have in common and helpers need.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

func build(t fataler, shard uint32, o BuildOptions, recs []testRecord) Batch {
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

func wantRecords(t fataler, b Batch, recs []testRecord) {
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

func TestBuilderLimits(t *testing.T) {
	var b Builder
	f := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	const maxLen = 1024
	largest := maxLen - HeaderLen - recordPrefix - endLen - 1
	b.Reset(1, BuildOptions{MaxLen: maxLen + Align - 1}) // rounded down
	_, err := b.Finish()
	f("nothing", err, ErrEmpty)
	f("one byte too many", b.Append([]byte("k"), make([]byte, largest+1)), ErrTooLarge)
	f("explicit, one byte too many", b.AppendExplicit([]byte("k"), make([]byte, largest+1-explicitLen), hashkey.Key{}), ErrTooLarge)
	f("the largest", b.Append([]byte("k"), make([]byte, largest)), nil)
	f("one more", b.Append(nil, nil), ErrFull)
	f("one more, larger than any", b.Append([]byte("k"), make([]byte, largest+1)), ErrTooLarge)
	f("key too long", b.Append(make([]byte, MaxKeyLen+1), nil), ErrKeyTooLong)
	_, err = b.Reserve(nil, -1)
	f("negative", err, ErrTooLarge)
	_, err = b.Reserve([]byte("k"), int(^uint(0)>>1))
	f("overflow", err, ErrTooLarge)
	out, err := b.Finish()
	f("finish", err, nil)
	if len(out) != maxLen || b.Len() != maxLen {
		t.Errorf("%d bytes, Len says %d", len(out), b.Len())
	}
	f("after Finish", b.Append(nil, nil), ErrFull)
	if again, err := b.Finish(); err != nil || !bytes.Equal(again, out) {
		t.Errorf("second Finish: %v", err)
	}

	b.Reset(1, BuildOptions{})
	for i := range MaxRecords {
		if err := b.Append(nil, nil); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	f("a record too many", b.Append(nil, nil), ErrFull)
	if out, err = b.Finish(); err != nil {
		t.Fatal(err)
	}
	if got, err := Check(out, MaxLen); err != nil || got.Records() != MaxRecords {
		t.Errorf("%v, %v", got, err)
	}

	b.Reset(1, BuildOptions{Codec: CodecZstd, KeyHashes: true})
	for b.Append(nil, nil) == nil {
	}
	if out, err = b.Finish(); err != nil || out.Codec() != CodecZstd {
		t.Fatalf("%v, %v", out, err)
	}
	if got, err := Check(out, MaxLen); err != nil || got.Records() != MaxRecords {
		t.Errorf("%v, %v", got, err)
	}
	iterateAny(t, out)

	b.Reset(1, BuildOptions{MaxLen: 1 << 40})
	f("longer than MaxLen", b.Append(nil, make([]byte, MaxLen)), ErrTooLarge)
	f("as long as MaxLen allows", b.Append(nil, make([]byte, MaxLen-HeaderLen-recordPrefix-endLen)), nil)
	if out, err = b.Finish(); err != nil || len(out) != MaxLen {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	if _, err := Check(out, MaxLen); err != nil {
		t.Error(err)
	}
}

func TestPaddedLen(t *testing.T) {
	f := func(bodyLen, records, want int) {
		t.Helper()
		if got := PaddedLen(bodyLen, records); got != want {
			t.Errorf("PaddedLen(%d, %d) = %d, want %d", bodyLen, records, got, want)
		}
	}
	f(1, 1, 128)
	f(32, 1, 128)
	f(33, 1, 160)
	f(32, 128, 128)
	f(32, 129, 160)
	f(1, MaxRecords, 1<<16)
	f(MaxLen-HeaderLen, 1, MaxLen)
}

func TestIncompressibleStaysRaw(t *testing.T) {
	noise := make([]byte, 5000)
	for i, x := 0, uint64(1); i < len(noise); i++ {
		x = x*6364136223846793005 + 1442695040888963407
		noise[i] = byte(x >> 56)
	}
	recs := []testRecord{{key: "k", data: string(noise)}}
	b := build(t, 1, BuildOptions{Codec: CodecZstd}, recs)
	if b.Codec() != CodecRaw {
		t.Fatalf("%v", b)
	}
	if _, err := Check(b, MaxLen); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, b, recs)
}

func TestShrinkAndDropRefuse(t *testing.T) {
	f := func(what string, do func(b *Builder)) {
		t.Helper()
		defer func() {
			if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "BUG:") {
				t.Errorf("%s: recovered %q", what, s)
			}
		}()
		var b Builder
		b.Reset(1, BuildOptions{})
		do(&b)
	}
	one := func(b *Builder) {
		if err := b.Append([]byte("k"), []byte("data")); err != nil {
			t.Fatal(err)
		}
	}
	f("Drop of nothing", func(b *Builder) { b.Drop() })
	f("second Drop", func(b *Builder) { one(b); one(b); b.Drop(); b.Drop() })
	f("Shrink of nothing", func(b *Builder) { b.Shrink(0) })
	f("Shrink to more", func(b *Builder) { one(b); b.Shrink(5) })
	f("Shrink below zero", func(b *Builder) { one(b); b.Shrink(-1) })
	f("Shrink after Drop", func(b *Builder) { one(b); one(b); b.Drop(); b.Shrink(0) })
	f("Shrink after Finish", func(b *Builder) { one(b); _, _ = b.Finish(); b.Shrink(0) })
	f("Drop after Finish", func(b *Builder) { one(b); _, _ = b.Finish(); b.Drop() })
}

// TestModel builds batches by all ways in and compares what comes out with what went in.
func TestModel(t *testing.T) {
	var b Builder // one for all, so that nothing of an earlier batch may shine through
	rapid.Check(t, func(t *rapid.T) {
		o := BuildOptions{
			Codec:     rapid.SampledFrom([]Codec{CodecRaw, CodecZstd}).Draw(t, "codec"),
			KeyHashes: rapid.Bool().Draw(t, "hashes"),
			MaxLen:    rapid.SampledFrom([]int{0, 128, 200, 1000, 5000}).Draw(t, "max"),
		}
		b.Reset(3, o)
		var want []testRecord
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			want = modelStep(t, &b, o, want)
		}
		if b.Records() != len(want) {
			t.Fatalf("%d records, want %d", b.Records(), len(want))
		}
		micros := rapid.Int64().Draw(t, "micros")
		b.SetClientMicros(micros)
		raw := b.Len()
		out, err := b.Finish()
		if len(want) == 0 {
			if !errors.Is(err, ErrEmpty) {
				t.Fatalf("finish of nothing: %v", err)
			}
			return
		}
		if err != nil || out.Codec() == CodecRaw && len(out) != raw || len(out) > raw || out.ClientMicros() != micros {
			t.Fatalf("%v, %v, Len said %d", out, err, raw)
		}
		if o.MaxLen != 0 && len(out) > o.MaxLen {
			t.Fatalf("%d bytes of at most %d", len(out), o.MaxLen)
		}
		if got, err := Check(out, len(out)); err != nil || len(got) != len(out) {
			t.Fatalf("check: %v", err)
		}
		wantRecords(t, out, want)
	})
}

func modelStep(t *rapid.T, b *Builder, o BuildOptions, want []testRecord) []testRecord {
	key := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "key")
	data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
	r := testRecord{key: string(key), data: string(data)}
	if rapid.Bool().Draw(t, "explicit") {
		r.explicit = &hashkey.Key{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
	}
	before := b.Len()
	way := rapid.IntRange(0, 3).Draw(t, "way")
	spare := rapid.IntRange(0, 20).Draw(t, "spare")
	reserve := func(n int) ([]byte, error) {
		if r.explicit != nil {
			return b.ReserveExplicit(key, n, *r.explicit)
		}
		return b.Reserve(key, n)
	}
	var err error
	var p []byte
	switch {
	case way == 0 && r.explicit != nil:
		err = b.AppendExplicit(key, data, *r.explicit)
	case way == 0:
		err = b.Append(key, data)
	case way == 1:
		if p, err = reserve(len(data)); err == nil {
			copy(p, data)
		}
	case way == 2:
		if p, err = reserve(len(data) + spare); err == nil {
			copy(p, data)
			b.Shrink(len(data))
		}
	default:
		if _, err = reserve(len(data)); err == nil {
			b.Drop()
		}
	}
	switch {
	case err == nil && way == 3:
		if b.Len() != before {
			t.Fatalf("Drop leaves %d bytes, before it were %d", b.Len(), before)
		}
		return want
	case err == nil:
		return append(want, r)
	}
	if b.Len() != before || b.Records() != len(want) {
		t.Fatalf("a refused record changed the batch: %v", err)
	}
	wantRefusal(t, b, o, r, way, spare, err)
	return want
}

// wantRefusal holds ErrFull and ErrTooLarge to the sizes.
func wantRefusal(t *rapid.T, b *Builder, o BuildOptions, r testRecord, way, spare int, err error) {
	size := recordPrefix + len(r.key) + len(r.data)
	if r.explicit != nil {
		size += explicitLen
	}
	if way == 2 {
		size += spare
	}
	table := endLen
	if o.KeyHashes {
		table += hashLen
	}
	maxLen := o.MaxLen / Align * Align
	alone := PaddedLen(size+table, 1)
	switch {
	case maxLen == 0:
		t.Fatalf("small records were refused: %v", err)
	case errors.Is(err, ErrTooLarge) && alone > maxLen:
	case errors.Is(err, ErrFull) && alone <= maxLen && PaddedLen(b.used-HeaderLen+size+(b.records+1)*table, b.records+1) > maxLen:
	default:
		t.Fatalf("record of %d bytes in a batch of %d of %d: %v", size, b.Len(), maxLen, err)
	}
}

func TestNoAllocations(t *testing.T) {
	lines := make([][]byte, 200)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, "10.0.0.%d GET /item/%d 200", i, i*i)
	}
	var b Builder
	var it Iterator
	var out Batch
	hk := hashkey.Key{Hi: 1}
	fill := func(o BuildOptions) {
		b.Reset(1, o)
		for _, l := range lines {
			if b.Append(l[:8], l) != nil || b.AppendExplicit(l[:8], l, hk) != nil {
				t.Fatal("append")
			}
			if _, err := b.Reserve(l[:8], 30); err != nil {
				t.Fatal(err)
			}
			b.Shrink(20)
		}
		var err error
		if out, err = b.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, f func()) {
		t.Helper()
		f()
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	for _, o := range []BuildOptions{{}, {KeyHashes: true}, {Codec: CodecZstd}} {
		if raceEnabled && o.Codec == CodecZstd {
			continue
		}
		check("build "+o.Codec.String(), func() { fill(o) })
		check("Check", func() { _, _ = Check(out, MaxLen) })
		check("iterate", func() {
			if it.Reset(out) != nil {
				t.Fatal(it.Err())
			}
			n := 0
			for it.Next() {
				n += len(it.Key()) + len(it.Data())
			}
			if n == 0 || it.Err() != nil || !it.Record(17) {
				t.Fatal(it.Err())
			}
		})
		stored := Batch(bytes.Clone(out))
		check("Stamp, CheckStored, Deliver, CheckDelivered", func() {
			s := Stamped{Position: 4096, Key: 5, Len: uint32(len(stored)), Kind: KindData}
			Stamp(stored, s)
			putCommit(stored, s.Commit())
			if _, err := CheckStored(stored, 4096, 5); err != nil {
				t.Fatal(err)
			}
			Deliver(stored, 4096)
			if _, err := CheckDelivered(stored); err != nil {
				t.Fatal(err)
			}
		})
	}
	pad := make([]byte, 32)
	check("PutPad", func() { PutPad(pad, 4096) })
}

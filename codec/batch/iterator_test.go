package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// hostile is a raw batch with valid sums around whatever body.
func hostile(body []byte, records int, flags byte) Batch {
	b := make(Batch, PaddedLen(len(body), records))
	copy(b[HeaderLen:], body)
	le := binary.LittleEndian
	le.PutUint32(b[offLen:], uint32(len(b)))
	b[offKind] = byte(KindData)
	b[offFlags] = flags
	le.PutUint16(b[offRecords:], uint16(records))
	le.PutUint32(b[offBodyLen:], uint32(len(body)))
	le.PutUint32(b[offRawLen:], uint32(len(body)))
	reseal(b)
	return b
}

func body(records string, ends ...uint32) []byte {
	p := []byte(records)
	for _, e := range ends {
		p = binary.LittleEndian.AppendUint32(p, e)
	}
	return p
}

func TestMalformedBody(t *testing.T) {
	f := func(name string, p []byte, records int, flags byte, wantRead int, wantReset error) {
		t.Helper()
		b, err := CheckDelivered(hostile(p, records, flags))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var it Iterator
		if err := it.Reset(b); !errors.Is(err, wantReset) || (err == nil) != (wantReset == nil) || !errors.Is(it.Err(), err) {
			t.Fatalf("%s: Reset gives %v, want %v", name, err, wantReset)
		}
		read := 0
		for it.Next() {
			read++
		}
		if read != wantRead || !errors.Is(it.Err(), ErrBadBody) || it.Next() {
			t.Fatalf("%s: read %d records, want %d, and %v", name, read, wantRead, it.Err())
		}
		if len(it.Key())+len(it.Data()) != 0 {
			t.Fatalf("%s: a record is left over", name)
		}
		for i := -1; i <= records; i++ {
			if it.Record(i) && (i < 0 || i >= records) {
				t.Fatalf("%s: record %d of %d", name, i, records)
			}
		}
	}
	f("end beyond the records", body("\x01\x00kd", 5), 1, 0, 0, ErrBadBody)
	f("end before the records end", body("\x01\x00kd", 3), 1, 0, 0, ErrBadBody)
	f("end of 4 GiB", body("\x01\x00kd", math.MaxUint32), 1, 0, 0, ErrBadBody)
	f("key longer than the record", body("\x03\x00kd", 4), 1, 0, 0, nil)
	f("key longer than a key can be", body("\x01\x04"+string(make([]byte, 1025)), 1027), 1, 0, 0, nil)
	f("explicit hash cut short", body("\x01\x80kd", 4), 1, 0, 0, nil)
	f("no room for the key's length", body("\x00\x00kxxxx", 2, 3, 7), 3, 0, 1, nil)
	f("ends go backwards", body("\x01\x00kd\x01\x00kd", 8, 4, 8), 3, 0, 1, nil)
	f("an end of 4 GiB in the middle", body("\x01\x00kd\x01\x00kd", 4, math.MaxUint32, 8), 3, 0, 1, nil)
	f("ends within the tables", body("\x01\x00kd\x01\x00kd", 4, 20, 8), 3, 0, 1, nil)
	f("ends as if there were no hashes", body("\x01\x00kd\x01\x00kd\x01\x00kd\x01\x00kd", 16), 1, flagKeyHashes, 0, ErrBadBody)
	f("not zstd", body("\x01\x00kd", 4), 1, byte(CodecZstd), 0, ErrBadBody)
}

func TestRawLenMustBeTrue(t *testing.T) {
	for _, delta := range []int{-1, 1} {
		b := Batch(bytes.Clone(goldens(t)["zstd"]))
		binary.LittleEndian.PutUint32(b[offRawLen:], uint32(b.RawLen()+delta))
		reseal(b)
		var it Iterator
		if err := it.Reset(b); !errors.Is(err, ErrBadBody) || it.Next() {
			t.Errorf("rawLen off by %d: %v", delta, err)
		}
	}
}

func TestResetRefuses(t *testing.T) {
	var it Iterator
	if it.Next() || it.Err() != nil || it.Record(0) || len(it.Key())+len(it.Data()) != 0 {
		t.Error("the zero iterator has records")
	}
	raw := goldens(t)["raw"]
	for _, b := range []Batch{nil, raw[:HeaderLen-1], raw[:HeaderLen], raw[:len(raw)-1], goldens(t)["pad"]} {
		if err := it.Reset(b); err == nil || it.Next() || it.Records() != 0 {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		if _, ok := it.KeyHash(); ok {
			t.Error("a key hash of nothing")
		}
		if _, ok := it.Explicit(); ok {
			t.Error("an explicit hash of nothing")
		}
	}
	if err := it.Reset(raw); err != nil {
		t.Fatalf("after refusals: %v", err)
	}
}

// checkAny runs whatever there is to run on bytes from outside and holds the results to what they promise.
func checkAny(t *testing.T, p []byte) {
	if b, err := Check(p, MaxLen); err == nil {
		if len(b) != b.Len() || len(b) > len(p) || len(b) != PaddedLen(b.BodyLen(), b.Records()) {
			t.Fatalf("Check let %v through", b)
		}
		iterateAny(t, b)
	}
	if b, err := CheckDelivered(p); err == nil {
		iterateAny(t, b)
	}
	if len(p) >= 8 {
		position := binary.LittleEndian.Uint64(p) ^ goldenKey
		b, err := CheckStored(p, position, goldenKey)
		h, herr := CheckStoredHeader(p, position, goldenKey)
		if err == nil && (herr != nil || len(h) != len(b) || len(b) != b.Len()) {
			t.Fatalf("CheckStored and CheckStoredHeader disagree on %v: %v", b, herr)
		}
		if errors.Is(err, ErrNotCommitted) {
			t.Fatal("the commit word was right")
		}
	}
	iterateAny(t, p)
	_ = Batch(p).String()
}

func iterateAny(t *testing.T, b Batch) {
	var it Iterator
	if it.Reset(b) != nil {
		return
	}
	n, bytes := 0, 0
	for it.Next() {
		if it.Index() != n || len(it.Key()) > MaxKeyLen {
			t.Fatalf("record %d: index %d, key of %d bytes", n, it.Index(), len(it.Key()))
		}
		_, _ = it.Explicit()
		_, _ = it.KeyHash()
		n++
		bytes += len(it.Key()) + len(it.Data())
	}
	if (n == it.Records()) != (it.Err() == nil) || bytes > b.RawLen() {
		t.Fatalf("%d records of %d, %d bytes of %d, %v", n, it.Records(), bytes, b.RawLen(), it.Err())
	}
	for i := it.Records() - 1; i >= 0; i -= 1 + i/3 {
		if it.Record(i) && it.Index() != i {
			t.Fatalf("record %d has index %d", i, it.Index())
		}
	}
}

func FuzzBatch(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkAny)
}

// FuzzResealed makes the sums fit, so that what lies behind them is reached.
func FuzzResealed(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < HeaderLen {
			return
		}
		b := Batch(bytes.Clone(p))
		reseal(b)
		checkAny(t, b)
		for _, at := range []int{offCommit, offAppendMicros, offDurableHint, offHeaderSum} { // as a producer sends it
			clear(b[at : at+8])
		}
		checkAny(t, b)
	})
}

// FuzzBody puts any body behind a header that fits it.
func FuzzBody(f *testing.F) {
	f.Add(body("\x01\x00kd", 4), uint16(1), byte(0))
	f.Add(body("\x01\x00kd\x00\x00", 4, 6), uint16(2), byte(0))
	f.Add(body("\x01\x80k0123456789abcdefd", 20), uint16(1), byte(0))
	f.Add([]byte(goldenZstd), uint16(3), byte(CodecZstd))
	f.Fuzz(func(t *testing.T, p []byte, records uint16, flags byte) {
		if len(p) > MaxLen-HeaderLen-Align {
			return
		}
		checkAny(t, hostile(p, int(records), flags&15))
	})
}

// goldenZstd is an empty zstd frame.
const goldenZstd = "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"

func addSeeds(f *testing.F) {
	f.Helper()
	var b Builder
	for _, o := range []BuildOptions{{}, {KeyHashes: true}, {Codec: CodecZstd}} {
		b.Reset(1, o)
		for _, r := range sampleRecords() {
			if err := b.Append([]byte(r.key), []byte(r.data)); err != nil {
				f.Fatal(err)
			}
		}
		out, err := b.Finish()
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(out))
	}
	pad := make([]byte, 64)
	PutPad(pad, 4096)
	putCommit(pad, CommitWord(4096, goldenKey))
	f.Add(pad)
}

package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

const (
	goldenPosition = 0x123456789a0
	goldenKey      = 0xfeedfacecafebeef
)

func goldenOptions() BuildOptions {
	return BuildOptions{ProducerID: 0x1122334455667788, ProducerSeq: 0x99aabbcc, ProducerEpoch: 0xddee, RouteEpoch: 0xff01}
}

// goldens builds what the files of testdata hold.
func goldens(t *testing.T) map[string]Batch {
	t.Helper()
	o := goldenOptions()
	raw := build(t, 0x01020304, o, sampleRecords())
	o.KeyHashes = true
	hashes := build(t, 0x01020304, o, sampleRecords())
	o.Codec = CodecZstd
	packed := build(t, 0x01020304, o, sampleRecords())

	stored := Batch(bytes.Clone(raw))
	s := Stamped{Position: goldenPosition, Key: goldenKey, Len: uint32(len(raw)), Kind: KindData, Shard: 0x05060708,
		Micros: 1_700_000_000_123_456, DurableHint: goldenPosition - 4096}
	Stamp(stored, s)
	putCommit(stored, s.Commit())
	delivered := Batch(bytes.Clone(stored))
	Deliver(delivered, goldenPosition)

	pad := make(Batch, 64)
	PutPad(pad, goldenPosition)
	putCommit(pad, CommitWord(goldenPosition, goldenKey))
	return map[string]Batch{"raw": raw, "hashes": hashes, "zstd": packed, "stored": stored, "delivered": delivered, "pad": pad}
}

// TestGolden holds the format to bytes of earlier builds. The files never change: a new layout gets new ones.
func TestGolden(t *testing.T) {
	for name, built := range goldens(t) {
		golden, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// Another version of the encoder may compress differently, and that is all that may differ.
		if name != "zstd" && !bytes.Equal(built, golden) {
			t.Errorf("%s: built\n%x, want\n%x", name, built, golden)
		}
		var got Batch
		switch name {
		case "stored", "pad":
			got, err = CheckStored(golden, goldenPosition, goldenKey)
		case "delivered":
			got, err = CheckDelivered(golden)
		default:
			got, err = Check(golden, MaxLen)
		}
		if err != nil || len(got) != len(golden) {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		if name != "pad" {
			wantRecords(t, got, sampleRecords())
		}
	}
}

// TestLayout reads the golden bytes at the offsets of the drawing in format.go.
func TestLayout(t *testing.T) {
	p := goldens(t)["delivered"]
	le := binary.LittleEndian
	f := func(what string, got, want uint64) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %#x, want %#x", what, got, want)
		}
	}
	f("commit", le.Uint64(p[0:]), goldenPosition)
	f("len", uint64(le.Uint32(p[8:])), uint64(len(p)))
	f("kind", uint64(p[12]), 1)
	f("flags", uint64(p[13]), 0)
	f("records", uint64(le.Uint16(p[14:])), 6)
	f("shard", uint64(le.Uint32(p[16:])), 0x05060708)
	f("bodyLen", uint64(le.Uint32(p[20:])), uint64(p.BodyLen()))
	f("rawLen", uint64(le.Uint32(p[24:])), uint64(p.BodyLen()))
	f("dictID", uint64(le.Uint32(p[28:])), 0)
	f("appendMicros", le.Uint64(p[32:]), 1_700_000_000_123_456)
	f("reserved", le.Uint64(p[40:]), 0)
	f("producerID", le.Uint64(p[48:]), 0x1122334455667788)
	f("producerSeq", uint64(le.Uint32(p[56:])), 0x99aabbcc)
	f("producerEpoch", uint64(le.Uint16(p[60:])), 0xddee)
	f("routeEpoch", uint64(le.Uint16(p[62:])), 0xff01)
	f("clientMicros", le.Uint64(p[64:]), 0)
	f("bodySum", le.Uint64(p[72:]), xxhash.Sum64(p[96:96+p.BodyLen()]))
	f("durableHint", le.Uint64(p[80:]), goldenPosition-4096)
	f("headerSum", le.Uint64(p[88:]), xxhash.Sum64(p[8:88])^goldenPosition)
	f("keyLen of record 0", uint64(le.Uint16(p[96:])), 1)
	if string(p[98:104]) != "afirst" {
		t.Errorf("record 0 is %q", p[98:104])
	}
	f("end of record 0", uint64(le.Uint32(p[96+p.BodyLen()-6*4:])), 8)
}

// sealed makes a batch valid again after a change: sums as they should be for what it says now.
func reseal(b Batch) {
	le := binary.LittleEndian
	if n := HeaderLen + b.BodyLen(); n <= len(b) {
		le.PutUint64(b[offBodySum:], xxhash.Sum64(b[HeaderLen:n]))
	}
	le.PutUint64(b[offHeaderSum:], headerSum(b, b.Position()))
}

// damage is where a bit is flipped and what each check must say.
type damage struct {
	field                               string
	at                                  int
	client, stored, delivered, resealed error
}

func damages(raw Batch) []damage {
	return []damage{
		{"commit", 3, ErrServerField, ErrNotCommitted, ErrBadHeaderSum, nil},
		{"len", 8, ErrBadLength, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadLength},
		{"len, high", 11, ErrBadLength, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadLength},
		{"kind", 12, ErrBadKind, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadKind},
		{"flags", 13, ErrBadFlags, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadFlags},
		{"records", 14, ErrBadBody, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"records, high", 15, ErrBadLength, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadLength},
		{"shard", 16, nil, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"bodyLen", 20, ErrBadLength, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadLength},
		{"rawLen", 24, ErrBadLength, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadLength},
		{"dictID", 28, ErrBadFlags, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadFlags},
		{"appendMicros", 32, ErrServerField, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"reserved", 40, ErrBadFlags, ErrBadHeaderSum, ErrBadHeaderSum, ErrBadFlags},
		{"producerID", 48, nil, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"producerSeq", 56, nil, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"producerEpoch", 60, nil, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"routeEpoch", 62, nil, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"clientMicros", 64, nil, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"bodySum", 72, ErrBadSum, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"durableHint", 80, ErrServerField, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"headerSum", 88, ErrServerField, ErrBadHeaderSum, ErrBadHeaderSum, nil},
		{"body", 96, ErrBadSum, ErrBadSum, ErrBadSum, nil},
		{"body, end", HeaderLen + raw.BodyLen() - 1, ErrBadSum, ErrBadSum, ErrBadSum, nil},
		{"padding", len(raw) - 1, ErrBadPadding, nil, nil, nil},
	}
}

// TestDamage flips a bit in each field and names the error that must come of it: from Check for a producer's batch, from
// CheckStored and CheckDelivered for the stored one, and from CheckDelivered where the sums are made to fit again.
func TestDamage(t *testing.T) {
	all := goldens(t)
	rows := damages(all["raw"])
	if HeaderLen+all["raw"].BodyLen() == len(all["raw"]) {
		t.Fatal("the sample has no padding")
	}
	for _, r := range rows {
		bit := byte(0x40)
		if r.field == "records" {
			bit = 1
		}
		flip := func(name string) Batch {
			b := Batch(bytes.Clone(all[name]))
			b[r.at] ^= bit
			return b
		}
		f := func(what string, want, got error) {
			t.Helper()
			if !errors.Is(got, want) || want == nil && got != nil {
				t.Errorf("%s, %s: %v, want %v", r.field, what, got, want)
			}
		}
		_, err := Check(flip("raw"), MaxLen)
		f("Check", r.client, err)
		_, err = CheckStored(flip("stored"), goldenPosition, goldenKey)
		f("CheckStored", r.stored, err)
		_, err = CheckDelivered(flip("delivered"))
		f("CheckDelivered", r.delivered, err)
		b := flip("delivered")
		if r.field == "body, end" || r.field == "bodyLen" {
			continue // another body: TestMalformedBody
		}
		reseal(b)
		_, err = CheckDelivered(b)
		f("CheckDelivered with fitting sums", r.resealed, err)
	}
}

// TestPadDamage flips a bit in each byte of a pad.
func TestPadDamage(t *testing.T) {
	pad := goldens(t)["pad"]
	for at := range pad {
		b := bytes.Clone(pad)
		b[at] ^= 0x40
		want := ErrBadHeaderSum
		switch {
		case at < offLen:
			want = ErrNotCommitted
		case at == offKind:
			want = ErrShort // no pad any more, and too short for a batch
		case at >= PadHeaderLen:
			want = nil
		}
		if _, err := CheckStored(b, goldenPosition, goldenKey); !errors.Is(err, want) {
			t.Errorf("pad, byte %d: %v, want %v", at, err, want)
		}
	}
}

// Any cut of a batch is ErrShort: from more bytes it can become whole.
func TestCut(t *testing.T) {
	all := goldens(t)
	for n := range len(all["raw"]) {
		if _, err := Check(all["raw"][:n], MaxLen); !errors.Is(err, ErrShort) {
			t.Fatalf("Check of %d bytes: %v", n, err)
		}
		if _, err := CheckStored(all["stored"][:n], goldenPosition, goldenKey); !errors.Is(err, ErrShort) {
			t.Fatalf("CheckStored of %d bytes: %v", n, err)
		}
		if _, err := CheckDelivered(all["delivered"][:n]); !errors.Is(err, ErrShort) {
			t.Fatalf("CheckDelivered of %d bytes: %v", n, err)
		}
		if n >= HeaderLen {
			b, err := CheckStoredHeader(all["stored"][:n], goldenPosition, goldenKey)
			if err != nil || len(b) != n || b.Len() != len(all["stored"]) {
				t.Fatalf("CheckStoredHeader of %d bytes: %v", n, err)
			}
		}
	}
	if b, err := CheckStoredHeader(append(bytes.Clone(all["stored"]), 1, 2, 3), goldenPosition, goldenKey); err != nil || len(b) != len(all["stored"]) {
		t.Fatalf("CheckStoredHeader of more than the batch: %v", err)
	}
}

func TestWrongPlace(t *testing.T) {
	stored := goldens(t)["stored"]
	for _, where := range []struct{ position, key uint64 }{
		{goldenPosition + 32, goldenKey}, {goldenPosition, goldenKey + 1}, {goldenPosition + 64<<20, goldenKey},
	} {
		if _, err := CheckStored(stored, where.position, where.key); !errors.Is(err, ErrNotCommitted) {
			t.Errorf("at %#x with key %#x: %v", where.position, where.key, err)
		}
	}
	// Position and key wrong in a way that gives the same commit word: only the header sum tells.
	if _, err := CheckStored(stored, goldenPosition^64, goldenKey^64); !errors.Is(err, ErrBadHeaderSum) {
		t.Errorf("%v", err)
	}
	moved := Batch(bytes.Clone(goldens(t)["delivered"]))
	Deliver(moved, goldenPosition+32)
	if _, err := CheckDelivered(moved); !errors.Is(err, ErrBadHeaderSum) {
		t.Errorf("delivered under another position: %v", err)
	}
}

func TestCheckLimit(t *testing.T) {
	b := goldens(t)["raw"]
	if _, err := Check(b, len(b)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := Check(b[:HeaderLen], len(b)-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("above the limit, body still to come: %v", err)
	}
}

func TestString(t *testing.T) {
	all := goldens(t)
	for _, want := range []string{"data ", "position=1250999896480", "codec=raw", "keyHashes=false", "records=6", "shard=84281096",
		"appendMicros=1700000000123456", "producerID=1234605616436508552", "producerSeq=2578103244", "producerEpoch=56814",
		"routeEpoch=65281", "clientMicros=0", "dictID=0", "bodySum=", "headerSum=", "durableHint=1250999892384"} {
		if s := all["delivered"].String(); !strings.Contains(s, want) || strings.Contains(s, "\n") {
			t.Errorf("%q is not in %q", want, s)
		}
	}
	if s := all["pad"].String(); !strings.HasPrefix(s, "pad ") || !strings.Contains(s, "len=64") {
		t.Errorf("pad prints as %q", s)
	}
	if s := (Batch{1, 2}).String(); !strings.Contains(s, "2 bytes") {
		t.Errorf("a stump prints as %q", s)
	}
	if s := Kind(9).String() + Codec(7).String(); s != "kind9codec7" {
		t.Errorf("unknown ones print as %q", s)
	}
}

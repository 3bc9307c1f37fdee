package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/zstdpool"
)

// malformedBomb is a batch of a few hundred bytes that unpacks to n bytes, in which the second record is malformed, and
// that passes batch.Check.
func malformedBomb(t *testing.T, shard uint32, n int) batch.Batch {
	t.Helper()
	const first = 3 // keyLen, key
	raw := make([]byte, n)
	raw[0], raw[2] = 1, 'k'
	binary.LittleEndian.PutUint16(raw[first:], 0x7fff)
	binary.LittleEndian.PutUint32(raw[n-8:], first)
	binary.LittleEndian.PutUint32(raw[n-4:], uint32(n-8))
	body := zstdpool.New().AppendEncode(nil, raw)
	b := bytes.Clone(buildBatch(t, shard, batch.CodecZstd, []Record{rec("k", "a"), {Key: []byte("k"), Data: make([]byte, 4096)}})[:batch.HeaderLen])
	b = append(b, body...)
	b = append(b, make([]byte, batch.PaddedLen(len(body), 2)-len(b))...)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[20:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[24:], uint32(n))
	binary.LittleEndian.PutUint64(b[72:], xxhash.Sum64(body))
	if _, err := batch.Check(b, batch.MaxLen); err != nil {
		t.Fatal(err)
	}
	return b
}

// However much the batches of a page unpack to and however little of that are records, a page holds a bounded amount of
// memory, and a reader comes to what lies behind.
func TestPageOfBombsIsBounded(t *testing.T) {
	e := openTest(t, Options{RingSize: smallRing})
	s := createTest(t, e, "s", 1)
	const bombs, size = 16, 12 << 20
	b := malformedBomb(t, s.Info().Shards[0].ID, size)
	for range bombs {
		if _, err := s.AppendBatch(b); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, rec("k", "after"))
	token, err := s.Iterator("0", TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	records, pages, last := 0, 0, ""
	for last != "after" {
		p, err := e.Records(context.Background(), token, 0)
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, body := range p.mem.bodies {
			held += body.size
		}
		if held > maxUnpacked {
			t.Fatalf("a page holds %d MiB for %d records", held>>20, len(p.Records))
		}
		if len(p.Records) > 0 {
			last = string(p.Records[len(p.Records)-1].Data)
		}
		records += len(p.Records)
		token = p.Next
		p.Release()
		if pages++; pages > bombs+2 {
			t.Fatal("the reader does not get on")
		}
	}
	if records != bombs+1 {
		t.Fatalf("%d records, want %d", records, bombs+1)
	}
}

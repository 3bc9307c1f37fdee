package engine

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// smallRing keeps the many engines of the tests cheap.
const smallRing = 1 << 20

func testOptions(fsys vfs.FS) Options {
	return Options{FS: fsys, Dir: "data", RingSize: smallRing, SegmentSize: 4 << 20}
}

func openTest(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func createTest(t testing.TB, e *Engine, name string, shards int) *Stream {
	t.Helper()
	return createWith(t, e, CreateStream{Name: Name{Stream: name}, Shards: shards})
}

func createWith(t testing.TB, e *Engine, c CreateStream) *Stream {
	t.Helper()
	if err := e.CreateStream(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	s, err := e.Stream(c.Name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put appends records "key=data" and returns where they went.
func put(t testing.TB, s *Stream, recs ...Record) []Appended {
	t.Helper()
	out := make([]Appended, len(recs))
	if err := s.Append(context.Background(), recs, LevelMem, out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Err != nil {
			t.Fatalf("record %d: %v", i, out[i].Err)
		}
	}
	return out
}

func rec(key, data string) Record { return Record{Key: []byte(key), Data: []byte(data)} }

// got is a record as it was read, copied.
type got struct {
	shard     uint32
	seq       Sequence
	key, data string
}

// readShard reads a shard from an iterator to its tip or end with pages of that limit.
func readShard(t testing.TB, s *Stream, index uint32, limit int) (out []got, children []ShardInfo) {
	t.Helper()
	token, err := s.Iterator(ShardID(index), TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return readFrom(t, s.e, token, limit)
}

func readFrom(t reporter, e *Engine, token string, limit int) (out []got, children []ShardInfo) {
	t.Helper()
	for {
		p, err := e.Records(context.Background(), token, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			out = append(out, got{r.Sequence.Shard, r.Sequence, string(r.Key), string(r.Data)})
		}
		n, behind, next := len(p.Records), p.MillisBehind, p.Next
		children = p.Children
		if limit > 0 && n > limit {
			t.Fatalf("%d records, the limit is %d", n, limit)
		}
		p.Release()
		if next == "" {
			return out, children
		}
		if next == token {
			t.Fatal("the same token again")
		}
		if n == 0 && behind == 0 {
			return out, nil
		}
		token = next
	}
}

// readAll reads every shard of the stream that is listed, parents first.
func readAll(t testing.TB, s *Stream, limit int) []got {
	t.Helper()
	var out []got
	for _, sh := range s.Info().Shards {
		part, _ := readShard(t, s, sh.Index, limit)
		out = append(out, part...)
	}
	return out
}

// reporter is what testing.TB and *rapid.T have in common.
type reporter interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// asCode returns err as an *Error, and fails the test where it is none.
func asCode(t reporter, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *Error", err, err)
	}
	return e
}

func wantError(t testing.TB, err error, code Code, message string) {
	t.Helper()
	e := asCode(t, err)
	if e.Code != code || e.Message != message {
		t.Fatalf("got  %d %q\nwant %d %q", e.Code, e.Message, code, message)
	}
}

func numbered(n int) []Record {
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = rec(fmt.Sprintf("key-%d", i%17), fmt.Sprintf("data %d", i))
	}
	return recs
}

// buildBatch is a batch as a native producer builds it.
func buildBatch(t testing.TB, shard uint32, codec batch.Codec, recs []Record) batch.Batch {
	t.Helper()
	var b batch.Builder
	b.Reset(shard, batch.BuildOptions{Codec: codec, MaxLen: batch.MaxLen})
	for _, r := range recs {
		if err := b.Append(r.Key, r.Data); err != nil {
			t.Fatal(err)
		}
	}
	one, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// hexNumber is a hexadecimal number in decimal.
func hexNumber(s string) string {
	n, ok := new(big.Int).SetString(s, 16)
	if !ok {
		panic("BUG: " + s)
	}
	return n.String()
}

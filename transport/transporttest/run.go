// Package transporttest is the conformance suite that every transport passes: what goes in over the wire comes out of it,
// in order, at the sequence numbers promised, and what is wrong is refused without harm to what is right. A transport's
// test describes itself as a Transport and calls Run.
package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

// Record is one record as a client of the transport sees it.
type Record struct {
	Key, Data []byte
	// Sequence orders the records of a shard, and stands for the same record at Put and at Read. nil where it was not put.
	Sequence *big.Int
}

// Page is what one Read found.
type Page struct {
	Records []Record
	Next    string // where to go on
	End     bool   // the shard is closed and there is nothing behind Records
}

// Transport is a client of a running server, as functions. All may be called concurrently.
type Transport struct {
	// Create makes a stream and returns when it takes records.
	Create func(ctx context.Context, stream string, shards int) error
	// Shards names the shards of a stream, parents before their children.
	Shards func(ctx context.Context, stream string) ([]string, error)
	// Put appends records in order and returns their sequence numbers.
	Put func(ctx context.Context, stream string, records []Record) ([]*big.Int, error)
	// Read reads a shard from a cursor on: "" is the oldest record, otherwise Page.Next of an earlier Read. It may return
	// no records although there will be some.
	Read func(ctx context.Context, stream, shard, cursor string) (Page, error)
	// From is the cursor of the record at a sequence number.
	From func(stream, shard string, sequence *big.Int) string
	// Split splits a shard in two.
	Split func(ctx context.Context, stream, shard string) error
	// NotFound tells whether an error says that the stream is not there.
	NotFound func(err error) bool
	// Bad are requests that must be refused, by name. Each returns the refusal, or nil if there was none, which is a failure.
	Bad map[string]func(ctx context.Context) error
	// MaxData is the longest data of a record, in bytes, under a one-byte key.
	MaxData int
}

// deadline bounds each test of the suite.
const deadline = time.Minute

// Run tests a transport. open starts a server that is empty; what it needs cleaned up it registers with t.
func Run(t *testing.T, open func(t *testing.T) Transport) {
	for _, test := range []struct {
		name string
		fn   func(ctx context.Context, t *testing.T, tr *Transport)
	}{
		{"Bytes", testBytes},
		{"Order", testOrder},
		{"Resume", testResume},
		{"Split", testSplit},
		{"Absent", testAbsent},
		{"Bad", testBad},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			tr := open(t)
			test.fn(ctx, t, &tr)
		})
	}
}

// all reads a stream from its beginning until want records are there.
func (tr *Transport) all(ctx context.Context, t *testing.T, stream string, want int) []Record {
	t.Helper()
	var out []Record
	for ctx.Err() == nil {
		out = out[:0]
		shards, err := tr.Shards(ctx, stream)
		if err != nil {
			t.Fatalf("shards of %s: %v", stream, err)
		}
		for _, sh := range shards {
			out = append(out, tr.shard(ctx, t, stream, sh, "")...)
		}
		if len(out) >= want {
			break
		}
	}
	if len(out) != want {
		t.Fatalf("%d records, want %d", len(out), want)
	}
	return out
}

// shard reads a shard until a page is empty or the last.
func (tr *Transport) shard(ctx context.Context, t *testing.T, stream, shard, cursor string) (out []Record) {
	t.Helper()
	for {
		p, err := tr.Read(ctx, stream, shard, cursor)
		if err != nil {
			t.Fatalf("read %s of %s from %q: %v", shard, stream, cursor, err)
		}
		for _, r := range p.Records {
			if n := len(out); n > 0 && out[n-1].Sequence.Cmp(r.Sequence) >= 0 {
				t.Fatalf("sequence %s follows %s", r.Sequence, out[n-1].Sequence)
			}
			out = append(out, r)
		}
		if p.End || len(p.Records) == 0 {
			return out
		}
		cursor = p.Next
	}
}

func (tr *Transport) create(ctx context.Context, t *testing.T, stream string, shards int) {
	t.Helper()
	if err := tr.Create(ctx, stream, shards); err != nil {
		t.Fatalf("create %s: %v", stream, err)
	}
}

func (tr *Transport) put(ctx context.Context, t *testing.T, stream string, recs ...Record) []Record {
	t.Helper()
	seqs, err := tr.Put(ctx, stream, recs)
	if err != nil || len(seqs) != len(recs) {
		t.Fatalf("put %d records: %d sequence numbers, %v", len(recs), len(seqs), err)
	}
	for i := range recs {
		recs[i].Sequence = seqs[i]
	}
	return recs
}

// testBytes: keys and data come back byte for byte, whatever they are, at their sequence numbers.
func testBytes(ctx context.Context, t *testing.T, tr *Transport) {
	tr.create(ctx, t, "bytes", 3)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var put []Record
	for _, r := range []Record{
		{Key: []byte("k"), Data: []byte("plain")},
		{Key: []byte("k"), Data: []byte{}},
		{Key: []byte("k"), Data: every},
		{Key: []byte("ключ-鍵-🔑"), Data: []byte("not ASCII")},
		{Key: []byte(`"\/<>&`), Data: []byte(`{"a":"\u0000"}`)},
		{Key: []byte(strings.Repeat("x", 256)), Data: []byte("longest key")},
		{Key: []byte("z"), Data: bytes.Repeat([]byte{0}, 10_000)},
		{Key: []byte("m"), Data: bytes.Repeat(every, tr.MaxData/256+1)[:tr.MaxData]},
	} {
		put = append(put, tr.put(ctx, t, "bytes", r)...)
	}
	byKey := map[string][]Record{}
	for _, r := range tr.all(ctx, t, "bytes", len(put)) {
		byKey[string(r.Key)] = append(byKey[string(r.Key)], r)
	}
	for i, want := range put {
		of := byKey[string(want.Key)]
		if len(of) == 0 {
			t.Fatalf("record %d is missing", i)
		}
		got := of[0]
		byKey[string(want.Key)] = of[1:]
		if !bytes.Equal(got.Data, want.Data) || got.Sequence.Cmp(want.Sequence) != 0 {
			t.Errorf("record %d: %d bytes at %s, want %d at %s", i, len(got.Data), got.Sequence, len(want.Data), want.Sequence)
		}
	}
}

// testOrder: records of one key stay in the order they were put in, with many putting at a time.
func testOrder(ctx context.Context, t *testing.T, tr *Transport) {
	tr.create(ctx, t, "order", 4)
	const putters, puts, each = 4, 10, 25
	var wg sync.WaitGroup
	for g := range putters {
		wg.Go(func() {
			n := 0
			for range puts {
				recs := make([]Record, each)
				for i := range recs {
					recs[i] = Record{Key: fmt.Appendf(nil, "%d-%d", g, n%5), Data: fmt.Append(nil, n)}
					n++
				}
				if seqs, err := tr.Put(ctx, "order", recs); err != nil || len(seqs) != each {
					t.Errorf("put: %d sequence numbers, %v", len(seqs), err)
					return
				}
			}
		})
	}
	wg.Wait()
	last := map[string]int{}
	for _, r := range tr.all(ctx, t, "order", putters*puts*each) {
		var n int
		if _, err := fmt.Sscan(string(r.Data), &n); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[string(r.Key)]; ok && n != before+5 || !ok && n > 4 {
			t.Fatalf("key %s: %d follows %d", r.Key, n, before)
		}
		last[string(r.Key)] = n
	}
	if len(last) != putters*5 {
		t.Errorf("%d keys", len(last))
	}
}

// testResume: reading from a record's sequence number begins with that record.
func testResume(ctx context.Context, t *testing.T, tr *Transport) {
	tr.create(ctx, t, "resume", 1)
	var put []Record
	for i := range 10 {
		put = append(put, tr.put(ctx, t, "resume",
			Record{Key: []byte("k"), Data: fmt.Append(nil, 2*i)}, Record{Key: []byte("k"), Data: fmt.Append(nil, 2*i+1)})...)
	}
	all := tr.all(ctx, t, "resume", len(put))
	shards, err := tr.Shards(ctx, "resume")
	if err != nil || len(shards) != 1 {
		t.Fatalf("shards %v, %v", shards, err)
	}
	for i, r := range put {
		got := tr.shard(ctx, t, "resume", shards[0], tr.From("resume", shards[0], r.Sequence))
		if len(got) != len(all)-i || !bytes.Equal(got[0].Data, r.Data) {
			t.Fatalf("from record %d: %d records, first %q", i, len(got), got[0].Data)
		}
	}
}

// testSplit: records put before and after a split are read in order, the parent to its end first.
func testSplit(ctx context.Context, t *testing.T, tr *Transport) {
	tr.create(ctx, t, "split", 1)
	n := 0
	more := func() {
		for range 10 {
			recs := make([]Record, 10)
			for i := range recs {
				recs[i] = Record{Key: fmt.Appendf(nil, "k%d", n%7), Data: fmt.Append(nil, n)}
				n++
			}
			tr.put(ctx, t, "split", recs...)
		}
	}
	more()
	shards, err := tr.Shards(ctx, "split")
	if err != nil || len(shards) != 1 {
		t.Fatalf("shards %v, %v", shards, err)
	}
	parent := shards[0]
	if err := tr.Split(ctx, "split", parent); err != nil {
		t.Fatalf("split: %v", err)
	}
	more()
	last := map[string]int{}
	for _, r := range tr.all(ctx, t, "split", n) {
		var k int
		if _, err := fmt.Sscan(string(r.Data), &k); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[string(r.Key)]; ok && k != before+7 {
			t.Fatalf("key %s: %d follows %d", r.Key, k, before)
		}
		last[string(r.Key)] = k
	}
	if shards, err = tr.Shards(ctx, "split"); err != nil || len(shards) != 3 {
		t.Fatalf("shards after the split: %v, %v", shards, err)
	}
	got := 0
	for cursor := ""; ; {
		p, err := tr.Read(ctx, "split", parent, cursor)
		if err != nil {
			t.Fatal(err)
		}
		if got += len(p.Records); p.End {
			break
		}
		cursor = p.Next
	}
	if got != n/2 {
		t.Errorf("%d records in the parent, want %d", got, n/2)
	}
}

// testAbsent: what is not there is said not to be there.
func testAbsent(ctx context.Context, t *testing.T, tr *Transport) {
	if _, err := tr.Put(ctx, "absent", []Record{{Key: []byte("k"), Data: []byte("d")}}); !tr.NotFound(err) {
		t.Errorf("put to an absent stream: %v", err)
	}
	if _, err := tr.Shards(ctx, "absent"); !tr.NotFound(err) {
		t.Errorf("shards of an absent stream: %v", err)
	}
}

var errTaken = errors.New("taken")

// testBad: each bad request is refused, and good ones before and after it are not harmed.
func testBad(ctx context.Context, t *testing.T, tr *Transport) {
	tr.create(ctx, t, "good", 1)
	if len(tr.Bad) == 0 {
		t.Fatal("the transport names no bad request")
	}
	n := 0
	for name, send := range tr.Bad {
		tr.put(ctx, t, "good", Record{Key: []byte("k"), Data: fmt.Append(nil, n)})
		n++
		err := send(ctx)
		if err == nil {
			err = errTaken
		}
		if errors.Is(err, errTaken) || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	tr.put(ctx, t, "good", Record{Key: []byte("k"), Data: fmt.Append(nil, n)})
	for i, r := range tr.all(ctx, t, "good", n+1) {
		if string(r.Data) != fmt.Sprint(i) {
			t.Errorf("record %d is %q", i, r.Data)
		}
	}
}

package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Ready-made batches, raw and compressed, come back as records through the AWS path and as the same bytes through the
// native one.
func TestAppendBatchRead(t *testing.T) {
	e := openTest(t, testOptions(vfs.NewMem(0)))
	s := createTest(t, e, "s", 2)
	id := s.Info().Shards[1].ID
	var want []string
	var sent []batch.Batch
	last := Ticket{}
	for i, codec := range []batch.Codec{batch.CodecRaw, batch.CodecZstd, batch.CodecZstd, batch.CodecRaw} {
		recs := make([]Record, 100)
		for n := range recs {
			recs[n] = rec("key", fmt.Sprintf("batch %d, record %d, and the same words again and again", i, n))
			want = append(want, string(recs[n].Data))
		}
		one := buildBatch(t, id, codec, recs)
		if one.Codec() != codec {
			t.Fatal("the batch is not compressed")
		}
		sent = append(sent, bytes.Clone(one))
		ticket, err := s.AppendBatch(one)
		if err != nil || ticket.Position < last.End {
			t.Fatal(ticket, err)
		}
		last = ticket
	}
	if err := e.Wait(context.Background(), last.End, LevelDisk); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{0, 1, 33, 100, 150} {
		all, _ := readShard(t, s, 1, limit)
		if len(all) != len(want) {
			t.Fatalf("limit %d: %d records", limit, len(all))
		}
		for i, g := range all {
			if g.data != want[i] {
				t.Fatalf("limit %d, record %d: %q", limit, i, g.data)
			}
		}
	}
	// The bytes of the native path: everything but the server's fields is as it was sent.
	from, err := s.Seek(id, TrimHorizon, 0, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; {
		dst, next, end, err := s.ReadBatches(nil, id, from, 1)
		if err != nil || end {
			t.Fatal(err, end)
		}
		if len(dst) == 0 {
			if i != len(sent) {
				t.Fatalf("%d batches, want %d", i, len(sent))
			}
			break
		}
		one, err := batch.CheckDelivered(dst)
		if err != nil || len(one) != len(dst) || !bytes.Equal(one.Body(), sent[i].Body()) || one.Shard() != id {
			t.Fatal(err)
		}
		from, i = next, i+1
	}
	// A position inside a batch gives the batch that contains it.
	dst, _, _, err := s.ReadBatches(nil, id, last.Position+50, 1<<20)
	if err != nil || batch.Batch(dst).Position() != last.Position {
		t.Fatal(err)
	}
	if at, err := s.Seek(id, Latest, 0, time.Time{}); err != nil || at < last.End {
		t.Fatal(at, err)
	}
	if at, err := s.Seek(id, AfterSequence, last.Position, time.Time{}); err != nil || at != last.Position+1 {
		t.Fatal(at, err)
	}
	if at, err := s.Seek(id, AtTimestamp, 0, time.UnixMicro(last.Micros)); err != nil || at > last.Position {
		t.Fatal(at, err)
	}
	if _, err := s.Seek(4711, Latest, 0, time.Time{}); asCode(t, err).Code != CodeStaleRoute {
		t.Fatal(err)
	}
	if _, _, _, err := s.ReadBatches(nil, 4711, 0, 1); asCode(t, err).Code != CodeNotFound {
		t.Fatal(err)
	}
}

func TestAppendBatchRefused(t *testing.T) {
	e := openTest(t, Options{RingSize: smallRing})
	s, other := createTest(t, e, "s", 2), createTest(t, e, "other", 1)
	f := func(b batch.Batch, code Code) {
		t.Helper()
		if _, err := s.AppendBatch(b); asCode(t, err).Code != code {
			t.Fatal(err)
		}
	}
	f(buildBatch(t, other.Info().Shards[0].ID, batch.CodecRaw, numbered(1)), CodeStaleRoute)
	f(buildBatch(t, 4711, batch.CodecRaw, numbered(1)), CodeStaleRoute)
	f(buildBatch(t, 1<<31, batch.CodecRaw, numbered(1)), CodeStaleRoute)
	f(nil, CodeInvalidArgument)
	empty := bytes.Clone(buildBatch(t, s.Info().Shards[0].ID, batch.CodecRaw, numbered(1)))
	empty[14], empty[15] = 0, 0
	f(empty, CodeInvalidArgument)
	if err := s.Split(context.Background(), "0", "5"); err != nil {
		t.Fatal(err)
	}
	f(buildBatch(t, s.Info().Shards[0].ID, batch.CodecRaw, numbered(1)), CodeStaleRoute)
}

// A producer whose sums are right and whose records are not must not stop the shard's readers for ever.
func TestMalformedBatch(t *testing.T) {
	e := openTest(t, Options{RingSize: smallRing})
	s := createTest(t, e, "s", 1)
	id := s.Info().Shards[0].ID
	seal := func(b batch.Batch) batch.Batch {
		binary.LittleEndian.PutUint64(b[72:], xxhash.Sum64(b.Body()))
		return b
	}
	put(t, s, rec("k", "before"))
	middle := bytes.Clone(buildBatch(t, id, batch.CodecRaw, []Record{rec("k", "first"), rec("k", "second"), rec("k", "third")}))
	binary.LittleEndian.PutUint16(middle[batch.HeaderLen+8:], 0x7fff) // the second record's key ends beyond it
	packed := bytes.Clone(buildBatch(t, id, batch.CodecZstd, numbered(400)))
	if batch.Batch(packed).Codec() != batch.CodecZstd {
		t.Fatal("not compressed")
	}
	for i := range 20 {
		packed[batch.HeaderLen+30+i] ^= 0x55
	}
	for _, b := range []batch.Batch{middle, packed} {
		if _, err := batch.Check(seal(b), batch.MaxLen); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AppendBatch(b); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, rec("k", "after"))
	for _, limit := range []int{0, 1} {
		all, _ := readShard(t, s, 0, limit)
		var data []string
		for _, g := range all {
			data = append(data, g.data)
		}
		if len(data) < 3 || data[0] != "before" || data[1] != "first" || data[len(data)-1] != "after" {
			t.Fatalf("%q", data)
		}
	}
	if e.Malformed() == 0 {
		t.Fatal("nothing was counted")
	}
}

// Records from empty to the largest, with and without explicit hash keys.
func TestRecordSizes(t *testing.T) {
	e := openTest(t, Options{RingSize: 64 << 20})
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 2, MaxRecordBytes: MaxRecordBytes})
	low := hashkey.Key{}
	var recs []Record
	for _, n := range []int{0, 1, 100, 1<<20 - 1, 1 << 20, appendLimit - batchOverhead, appendLimit, 3 << 20, MaxRecordBytes - 1, 5, 1 << 20, 7} {
		data := bytes.Repeat([]byte{byte(n), byte(n >> 8), byte(n >> 16)}, n/3+1)[:n]
		recs = append(recs, Record{Key: []byte("k"), Data: data, Explicit: &low})
	}
	where := put(t, s, recs...)
	all, _ := readShard(t, s, 0, 0)
	if len(all) != len(recs) {
		t.Fatalf("%d records, want %d", len(all), len(recs))
	}
	for i, g := range all {
		if g.data != string(recs[i].Data) || g.seq != where[i].Sequence {
			t.Fatalf("record %d of %d bytes is wrong", i, len(recs[i].Data))
		}
	}
	// One page never has more than 10 MiB, but always a record.
	token, err := s.Iterator("0", TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for token != "" {
		p, err := e.Records(context.Background(), token, 0)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, r := range p.Records {
			size += len(r.Data) + len(r.Key)
		}
		if size > MaxPageBytes {
			t.Fatalf("a page of %d bytes", size)
		}
		n, next := len(p.Records), p.Next
		p.Release()
		p.Release() // does nothing
		if n == 0 {
			break
		}
		pages, token = pages+1, next
	}
	if pages < 3 {
		t.Fatalf("%d pages", pages)
	}
	f := func(r Record) {
		t.Helper()
		err := s.Append(context.Background(), []Record{rec("k", "fine"), r}, LevelMem, make([]Appended, 2))
		if asCode(t, err).Code != CodeValidation {
			t.Fatal(err)
		}
	}
	f(Record{Key: []byte("k"), Data: make([]byte, MaxRecordBytes)})
	f(Record{Data: []byte("x")})
	f(Record{Key: make([]byte, batch.MaxKeyLen+1)})
	if err := s.Append(context.Background(), nil, LevelMem, nil); err != nil {
		t.Fatal(err)
	}
}

// A full ring throttles what does not fit, keeps the order of what does, and says which is which.
func TestThrottled(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	e := openTest(t, Options{FS: disk, Dir: "data", RingSize: 64 << 10, SegmentSize: 64 << 10})
	level := LevelMem
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 2, Durability: &level})
	stall := make(chan struct{})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWriteAt || op.Kind == vfs.OpSyncData {
			<-stall
		}
		return nil
	})
	recs := make([]Record, 30)
	for i := range recs {
		recs[i] = Record{Key: fmt.Appendf(nil, "k%d", i), Data: fmt.Appendf(make([]byte, 5000), "%d", i)}
	}
	out := make([]Appended, len(recs))
	err := s.Append(context.Background(), recs, LevelMem, out)
	close(stall)
	if err != nil {
		t.Fatal(err)
	}
	failed, ok := map[uint32]bool{}, 0
	routes := s.routes.Load()
	for i, a := range out {
		sh := routes.shards[routes.find(hashkey.MD5.Of(recs[i].Key))].index
		if a.Err == nil {
			if failed[sh] || a.Shard != sh {
				t.Fatalf("record %d was appended after an earlier one of its shard failed", i)
			}
			ok++
			continue
		}
		failed[sh] = true
		wantError(t, a.Err, CodeThrottled, fmt.Sprintf("Rate exceeded for shard %s in stream s under account 000000000000.", ShardID(sh)))
	}
	if ok == 0 || len(failed) == 0 {
		t.Fatalf("%d appended, %d shards throttled", ok, len(failed))
	}
	if err := e.Wait(context.Background(), e.Watermarks().Published, LevelDisk); err != nil {
		t.Fatal(err)
	}
	if n := len(readAll(t, s, 0)); n != ok {
		t.Fatalf("%d records, %d were acknowledged", n, ok)
	}
}

// A request may ask for more than the stream's durability, never for less.
func TestDurabilityIsAFloor(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	e := openTest(t, testOptions(disk))
	f := func(stream, ask, want Level) {
		t.Helper()
		s := createWith(t, e, CreateStream{Name: Name{Stream: fmt.Sprintf("s%d%d", stream, ask)}, Shards: 1, Durability: &stream})
		out := put1(t, s, rec("a", "b"), ask)
		w := e.Watermarks()
		reached := map[Level]uint64{LevelMem: w.Published, LevelOS: w.Written, LevelDisk: w.Durable}[want]
		if reached <= out.Sequence.Position {
			t.Fatalf("stream %d, asked %d: %+v, the record is at %d", stream, ask, w, out.Sequence.Position)
		}
	}
	for stream := LevelDisk; stream <= LevelMem; stream++ {
		for ask := LevelDisk; ask <= LevelMem; ask++ {
			f(stream, ask, min(stream, ask))
		}
	}
	// And with a stalled disk only LevelMem of a LevelMem stream returns.
	stall := make(chan struct{})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData {
			<-stall
		}
		return nil
	})
	s, err := e.Stream(Name{Stream: "s22"})
	if err != nil {
		t.Fatal(err)
	}
	put1(t, s, rec("a", "mem"), LevelMem)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	out := make([]Appended, 1)
	err = s.Append(ctx, []Record{rec("a", "disk")}, LevelDisk, out)
	cancel()
	if err != nil || out[0].Err == nil {
		t.Fatalf("%+v %v: acknowledged without a sync", out[0], err)
	}
	close(stall)
}

func put1(t *testing.T, s *Stream, r Record, level Level) Appended {
	t.Helper()
	out := make([]Appended, 1)
	if err := s.Append(context.Background(), []Record{r}, level, out); err != nil {
		t.Fatal(err)
	}
	if out[0].Err != nil {
		t.Fatal(out[0].Err)
	}
	return out[0]
}

// Ten thousand shards cost memory and nothing else: no goroutine, no file.
func TestManyShards(t *testing.T) {
	fsys := vfs.NewMem(0)
	e := openTest(t, testOptions(fsys))
	createTest(t, e, "warm-up", 1)
	count := func() (goroutines, files int, heap uint64) {
		for _, dir := range []string{"data/" + catalogDir, "data/" + laneDir} {
			names, err := fsys.List(dir)
			if err != nil {
				t.Fatal(err)
			}
			files += len(names)
		}
		for range 3 { // what pools of earlier tests hold takes two
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), files, m.HeapAlloc
	}
	goroutines, files, heap := count()
	const n = 10000
	s := createTest(t, e, "large", n)
	g, f, h := count()
	if g > goroutines || f > files+2 { // the lane prepares its next segment when it likes
		t.Fatalf("%d goroutines and %d files more", g-goroutines, f-files)
	}
	perShard := (int64(h) - int64(heap)) / n
	t.Logf("%d bytes per idle shard", perShard)
	if perShard > 700 { // the log of the catalog lies in this disk's memory too
		t.Fatalf("%d bytes per idle shard", perShard)
	}
	put(t, s, benchRecords(500, 20)...)
	if err := s.Split(context.Background(), "5000", s.Info().Shards[5000].Range.Mid().String()); err != nil {
		t.Fatal(err)
	}
	put(t, s, benchRecords(500, 20)...)
}

// Several consumers of one compressed shard share its decompressed batches, at once and in small pages.
func TestBodyCache(t *testing.T) {
	e := openTest(t, Options{RingSize: 64 << 20})
	s := createTest(t, e, "s", 1)
	id := s.Info().Shards[0].ID
	const batches, perBatch = 30, 300
	for i := range batches {
		recs := make([]Record, perBatch)
		for n := range recs {
			recs[n] = rec("k", fmt.Sprintf("%d/%d %s", i, n, bytes.Repeat([]byte("x"), 5000))) // 45 MB in all, more than the cache
		}
		if _, err := s.AppendBatch(buildBatch(t, id, batch.CodecZstd, recs)); err != nil {
			t.Fatal(err)
		}
	}
	token, err := s.Iterator("0", TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			at, n := token, 0
			for {
				p, err := e.Records(context.Background(), at, 70+c)
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range p.Records {
					if want := fmt.Appendf(nil, "%d/%d x", n/perBatch, n%perBatch); !bytes.HasPrefix(r.Data, want) {
						t.Errorf("consumer %d, record %d: %.20q", c, n, r.Data)
						return
					}
					n++
				}
				done := len(p.Records) == 0
				at = p.Next
				p.Release()
				if done {
					break
				}
			}
			if n != batches*perBatch {
				t.Errorf("consumer %d read %d records", c, n)
			}
		})
	}
	wg.Wait()
	c := &e.bodies
	c.mu.Lock()
	defer c.mu.Unlock()
	size, listed := 0, 0
	for b := c.newest; b != nil; b = b.older {
		size, listed = size+b.size, listed+1
		if b.refs.Load() != 1 {
			t.Errorf("a body is held %d times after all pages were released", b.refs.Load())
		}
	}
	if size != c.size || listed != len(c.bodies) || c.size > cachedBodies || listed == 0 {
		t.Fatalf("%d bytes in %d listed bodies, the cache says %d in %d", size, listed, c.size, len(c.bodies))
	}
}

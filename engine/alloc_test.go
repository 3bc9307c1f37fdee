package engine

import (
	"context"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
)

// The hot paths allocate nothing per record, and AppendBatch nothing at all. What the lane's index grows by is amortised
// and shows as a fraction.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	e := openTest(t, Options{RingSize: 16 << 20})
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 4, Routing: hashkey.XXH64})
	f := func(name string, limit float64, run func()) {
		t.Helper()
		run() // pools fill
		run()
		if n := testing.AllocsPerRun(200, run); n > limit {
			t.Errorf("%s allocates %.2f times, the limit is %.2f", name, n, limit)
		}
	}
	for _, n := range []int{1, 500} {
		recs, out := benchRecords(n, 100), make([]Appended, n)
		f("Append", 0.5, func() {
			if err := s.Append(context.Background(), recs, LevelMem, out); err != nil {
				t.Fatal(err)
			}
		})
		for i := range out {
			if out[i].Err != nil {
				t.Fatal(out[i].Err)
			}
		}
	}
	id := s.Info().Shards[0].ID
	raw, packed := buildBatch(t, id, batch.CodecRaw, benchRecords(300, 100)), buildBatch(t, id, batch.CodecZstd, benchRecords(300, 100))
	f("AppendBatch", 0.5, func() {
		if _, err := s.AppendBatch(raw); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AppendBatch(packed); err != nil {
			t.Fatal(err)
		}
	})
	var dst []byte
	from, err := s.Seek(id, TrimHorizon, 0, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	f("ReadBatches", 0, func() {
		var err error
		if dst, _, _, err = s.ReadBatches(dst[:0], id, from, 256<<10); err != nil || len(dst) == 0 {
			t.Fatal(len(dst), err)
		}
	})
	token, err := s.Iterator("0", TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 10, 10000} {
		f("Records", 10, func() { // page, tokens: the same for any number of records
			p, err := e.Records(context.Background(), token, limit)
			if err != nil || len(p.Records) < min(limit, 300) {
				t.Fatal(err)
			}
			p.Release()
		})
	}
	f("stale AppendBatch", 0, func() {
		if _, err := s.AppendBatch(packed[:batch.HeaderLen-1]); err == nil {
			t.Fatal("accepted")
		}
	})
}

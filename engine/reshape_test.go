package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/internal/vfs"
)

func TestSplitMerge(t *testing.T) {
	ctx := context.Background()
	fsys := vfs.NewMem(0)
	e, err := Open(testOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	s := createTest(t, e, "s", 2)
	recs := numbered(200)
	put(t, s, recs...)
	mid := s.Info().Shards[0].Range.Mid()
	if err := s.Split(ctx, "0", mid.String()); err != nil {
		t.Fatal(err)
	}
	put(t, s, recs...)
	if err := s.Merge(ctx, "3", "1"); err != nil { // the upper half of 0, and 1
		t.Fatal(err)
	}
	put(t, s, recs...)
	checkSplitMerge(t, s, recs, mid)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openTest(t, testOptions(fsys))
	s, err = e.Stream(Name{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	checkSplitMerge(t, s, recs, mid)
}

// checkSplitMerge checks what TestSplitMerge has made: 0 split into 2 and 3, then 3 and 1 merged into 4.
func checkSplitMerge(t *testing.T, s *Stream, recs []Record, mid hashkey.Key) {
	t.Helper()
	info := s.Info()
	f := func(index uint32, open bool, parent, adjacent int32, first, last hashkey.Key) {
		t.Helper()
		sh := info.Shard(index)
		if sh.Open() != open || sh.Parent != parent || sh.AdjacentParent != adjacent || sh.Range != (hashkey.Range{First: first, Last: last}) {
			t.Fatalf("%+v", *sh)
		}
	}
	f(0, false, -1, -1, hashkey.Key{}, hashkey.Full().Mid().Prev())
	f(1, false, -1, -1, hashkey.Full().Mid(), hashkey.Max())
	f(2, true, 0, -1, hashkey.Key{}, mid.Prev())
	f(3, false, 0, -1, mid, hashkey.Full().Mid().Prev())
	f(4, true, 3, 1, mid, hashkey.Max())
	for _, sh := range info.Shards {
		for _, p := range []int32{sh.Parent, sh.AdjacentParent} {
			if p < 0 {
				continue
			}
			parent := info.Shard(uint32(p))
			if sh.CreatedSeconds <= parent.ClosedSeconds || sh.Start < parent.End {
				t.Fatalf("child %+v of %+v", sh, *parent)
			}
			end := sequence.End(parent.CreatedSeconds, parent.Index, parent.ClosedSeconds)
			if start := sequence.Start(sh.CreatedSeconds, sh.Index); start.String() <= end.String() {
				t.Fatalf("the child begins at %v, its parent ends at %v", start, end)
			}
		}
	}
	checkThrice(t, s, recs)
	_, children := readShard(t, s, 0, 0)
	if len(children) != 2 || children[0].Index != 2 || children[1].Index != 3 {
		t.Fatalf("children of 0: %+v", children)
	}
	_, children = readShard(t, s, 1, 10)
	if len(children) != 1 || children[0].Index != 4 || children[0].Parent != 3 || children[0].AdjacentParent != 1 {
		t.Fatalf("children of 1: %+v", children)
	}
	token, err := s.Iterator("1", Latest, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.e.Records(context.Background(), token, 0)
	if err != nil || p.Next != "" || len(p.Records) != 0 || len(p.Children) != 1 || p.MillisBehind != 0 {
		t.Fatalf("LATEST of a closed shard: %+v, %v", p, err)
	}
	p.Release()
}

// checkThrice makes sure that each record is there three times, and each key's in order.
func checkThrice(t *testing.T, s *Stream, recs []Record) {
	t.Helper()
	all := readAll(t, s, 64)
	if len(all) != 3*len(recs) {
		t.Fatalf("%d records, want %d", len(all), 3*len(recs))
	}
	last := map[string]string{} // a key's records have rising sequence numbers, through splits and merges
	count := map[string]int{}
	for _, g := range all {
		n := g.seq.String()
		if n <= last[g.key] {
			t.Fatalf("key %s: %s after %s", g.key, n, last[g.key])
		}
		last[g.key] = n
		count[g.data]++
	}
	for _, r := range recs {
		if count[string(r.Data)] != 3 {
			t.Fatalf("%q came %d times", r.Data, count[string(r.Data)])
		}
	}
}

// The rules of UpdateShardCount: equal ranges, complete lineage, no hole.
func TestReshard(t *testing.T) {
	e := openTest(t, Options{RingSize: smallRing})
	f := func(counts []int, created int) {
		t.Helper()
		s := createTest(t, e, fmt.Sprint(counts), counts[0])
		for _, target := range counts[1:] {
			if err := s.Reshard(context.Background(), target); err != nil {
				t.Fatalf("%v to %d: %v", counts, target, err)
			}
			info := s.Info()
			open := openByRange(info)
			if len(open) != target {
				t.Fatalf("%v: %d open shards, want %d", counts, len(open), target)
			}
			for i, want := range hashkey.Even(target) {
				at := open[i].Range.First
				off := at.Sub(want.First)
				if at.Less(want.First) {
					off = want.First.Sub(at)
				}
				if off.Hi != 0 || off.Lo > reshardSlack {
					t.Fatalf("%v: shard %d begins at %v, want %v", counts, i, at, want.First)
				}
			}
			checkLineage(t, info)
		}
		if n := len(s.Info().Shards); created > 0 && n != created {
			t.Fatalf("%v: %d shards in all, want %d", counts, n, created)
		}
		if err := e.DeleteStream(context.Background(), s.name); err != nil {
			t.Fatal(err)
		}
	}
	f([]int{2, 4}, 6)
	f([]int{4, 2}, 6)
	f([]int{2, 2}, 2)
	f([]int{1, 2, 4, 8, 16, 8, 4, 2, 1}, 0)
	f([]int{4, 5}, 15) // four cuts, three merges
	f([]int{3, 6, 3}, 12)
	f([]int{10, 13, 7, 14, 11}, 0)
	f([]int{5, 10, 20, 40, 80, 97, 49, 50}, 0)
	f([]int{1000, 2000, 1001}, 0)
}

// checkLineage makes sure that each closed shard's range is that of its children, and each shard that is not of the
// beginning has its parents.
func checkLineage(t *testing.T, info *StreamInfo) {
	t.Helper()
	first := 0
	for _, sh := range info.Shards {
		if sh.Parent < 0 {
			first++
		}
		for _, p := range []int32{sh.Parent, sh.AdjacentParent} {
			if p >= 0 && (info.Shard(uint32(p)).Open() || info.Shard(uint32(p)).ClosedSeconds >= sh.CreatedSeconds) {
				t.Fatalf("%+v has parent %+v", sh, *info.Shard(uint32(p)))
			}
		}
		if sh.Open() {
			continue
		}
		children := info.Children(sh.Index)
		if len(children) == 0 {
			t.Fatalf("closed shard %d has no children", sh.Index)
		}
		at := sh.Range.First
		for _, c := range children {
			part, ok := c.Range.Intersect(sh.Range)
			if !ok || part.First != at {
				t.Fatalf("children of %d leave a hole at %v", sh.Index, at)
			}
			at = part.Last.Next()
		}
		if at != sh.Range.Last.Next() {
			t.Fatalf("children of %d end at %v", sh.Index, at)
		}
	}
	if first == 0 {
		t.Fatal("no first shards")
	}
}

// A stream with uneven shards routes as its ranges say.
func TestRouteUneven(t *testing.T) {
	e := openTest(t, Options{RingSize: smallRing})
	s := createTest(t, e, "s", 3)
	for i := range 40 { // ever smaller shards at the low end
		info := s.Info()
		low := openByRange(info)[i/20]
		if err := s.Split(context.Background(), ShardID(low.Index), low.Range.Mid().String()); err != nil {
			t.Fatal(err)
		}
	}
	routes, info := s.routes.Load(), s.Info()
	keys := []hashkey.Key{{}, hashkey.Max()}
	for _, sh := range info.Shards {
		keys = append(keys, sh.Range.First, sh.Range.First.Next(), sh.Range.Last, sh.Range.First.Prev(), sh.Range.Mid())
	}
	for _, k := range keys {
		sh := routes.shards[routes.find(k)]
		if i := info.Shard(sh.index); !i.Open() || !i.Range.Contains(k) || i.ID != sh.id {
			t.Fatalf("%v goes to %+v", k, *i)
		}
	}
}

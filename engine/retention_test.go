package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Expired records are hidden at once, whether or not their segment has gone; a longer period shows them again.
func TestRetentionHides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		e := openTest(t, testOptions(vfs.NewMem(0)))
		s := createTest(t, e, "s", 1)
		f := func(want ...string) {
			t.Helper()
			all, _ := readShard(t, s, 0, 1)
			dst, _, _, err := s.ReadBatches(nil, s.Info().Shards[0].ID, 0, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			batches := 0
			for b := batch.Batch(dst); len(b) > 0; b = b[b.Len():] {
				batches++
			}
			if len(all) != len(want) || batches != len(want) {
				t.Fatalf("%v and %d batches, want %v", all, batches, want)
			}
			for i, g := range all {
				if g.data != want[i] {
					t.Fatalf("%v, want %v", all, want)
				}
			}
		}
		put(t, s, rec("a", "1"))
		time.Sleep(20 * time.Hour)
		put(t, s, rec("a", "2"))
		f("1", "2")
		time.Sleep(4*time.Hour + time.Second)
		f("2")
		if err := s.SetRetention(ctx, 48, true); err != nil {
			t.Fatal(err)
		}
		f("1", "2")
		if err := s.SetRetention(ctx, 24, false); err != nil {
			t.Fatal(err)
		}
		f("2")
		time.Sleep(24 * time.Hour)
		f()
		put(t, s, rec("a", "3"))
		f("3")
	})
}

// Old segments go, as far as no stream needs them; closed shards go with their last record.
func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		fsys := vfs.NewMem(0)
		e := openTest(t, Options{FS: fsys, Dir: "data", RingSize: 64 << 10, SegmentSize: 64 << 10})
		short, long := createTest(t, e, "short", 2), createTest(t, e, "long", 1)
		if err := long.SetRetention(ctx, 48, true); err != nil {
			t.Fatal(err)
		}
		fill := func() {
			t.Helper()
			for range 20 {
				put(t, short, Record{Key: []byte("k"), Data: make([]byte, 8<<10)})
			}
			put(t, long, rec("k", "long"))
		}
		segments := func() int { return len(e.lane.Segments()) }
		fill()
		if err := short.Merge(ctx, "0", "1"); err != nil {
			t.Fatal(err)
		}
		full := segments()
		if full < 3 {
			t.Fatalf("only %d segments", full)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if n := segments(); n != full {
			t.Fatalf("%d segments of %d while a stream may still read them", n, full)
		}
		if n := len(short.Info().Shards); n != 1 || short.Info().Shards[0].Index != 2 {
			t.Fatalf("%d shards are listed", n)
		}
		if n := len(readAll(t, short, 0)); n != 0 {
			t.Fatalf("%d expired records", n)
		}
		if n := len(readAll(t, long, 0)); n != 1 {
			t.Fatalf("%d records of the longer stream", n)
		}
		_, err := short.Iterator("0", TrimHorizon, "", nil)
		wantError(t, err, CodeNotFound, "Shard shardId-000000000000 in stream short under account 000000000000 does not exist")
		fill()
		both := segments()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := segments(); n > both-full+1 {
			t.Fatalf("%d segments are left of %d, of which %d are old", n, both, full)
		}
		if n := len(readAll(t, long, 0)); n != 1 {
			t.Fatalf("%d records of the longer stream", n)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if n := len(readAll(t, long, 0)); n != 0 {
			t.Fatalf("%d expired records", n)
		}
		fill() // the log goes on after a trim
		if n := len(readAll(t, short, 0)); n != 20 {
			t.Fatalf("%d records", n)
		}
	})
}

package lane

import (
	"path"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

// Whatever is appended comes back, from the ring and from files, before and after a reopen.
func TestAppendAndRead(t *testing.T) {
	bothAppenders(t, func(t *testing.T, kind AppenderKind) {
		f := func(o Options, persistent bool) {
			t.Helper()
			o.Appender = kind
			l := open(t, o)
			const shards, batches = 3, 500
			var m maker
			var last Ticket
			for n := range uint64(batches) {
				shard := uint32(n % shards)
				tk := mustAppend(t, l, shard, m.make(t, shard, uint64(shard), n, int(n%700)))
				if tk.Position < last.End || tk.Micros < last.Micros {
					t.Fatalf("ticket %+v after %+v", tk, last)
				}
				last = tk
			}
			mustWait(t, l, last.End, LevelDisk)
			if w := l.Watermarks(); w != (Watermarks{last.End, last.End, last.End}) {
				t.Fatalf("watermarks %+v, want all at %#x", w, last.End)
			}
			check := func() {
				t.Helper()
				for shard := range uint32(shards) {
					for _, maxBytes := range []int{1, 1000, 1 << 20} {
						want := uint64(shard)
						for _, b := range readAll(t, l, shard, maxBytes, LevelDisk) {
							producer, n, err := label(b)
							if !persistent && want == uint64(shard) {
								want = n // the ring keeps only the end
							}
							if err != nil || producer != uint64(shard) || n != want || b.Shard() != shard {
								t.Fatalf("shard %d: batch %d of producer %d, want %d: %v", shard, n, producer, want, err)
							}
							want += shards
						}
						if want < batches {
							t.Fatalf("shard %d, %d bytes at a time: ends before batch %d of %d", shard, maxBytes, want, batches)
						}
					}
				}
			}
			check()
			if !persistent {
				return
			}
			if n := len(l.Segments()); n < 5 {
				t.Fatalf("only %d segments", n)
			}
			for range 2 {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = open(t, o)
				check()
			}
		}
		f(smallOptions(nil), false)
		f(smallOptions(vfs.NewMem(0)), true)
		o := smallOptions(vfs.OS())
		o.Dir = path.Join(t.TempDir(), "a")
		f(o, true)
	})
}

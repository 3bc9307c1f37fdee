package lane

import (
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

// Appending, reading into a buffer that is large enough, and asking for what is known allocate nothing. The index takes a
// piece of memory for thousands of batches, which is below one allocation per run.
func TestNoAllocations(t *testing.T) {
	bothAppenders(t, func(t *testing.T, kind AppenderKind) {
		for _, fsys := range []vfs.FS{nil, vfs.NewMem(0)} {
			l := open(t, Options{FS: fsys, Dir: testDir, RingSize: 16 << 20, SegmentSize: 16 << 20, Appender: kind})
			var mk maker
			b := mk.make(t, 3, 0, 0, 100)
			var last Ticket
			f := func(what string, fn func()) {
				t.Helper()
				if n := testing.AllocsPerRun(500, fn); n != 0 {
					t.Errorf("%s, files %v: %v allocations", what, fsys != nil, n)
				}
			}
			f("append", func() {
				var err error
				if last, err = l.Append(3, b); err != nil {
					t.Fatal(err)
				}
			})
			mustWait(t, l, last.End, LevelDisk)
			buf := make([]byte, 0, 1<<20)
			q := Query{Shard: 3, From: last.Position - 20*uint64(len(b)), MaxBytes: 1 << 16, Level: LevelDisk}
			f("read", func() {
				p, _, err := l.Read(buf[:0], q)
				if err != nil || len(p) != 21*len(b) {
					t.Fatalf("%d bytes, %v", len(p), err)
				}
			})
			f("wait for the past", func() { mustWaitPast(t, l, last.End) })
			f("watermarks", func() { l.Watermarks() })
			f("want", func() { l.Want(last.End, LevelDisk) })
		}
	})
}

func mustWaitPast(t *testing.T, l *Lane, end uint64) {
	t.Helper()
	if err := l.Wait(t.Context(), end, LevelDisk); err != nil {
		t.Fatal(err)
	}
}

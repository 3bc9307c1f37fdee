package lane

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Each benchmark's probe does, in the same run, the least that a machine must do for the same effect. The ratio of two
// lines is what counts; see ARCHITECTURE.md for the floors.

// frameSizes are whole batches: one small record, one ordinary one, a full batch of a producer.
func frameSizes() []int { return []int{224, 1152, 64 << 10} }

// frame makes a batch of exactly size bytes, or the next smaller.
func frame(tb testing.TB, size int) batch.Batch {
	var m maker
	b := m.make(tb, 0, 0, 0, size-batch.HeaderLen-2-3-16-4)
	if len(b) != size {
		tb.Fatalf("frame of %d bytes, want %d", len(b), size)
	}
	return b
}

// parallel runs n calls of f on each of producers goroutines, b.N in all.
func parallel(b *testing.B, producers int, f func(producer, n int)) {
	var wg sync.WaitGroup
	b.ResetTimer()
	for p := range producers {
		n := b.N / producers
		if p == 0 {
			n += b.N % producers
		}
		wg.Go(func() { f(p, n) })
	}
	wg.Wait()
	b.StopTimer()
}

// BenchmarkProbeMemcpy copies frames into a ring like the lane's, each producer its own half.
func BenchmarkProbeMemcpy(b *testing.B) {
	for _, size := range frameSizes() {
		for _, producers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d/%dp", size, producers), func(b *testing.B) {
				src := frame(b, size)
				r, err := newRing(DefaultRingSize)
				if err != nil {
					b.Fatal(err)
				}
				defer unmapRing(r.mem)
				b.SetBytes(int64(size))
				part := len(r.mem) / producers
				parallel(b, producers, func(p, n int) {
					mem := r.mem[p*part : (p+1)*part]
					at := 0
					for range n {
						if at+size > len(mem) {
							at = 0
						}
						copy(mem[at:at+size], src)
						at += size
					}
				})
			})
		}
	}
}

// appendN appends b n times, yielding while the ring is full.
func appendN(tb testing.TB, l *Lane, shard uint32, b batch.Batch, n int) {
	for range n {
		for {
			_, err := l.Append(shard, b)
			if err == nil {
				break
			}
			if !errors.Is(err, ErrBusy) {
				tb.Error(err)
				return
			}
			runtime.Gosched()
		}
	}
}

// BenchmarkAppend appends to a lane without files: the whole way but the disk.
func BenchmarkAppend(b *testing.B) {
	for _, kind := range []AppenderKind{AppenderMutex, AppenderLockFree} {
		name := map[AppenderKind]string{AppenderMutex: "mutex", AppenderLockFree: "lockfree"}[kind]
		for _, size := range frameSizes() {
			for _, producers := range []int{1, 2, 8, 64} {
				b.Run(fmt.Sprintf("%s/%d/%dp", name, size, producers), func(b *testing.B) {
					l := open(b, Options{Appender: kind})
					src := frame(b, size)
					b.SetBytes(int64(size))
					b.ReportAllocs()
					parallel(b, producers, func(p, n int) { appendN(b, l, uint32(p), src, n) })
					if err := l.Close(); err != nil {
						b.Fatal(err)
					}
				})
			}
		}
	}
}

// BenchmarkAppendShards appends to many shards in turn.
func BenchmarkAppendShards(b *testing.B) {
	for _, shards := range []int{16, 10_000} {
		b.Run(fmt.Sprint(shards), func(b *testing.B) {
			l := open(b, Options{})
			src := frame(b, 1152)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for i := range b.N {
				appendN(b, l, uint32(i%shards), src, 1)
			}
		})
	}
}

// BenchmarkAppendOS appends 64 KiB batches and waits at the end until all is written; the probe writes 1 MiB at a time.
func BenchmarkAppendOS(b *testing.B) {
	const size = 64 << 10
	b.Run("probe", func(b *testing.B) {
		f, done := probeFile(b, int64(b.N)*size)
		defer done()
		buf := make([]byte, 1<<20)
		b.SetBytes(size)
		b.ResetTimer()
		for at := int64(0); at < int64(b.N)*size; at += int64(len(buf)) {
			if _, err := f.WriteAt(buf[:min(int64(len(buf)), int64(b.N)*size-at)], at); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lane", func(b *testing.B) { benchmarkDisk(b, Options{}, size, LevelOS) })
}

// BenchmarkAppendDisk appends 64 KiB batches and waits at the end until all is durable; the probe writes and syncs groups.
func BenchmarkAppendDisk(b *testing.B) {
	const size = 64 << 10
	b.Run("probe", func(b *testing.B) {
		f, done := probeFile(b, int64(b.N)*size)
		defer done()
		buf := make([]byte, 16<<20)
		b.SetBytes(size)
		b.ResetTimer()
		for at := int64(0); at < int64(b.N)*size; at += int64(len(buf)) {
			if _, err := f.WriteAt(buf[:min(int64(len(buf)), int64(b.N)*size-at)], at); err != nil {
				b.Fatal(err)
			}
			if err := f.SyncData(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lane", func(b *testing.B) { benchmarkDisk(b, Options{}, size, LevelDisk) })
}

// BenchmarkRecovery scans an unsealed segment of 64 KiB batches that is in the page cache; the probe reads and sums it.
func BenchmarkRecovery(b *testing.B) {
	l := open(b, Options{FS: vfs.OS(), Dir: path.Join(b.TempDir(), "lane")})
	src := frame(b, 64<<10)
	var end uint64
	for range 2048 {
		end = mustAppend(b, l, 0, src).End
	}
	mustWait(b, l, end, LevelOS)
	s := l.segs.all()[0]
	b.Run("probe", func(b *testing.B) {
		buf := make([]byte, 1<<20)
		b.SetBytes(int64(end - s.base))
		for range b.N {
			for at := s.base; at < end; at += uint64(len(buf)) {
				if _, err := s.file.ReadAt(buf, s.offset(at)); err != nil {
					b.Fatal(err)
				}
				xxhash.Sum64(buf)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(end - s.base))
		for range b.N {
			again := &segment{header: s.header, name: s.name}
			if _, at, _, err := again.scan(s.file, s.end()); err != nil || at != end {
				b.Fatal(at, err)
			}
		}
	})
}

func probeFile(b *testing.B, size int64) (f vfs.File, done func()) {
	fsys := vfs.OS()
	f, err := fsys.Create(path.Join(b.TempDir(), "probe"))
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Preallocate(size); err != nil {
		b.Fatal(err)
	}
	return f, func() {
		b.StopTimer()
		_ = f.Close()
	}
}

func benchmarkDisk(b *testing.B, o Options, size int, level Level) {
	o.FS, o.Dir = vfs.OS(), path.Join(b.TempDir(), "lane")
	l := open(b, o)
	src := frame(b, size)
	ctx := context.Background()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var end uint64
	for range b.N {
		for {
			tk, err := l.Append(0, src)
			if err == nil {
				end = tk.End
				break
			}
			if !errors.Is(err, ErrBusy) {
				b.Fatal(err)
			}
			if err := l.WaitSpace(ctx, len(src)); err != nil {
				b.Fatal(err)
			}
		}
		l.Want(end, level)
	}
	if err := l.Wait(ctx, end, level); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

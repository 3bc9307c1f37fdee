package lane

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Read, Next and SeekTime agree with a linear search over what was appended, from every kind of place: the ring, a file of
// an open segment, sealed segments, recovered ones.
func TestFindEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 3))
		mem := vfs.NewMem(0)
		o := smallOptions(mem)
		o.IndexCache = 4000 // some entries, not all
		l := open(t, o)
		const shards = 4
		var lists [shards][]Ticket
		fill := func() {
			var mk maker
			for n := range uint64(250) {
				shard := r.Uint32N(shards - 1) // the last one stays empty
				if n < 50 && shard == 2 {
					shard = 1 // this one begins late
				}
				tk := mustAppend(t, l, shard, mk.make(t, shard, 0, n, r.IntN(500)))
				lists[shard] = append(lists[shard], tk)
				if r.IntN(3) == 0 {
					time.Sleep(time.Duration(r.IntN(5000)) * time.Microsecond)
				}
			}
			mustWait(t, l, l.Watermarks().Published, LevelDisk)
		}
		for range 3 {
			fill()
			for range 2000 {
				findOne(t, l, r, r.Uint32N(shards), lists[:])
			}
			if l.cache.size > o.IndexCache || l.cache.size == 0 {
				t.Fatalf("index cache has %d of %d bytes", l.cache.size, o.IndexCache)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, o)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// findOne asks for a random place in a shard in all three ways.
func findOne(t *testing.T, l *Lane, r *rand.Rand, shard uint32, lists [][]Ticket) {
	t.Helper()
	list := lists[shard]
	top := l.Watermarks().Published
	from := 16384 + r.Uint64N(top-16384+100)
	i := slices.IndexFunc(list, func(tk Ticket) bool { return tk.End > from })
	e, micros, ok, err := l.Next(shard, from, LevelDisk)
	switch {
	case err != nil:
		t.Fatal(err)
	case ok != (i >= 0):
		t.Fatalf("shard %d from %#x: %v, %+v", shard, from, ok, e)
	case ok && (e.Position != list[i].Position || uint64(e.Len) != list[i].End-list[i].Position || micros != list[i].Micros || e.Records != 1):
		t.Fatalf("shard %d from %#x: %+v at %d, want %+v", shard, from, e, micros, list[i])
	}
	maxBytes := r.IntN(3000)
	p, next, err := l.Read([]byte("kept"), Query{Shard: shard, From: from, MaxBytes: maxBytes, Level: LevelDisk})
	if err != nil || string(p[:4]) != "kept" {
		t.Fatal(p, err)
	}
	got, err := split(p[4:])
	if err != nil {
		t.Fatal(err)
	}
	var want []Ticket
	if i >= 0 {
		size := 0
		for _, tk := range list[i:] {
			n := int(tk.End - tk.Position)
			if len(want) > 0 && size+n > maxBytes {
				break
			}
			size += n
			want = append(want, tk)
		}
	}
	if !slices.EqualFunc(got, want, func(b batch.Batch, tk Ticket) bool { return b.Position() == tk.Position }) {
		t.Fatalf("shard %d from %#x, %d bytes: %d batches, want %d", shard, from, maxBytes, len(got), len(want))
	}
	wantNext := max(from, top)
	if len(want) > 0 && want[len(want)-1] != list[len(list)-1] {
		wantNext = want[len(want)-1].End
	}
	if next != wantNext {
		t.Fatalf("shard %d from %#x: goes on at %#x, want %#x", shard, from, next, wantNext)
	}
	at := int64(0)
	if all := slices.Concat(lists...); r.IntN(10) > 0 {
		at = all[r.IntN(len(all))].Micros + int64(r.IntN(3)) - 1
	} else if r.IntN(2) == 0 {
		at = 1 << 60
	}
	wantAt := top
	if i := slices.IndexFunc(list, func(tk Ticket) bool { return tk.Micros >= at }); i >= 0 {
		wantAt = list[i].Position
	}
	if got, err := l.SeekTime(shard, at); err != nil || got != wantAt {
		t.Fatalf("shard %d at time %d: %#x, want %#x: %v", shard, at, got, wantAt, err)
	}
}

// Readers see up to the watermark of their level, no further.
func TestLevelsBoundReaders(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	writing, syncing := make(chan struct{}), make(chan struct{})
	o := smallOptions(disk)
	o.RingSize = 16384
	l := open(t, o)
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWriteAt && op.Off >= headerLen {
			<-writing
		}
		if op.Kind == vfs.OpSyncData && op.Name == testDir+"/"+segmentName(16384)+makingSuffix {
			<-syncing
		}
		return nil
	})
	var mk maker
	tk := mustAppend(t, l, 0, mk.make(t, 0, 0, 0, 100))
	f := func(want ...bool) {
		t.Helper()
		for level, see := range want {
			if got := readAll(t, l, 0, 1000, Level(level)); len(got) == 1 != see {
				t.Errorf("level %d sees %d batches", level, len(got))
			}
			if _, _, ok, err := l.Next(0, 0, Level(level)); ok != see || err != nil {
				t.Errorf("level %d: Next %v, %v", level, ok, err)
			}
		}
	}
	f(false, false, true)
	writing <- struct{}{}
	mustWait(t, l, tk.End, LevelOS)
	f(false, true, true)
	l.Want(tk.End, LevelDisk)
	syncing <- struct{}{}
	mustWait(t, l, tk.End, LevelDisk)
	f(true, true, true)
	close(writing)
	close(syncing)
}

// Trim drops whole sealed segments below a position; a file that is being read goes when the reader is through.
func TestTrim(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	l := open(t, smallOptions(disk))
	var mk maker
	var last Ticket
	for n := range uint64(200) {
		last = mustAppend(t, l, 0, mk.make(t, 0, 0, n, 400))
	}
	mustWait(t, l, last.End, LevelDisk)
	awaitTest(t, func() bool { s := l.Segments(); return s[len(s)-2].Sealed })
	segs := l.Segments()
	files := func() int {
		t.Helper()
		names, err := disk.List(testDir)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, name := range names {
			if _, ok := parseSegmentName(name); ok {
				n++
			}
		}
		return n
	}
	total := files()
	f := func(before uint64, left int, horizon uint64) {
		t.Helper()
		if err := l.Trim(before); err != nil {
			t.Fatal(err)
		}
		if n := files(); n != left || l.Horizon() != horizon {
			t.Fatalf("%d files, horizon %#x, want %d, %#x", n, l.Horizon(), left, horizon)
		}
		got := readAll(t, l, 0, 1<<20, LevelDisk)
		if got[0].Position() < horizon || got[0].Position() > horizon+64 || got[len(got)-1].Position() != last.Position {
			t.Fatalf("reads %#x to %#x", got[0].Position(), got[len(got)-1].Position())
		}
	}
	f(0, total, segs[0].Base)
	f(segs[0].End-1, total, segs[0].Base)
	f(segs[0].End, total-1, segs[1].Base)

	// A reader in segments 1 and 2, the first of which it leaves last.
	for _, i := range []int{0, 1} {
		if !l.segs.all()[i].acquire() {
			t.Fatal("cannot be acquired")
		}
	}
	held := l.segs.all()[:2]
	f(segs[3].End, total-1, segs[4].Base)
	l.releaseSegment(held[1])
	if n := files(); n != total-1 {
		t.Fatalf("%d files: a newer one went before an older one", n)
	}
	if held[1].acquire() {
		t.Fatal("a trimmed segment was acquired")
	}
	l.releaseSegment(held[0])
	if n := files(); n != total-4 {
		t.Fatalf("%d files, want %d", n, total-4)
	}

	// A removal that fails is told by the next Trim, and made up for.
	disk.Inject(vfs.Nth(vfs.OpRemove, disk.Count(vfs.OpRemove)+1, errInjected))
	if err := l.Trim(segs[4].End); !errors.Is(err, errInjected) {
		t.Fatalf("Trim: %v", err)
	}
	f(segs[4].End, total-5, segs[5].Base)
	f(1<<50, files()-(len(l.Segments())-1), l.Segments()[len(l.Segments())-1].Base) // the open one stays
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// Readers at full speed while everything behind them is trimmed: they see no error, no hole but at the start, and no
// file stays.
func TestTrimUnderReaders(t *testing.T) {
	l := open(t, smallOptions(vfs.NewMem(0)))
	var stop atomic.Bool
	var readers sync.WaitGroup
	var read, jumps atomic.Int64
	for range 3 {
		readers.Go(func() {
			for !stop.Load() {
				from, last := uint64(0), uint64(0)
				for {
					p, next, err := l.Read(nil, Query{From: from, MaxBytes: 2000, Level: LevelDisk})
					list, serr := split(p)
					if err := errors.Join(err, serr); err != nil {
						t.Error(err)
						return
					}
					for _, b := range list {
						_, n, err := label(b)
						if err != nil || last != 0 && n <= last {
							t.Errorf("batch %d after %d: %v", n, last, err)
						}
						if last != 0 && n > last+1 {
							jumps.Add(1) // trimmed in front of the reader
						}
						last = n
						read.Add(1)
					}
					if from = next; len(p) == 0 {
						break
					}
				}
			}
		})
	}
	var mk maker
	for n := range uint64(1500) {
		tk := mustAppend(t, l, 0, mk.make(t, 0, 0, n, 500))
		if n%20 == 0 {
			mustWait(t, l, tk.End, LevelDisk)
			if err := l.Trim(tk.End - 2*16384); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop.Store(true)
	readers.Wait()
	if read.Load() == 0 {
		t.Error("nothing was read")
	}
	if h := l.Horizon(); h < 20*16384 {
		t.Errorf("horizon is at %#x", h)
	}
	t.Logf("%d read, %d jumps", read.Load(), jumps.Load())
}

// More sealed segments than files may stay open: reads open and close them.
func TestOpenFilesAreBounded(t *testing.T) {
	o := smallOptions(vfs.NewMem(0))
	l := open(t, o)
	var mk maker
	var last Ticket
	for range (maxOpenFiles + 50) * 17 {
		last = mustAppend(t, l, 0, mk.make(t, 0, 0, 0, 900))
	}
	mustWait(t, l, last.End, LevelDisk)
	for range 2 {
		if got := readAll(t, l, 0, 1<<20, LevelDisk); len(got) != (maxOpenFiles+50)*17 {
			t.Fatalf("%d batches", len(got))
		}
		open, sealed := 0, 0
		for _, s := range l.segs.all() {
			if s.foot.Load() != nil {
				sealed++
				if s.file != nil {
					open++
				}
			}
		}
		if sealed <= maxOpenFiles || open > maxOpenFiles || open != int(l.segs.open.Load()) {
			t.Fatalf("%d sealed, %d open, counted %d", sealed, open, l.segs.open.Load())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = reopen(t, o)
	}
}

func reopen(t *testing.T, o Options) *Lane { return open(t, o) }

func TestOpenRefuses(t *testing.T) {
	f := func(o Options, want error) {
		t.Helper()
		l, err := Open(o)
		if !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", o, err, want)
		}
		if err == nil {
			_ = l.Close()
		}
	}
	f(Options{RingSize: 4097}, ErrInvalid)
	f(Options{RingSize: 2048}, ErrInvalid)
	f(Options{RingSize: -4096}, ErrInvalid)
	f(Options{RingSize: 8192, SegmentSize: 4096}, ErrInvalid)
	f(Options{RingSize: 4096, SegmentSize: 12288}, ErrInvalid)
	f(Options{RingSize: 4096, SegmentSize: 1 << 40}, ErrInvalid)
	f(Options{RingSize: 4096, Appender: 9}, ErrInvalid)
	f(Options{RingSize: 4096, IndexCache: -1}, ErrInvalid)
	f(Options{RingSize: 4096, FS: vfs.NewMem(0)}, ErrInvalid)
	f(Options{RingSize: 4096}, nil)
	mem := vfs.NewMem(0)
	l := open(t, smallOptions(mem))
	f(smallOptions(mem), vfs.ErrLocked)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f(smallOptions(mem), nil)
}

func TestAppendRefuses(t *testing.T) {
	l := open(t, smallOptions(nil))
	var mk maker
	f := func(shard uint32, b batch.Batch, want error) {
		t.Helper()
		if _, err := l.Append(shard, b); !errors.Is(err, want) {
			t.Errorf("shard %d, %d bytes: %v, want %v", shard, len(b), err, want)
		}
	}
	good := mk.make(t, 0, 0, 0, 100)
	f(0, good, nil)
	f(MaxShards-1, good, nil)
	f(MaxShards, good, ErrInvalid)
	f(0, nil, ErrInvalid)
	f(0, good[:95], ErrInvalid)
	f(0, good[:len(good)-1], ErrInvalid)
	f(0, mk.make(t, 0, 0, 0, 1024-batch.HeaderLen-25), nil)
	f(0, mk.make(t, 0, 0, 0, 1024), ErrTooLarge)
	if _, _, err := l.Read(nil, Query{Shard: MaxShards}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, _, err := l.Read(nil, Query{Level: 3}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// A lane opened with other sizes reads what was written with the old ones, and goes on with the new.
func TestSizesChange(t *testing.T) {
	o := smallOptions(vfs.NewMem(0))
	count := 0
	for _, sizes := range [][2]int{{4096, 16384}, {8192, 65536}, {4096, 4096}, {16384, 16384}, {4096, 8192}} {
		o.RingSize, o.SegmentSize = sizes[0], int64(sizes[1])
		l := open(t, o)
		if got := readAll(t, l, 0, 1<<20, LevelDisk); len(got) != count {
			t.Fatalf("%v: %d batches, want %d", sizes, len(got), count)
		}
		var mk maker
		for range 60 {
			mustAppend(t, l, 0, mk.make(t, 0, 0, uint64(count), 500))
			count++
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Extents are found in a run of any length, whatever is in the chunks.
func TestExtentsSeek(t *testing.T) {
	for _, n := range []int{1, 3, 4, 5, 20, 84, 85, 340, 10_000} {
		x := new(openIndex)
		var offs []uint64
		at := uint64(0)
		for i := range n {
			at += rand.Uint64N(4) * 32
			x.add(7, packExtent(at, 96, i%100+1), int64(i))
			offs = append(offs, at)
			at += 96
		}
		r := x.run(7)
		for range 500 {
			from := rand.Uint64N(at + 100)
			x := r.view()
			x.seek(from)
			want := slices.IndexFunc(offs, func(o uint64) bool { return o+96 > from })
			for i := want; i >= 0 && i < min(n, want+10); i++ {
				e, ok := x.next()
				if !ok || extentOffset(e) != offs[i] || extentLen(e) != 96 || extentRecords(e) != i%100+1 {
					t.Fatalf("%d extents, from %d: %d, %v, want %d", n, from, extentOffset(e), ok, offs[i])
				}
			}
			if e, ok := x.peek(); want < 0 && ok {
				t.Fatalf("%d extents, from %d: %d, want none", n, from, extentOffset(e))
			}
		}
		if got := r.view().list(nil); len(got) != n {
			t.Fatalf("%d of %d", len(got), n)
		}
	}
}

// An idle shard costs nothing, one with a single batch in the open segment less than 512 bytes.
func TestMemoryPerShard(t *testing.T) {
	const shards = 10_000
	l := open(t, Options{RingSize: 16 << 20})
	var mk maker
	b := mk.make(t, 0, 0, 0, 100)
	before := l.segs.all()[0].index.Load().size
	for shard := range uint32(shards) {
		mustAppend(t, l, shard, b)
	}
	used := l.segs.all()[0].index.Load().size
	if per := (used - before) / shards; per > 512 || per < 8 {
		t.Errorf("%d bytes per shard", per)
	}
	idle := new(openIndex)
	idle.add(1_000_000, packExtent(0, 96, 1), 1) // a page for its neighbours
	if per := idle.size / idsPerPage; per > 16 {
		t.Errorf("%d bytes per idle shard", per)
	}
	t.Logf("%d bytes per shard with one batch", (used-before)/shards)
}

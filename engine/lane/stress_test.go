package lane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

// stressRun is one run of appenders and readers over a tiny ring.
type stressRun struct {
	t         *testing.T
	l         *Lane
	producers int
	batches   uint64 // per producer, or more until producers have run at the same time
	shards    uint32
	largest   int
	lossy     bool // no files: readers may miss what the ring went over

	appending atomic.Int32 // producers at work, to see that they really overlap
	overlaps  atomic.Int64
	busy      atomic.Int64
	appended  atomic.Int64
	read      atomic.Int64
	done      atomic.Bool
}

// produce appends the producer's batches to shards of its choice and checks its own tickets.
func (s *stressRun) produce(producer uint64, seed uint64) {
	r := rand.New(rand.NewPCG(seed, producer))
	var mk maker
	var last Ticket
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for n := uint64(0); n < s.batches || s.overlaps.Load() == 0 && n < 1000*s.batches; n++ {
		shard := r.Uint32N(s.shards)
		b := mk.make(s.t, shard, producer, n, r.IntN(s.largest))
		for {
			if s.appending.Add(1) > 1 {
				s.overlaps.Add(1)
			}
			tk, err := s.l.Append(shard, b)
			s.appending.Add(-1)
			if err == nil {
				if tk.Position < last.End || tk.Micros < last.Micros || tk.End-tk.Position != uint64(len(b)) {
					s.t.Errorf("producer %d: ticket %+v after %+v", producer, tk, last)
				}
				last = tk
				s.appended.Add(1)
				break
			}
			if !errors.Is(err, ErrBusy) {
				s.t.Error(err)
				return
			}
			s.busy.Add(1)
			if err := s.l.WaitSpace(ctx, len(b)); err != nil {
				s.t.Error(err)
				return
			}
		}
		if r.IntN(16) == 0 {
			if err := s.l.Wait(ctx, last.End, Level(r.IntN(levels))); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// consume follows one shard until the producers are done and everything has been seen, and checks that each producer's
// batches come in order, whole, and at rising positions and times.
func (s *stressRun) consume(shard uint32, level Level, seed uint64) (seen int64) {
	r := rand.New(rand.NewPCG(seed, uint64(shard)))
	last := make(map[uint64]uint64)
	var from, position uint64
	var micros int64
	var buf []byte
	for {
		done := s.done.Load()
		var err error
		var next uint64
		buf, next, err = s.l.Read(buf[:0], Query{Shard: shard, From: from, MaxBytes: 1 + r.IntN(4*s.largest), Level: level})
		if err != nil {
			s.t.Errorf("shard %d from %#x: %v", shard, from, err)
			return seen
		}
		if next < from {
			s.t.Errorf("shard %d: read from %#x goes on at %#x", shard, from, next)
		}
		from = next
		list, err := split(buf)
		if err != nil {
			s.t.Errorf("shard %d: %v", shard, err)
			return seen
		}
		for _, b := range list {
			producer, n, err := label(b)
			if prev, ok := last[producer]; err != nil || ok && n <= prev || b.Shard() != shard {
				s.t.Errorf("shard %d at %#x: batch %d of producer %d after %d: %v", shard, b.Position(), n, producer, prev, err)
				return seen
			}
			if b.Position() < position || b.AppendMicros() < micros {
				s.t.Errorf("shard %d: at %#x, time %d, after %#x, %d", shard, b.Position(), b.AppendMicros(), position, micros)
			}
			last[producer], position, micros = n, b.Position()+1, b.AppendMicros()
			seen++
		}
		if len(list) == 0 && done {
			return seen
		}
		if len(list) == 0 {
			time.Sleep(10 * time.Microsecond)
		}
	}
}

func (s *stressRun) run(seed uint64) {
	s.t.Helper()
	var producers, consumers sync.WaitGroup
	for shard := range s.shards {
		for level := range Level(levels) {
			consumers.Go(func() { s.read.Add(s.consume(shard, level, seed)) })
		}
	}
	for p := range s.producers {
		producers.Go(func() { s.produce(uint64(p), seed) })
	}
	producers.Wait()
	tail := s.l.Watermarks().Published
	mustWait(s.t, s.l, tail, LevelDisk)
	s.done.Store(true)
	consumers.Wait()
	if got, want := s.read.Load(), s.appended.Load()*levels; got > want || got < want && !s.lossy || got == 0 {
		s.t.Errorf("readers saw %d batches, want %d", got, want)
	}
	ring := s.l.ring.size()
	if laps := (tail - uint64(s.l.opts.SegmentSize)) / ring; laps < 20 {
		s.t.Errorf("the ring was gone through %d times only", laps)
	}
	if s.overlaps.Load() == 0 {
		s.t.Error("producers never ran at the same time")
	}
	s.t.Logf("%d laps, %d overlaps, busy %d times, %d batches read", (tail-uint64(s.l.opts.SegmentSize))/ring, s.overlaps.Load(), s.busy.Load(), s.read.Load())
}

// Producers and readers at full speed over a ring that is gone through many times: every record is checked.
func TestStress(t *testing.T) {
	bothAppenders(t, func(t *testing.T, kind AppenderKind) {
		f := func(name string, fsys vfs.FS, ring, largest int) {
			t.Run(name, func(t *testing.T) {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				o := smallOptions(fsys)
				o.Appender, o.RingSize, o.SegmentSize = kind, ring, int64(ring)*2
				l := open(t, o)
				s := &stressRun{t: t, l: l, producers: 4, batches: 600, shards: 3, largest: largest, lossy: fsys == nil}
				s.run(seed)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if fsys == nil {
					return
				}
				o.Appender = AppenderDefault
				l = open(t, o)
				again := 0
				for shard := range s.shards {
					again += len(readAll(t, l, shard, 1<<20, LevelDisk))
				}
				if want := int(s.appended.Load()); again != want {
					t.Errorf("%d batches after reopening, want %d", again, want)
				}
			})
		}
		f("memory", nil, 4096, 900)
		f("files", vfs.NewMem(0), 4096, 900)
		f("memory, sizes small and large", nil, 1<<16, 3*crowdBatch)
		f("files, sizes small and large", vfs.NewMem(0), 1<<16, 3*crowdBatch)
	})
}

// The same calls, one after the other, give the same log whichever appender makes it: same positions, same bytes but for
// the random key and the time, same index, same segments.
func TestAppendersAgree(t *testing.T) {
	for round := range 20 {
		seed := rand.Uint64()
		var logs [2][]string
		for i, kind := range []AppenderKind{AppenderMutex, AppenderLockFree} {
			logs[i] = trace(t, kind, seed)
		}
		if !slices.Equal(logs[0], logs[1]) {
			for j := range min(len(logs[0]), len(logs[1])) {
				if logs[0][j] != logs[1][j] {
					t.Fatalf("round %d, seed %d, entry %d:\nmutex    %s\nlockfree %s", round, seed, j, logs[0][j], logs[1][j])
				}
			}
			t.Fatalf("round %d, seed %d: %d and %d entries", round, seed, len(logs[0]), len(logs[1]))
		}
		if len(logs[0]) < 300 {
			t.Fatalf("only %d entries", len(logs[0]))
		}
	}
}

// trace runs random operations and returns everything that can be observed of the outcome.
func trace(t *testing.T, kind AppenderKind, seed uint64) (log []string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	o := smallOptions(vfs.NewMem(0))
	o.Appender = kind
	l := open(t, o)
	var mk maker
	note := func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
	for n := range uint64(200) {
		switch op := r.IntN(20); {
		case op < 17:
			shard := r.Uint32N(5)
			b := mk.make(t, shard, 1, n, r.IntN(1200)-100)
			var tk Ticket
			var err error
			for { // how often the ring is full is the flusher's business
				if tk, err = l.Append(shard, b); !errors.Is(err, ErrBusy) {
					break
				}
				if err := l.WaitSpace(context.Background(), len(b)); err != nil {
					t.Fatal(err)
				}
			}
			note("append %d bytes to %d: %#x-%#x %v", len(b), shard, tk.Position, tk.End, err)
		case op == 17:
			_, err := l.Append(MaxShards, mk.make(t, 0, 1, n, 10))
			note("shard out of range: %v", err)
		case op == 18:
			end := l.Watermarks().Published
			mustWait(t, l, end, LevelDisk)
			note("wait for %#x", end)
		default:
			end := l.Watermarks().Published
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, o)
			note("closed at %#x, opened at %#x", end, l.Watermarks().Published)
		}
	}
	mustWait(t, l, l.Watermarks().Published, LevelDisk)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	for shard := range uint32(5) {
		for _, b := range readAll(t, l, shard, 1+r.IntN(5000), LevelDisk) {
			_, n, err := label(b)
			note("shard %d has %d at %#x, %d bytes, %d records: %v", shard, n, b.Position(), b.Len(), b.Records(), err)
		}
	}
	for _, s := range l.Segments() {
		note("segment %#x-%#x, %d bytes, sealed %v", s.Base, s.End, s.Bytes, s.Sealed)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return log
}

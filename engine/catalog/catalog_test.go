package catalog

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

func TestReopen(t *testing.T) {
	fsys := vfs.NewMem(0)
	c := openTest(t, fsys)
	secret := c.Secret()
	for i, change := range script() {
		must(t, change(c))
		want, generation := c.All(), c.log.generation
		must(t, c.Close())
		c = openTest(t, fsys)
		if d := same(want, c.All()); d != "" {
			t.Fatalf("after step %d: %s", i, d)
		}
		if c.Secret() != secret || c.log.generation != generation {
			t.Fatalf("after step %d: another secret or generation", i)
		}
	}
	if c.log.generation < 3 {
		t.Fatalf("generation %d: the script did not compact", c.log.generation)
	}
	names, err := fsys.List("data/catalog")
	must(t, err)
	if len(names) != 2 {
		t.Fatalf("the folder holds %v", names)
	}
}

func TestMemoryOnly(t *testing.T) {
	c, err := Open(Options{})
	must(t, err)
	for _, change := range script() {
		must(t, change(c))
	}
	if len(c.All()) != 4 || c.Secret() == [SecretLen]byte{} {
		t.Fatalf("%d streams", len(c.All()))
	}
	must(t, c.Close())
	must(t, c.Close())
	if err := c.Put(newStream(c, "late", 1)); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

// A change must cost what it changes, not what the stream is.
func TestSmallChangeSmallEntry(t *testing.T) {
	c, err := Open(Options{FS: vfs.NewMem(0), Dir: "data/catalog", CompactAt: 1 << 30})
	must(t, err)
	defer func() { must(t, c.Close()) }()
	s := newStream(c, "large", 10000)
	must(t, c.Put(s))
	whole := c.log.size
	f := func(name string, next *StreamInfo, limit int64) {
		t.Helper()
		before := c.log.size
		must(t, c.Put(next))
		if n := c.log.size - before; n > limit || n == 0 && limit > 0 {
			t.Fatalf("%s wrote %d bytes, the stream was %d", name, n, whole)
		}
	}
	s = split(c, s, 5000)
	f("split", s, 512)
	s = s.Clone()
	s.Tags["a"] = "b"
	f("tags", s, 128)
	s = s.Clone()
	s.Status = Updating
	f("status", s, 128)
	f("nothing", s.Clone(), 0)
	before := c.log.size
	must(t, c.Remove(s.ID))
	if n := c.log.size - before; n > 32 {
		t.Fatalf("remove wrote %d bytes", n)
	}
}

func TestIDsNeverComeAgain(t *testing.T) {
	fsys := vfs.NewMem(0)
	streams, shards := map[uint32]bool{}, map[uint32]bool{}
	c := openTest(t, fsys)
	for round := range 60 {
		s := newStream(c, fmt.Sprintf("s%d", round), 3)
		if streams[s.ID] {
			t.Fatalf("stream id %d again", s.ID)
		}
		streams[s.ID] = true
		for _, sh := range s.Shards {
			if shards[sh.ID] {
				t.Fatalf("shard id %d again", sh.ID)
			}
			shards[sh.ID] = true
		}
		must(t, c.Put(s))
		must(t, c.Remove(s.ID))
		if round%7 == 0 {
			must(t, c.Close())
			c = openTest(t, fsys)
		}
	}
	if c.log.generation < 2 {
		t.Fatal("no compaction happened")
	}
}

func TestRefused(t *testing.T) {
	c := openTest(t, vfs.NewMem(0))
	s := newStream(c, "a", 4)
	must(t, c.Put(s))
	size := c.log.size
	f := func(want error, change func(s *StreamInfo)) {
		t.Helper()
		n := s.Clone()
		change(n)
		if err := c.Put(n); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	f(ErrInvalid, func(s *StreamInfo) { s.ID = 0 })
	f(ErrInvalid, func(s *StreamInfo) { s.Status = "" })
	f(ErrInvalid, func(s *StreamInfo) { s.Name.Stream = "b" })
	f(ErrInvalid, func(s *StreamInfo) { s.Name.Stream = "" })
	f(ErrInvalid, func(s *StreamInfo) { s.Shards = s.Shards[1:] })
	f(ErrInvalid, func(s *StreamInfo) { s.Shards = nil })
	f(ErrInvalid, func(s *StreamInfo) { s.Shards[0].ClosedSeconds = 1 })
	f(ErrInvalid, func(s *StreamInfo) { s.Shards[1].Range.Last = s.Shards[1].Range.Last.Next() })
	f(ErrInvalid, func(s *StreamInfo) { s.Shards[0], s.Shards[1] = s.Shards[1], s.Shards[0] })
	f(ErrInvalid, func(s *StreamInfo) { s.Shards[1].ID = s.Shards[0].ID })
	f(ErrInvalid, func(s *StreamInfo) { s.NextIndex = 3 })
	f(ErrTaken, func(s *StreamInfo) { s.ID = 77 })
	if c.log.size != size || c.Err() != nil || c.Get(s.Name) != s {
		t.Fatal("a refused change left something behind")
	}
	must(t, c.Remove(4711))
}

// Readers run while a writer writes; under -race this also shows that they need no lock.
func TestReadersDuringWrites(t *testing.T) {
	c := openTest(t, vfs.NewMem(0))
	s := newStream(c, "busy", 2)
	must(t, c.Put(s))
	name := s.Name
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var reads [2]int
	for i := range reads {
		wg.Go(func() {
			last := uint16(0)
			for {
				got := c.Get(name)
				if got.RouteEpoch < last || got.OpenShards() != int(got.RouteEpoch)+1 || len(c.All()) != 1 {
					t.Errorf("epoch %d after %d with %d open shards", got.RouteEpoch, last, got.OpenShards())
					return
				}
				last = got.RouteEpoch
				reads[i]++
				select {
				case <-stop:
					return
				default: // go on
				}
			}
		})
	}
	for range 100 {
		s = split(c, s, len(s.Shards)-1)
		must(t, c.Put(s))
	}
	close(stop)
	wg.Wait()
	for i, n := range reads {
		if n == 0 {
			t.Fatalf("reader %d read nothing", i)
		}
	}
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/engine/lane"
	"github.com/shardmill/shardmill/internal/vfs"
)

// image is a disk as a crash would have left it, and what had been acknowledged by then.
type image struct {
	disk  *vfs.Mem
	acks  int
	power bool // power loss; otherwise a kill
	op    vfs.Op
}

const maxImages = 30

// photographer clones a disk at some of its operations.
type photographer struct {
	mem *vfs.Mem
	l   *ledger

	mu     sync.Mutex // guards the following
	r      *rand.Rand
	images []image
	oneIn  map[vfs.Kind]int
}

// before is the injection: op is about to happen.
func (p *photographer) before(op vfs.Op) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.oneIn[op.Kind]
	if strings.Contains(op.Name, catalogDir) {
		one = min(one, 2) // in the middle of a split or merge
	}
	if !ok || p.r.IntN(one) != 0 || len(p.images) >= maxImages {
		return nil
	}
	acks := p.l.len() // before the clone: what is acknowledged now must be on it
	power := p.r.IntN(2) == 0
	var disk *vfs.Mem
	if power {
		disk = p.mem.CrashClone(p.r, []float64{0, 0.5, 1}[p.r.IntN(3)])
	} else {
		disk = p.mem.KillClone()
	}
	p.images = append(p.images, image{disk, acks, power, op})
	return nil
}

// The disk is photographed at random operations while records are appended and shards split, merged and resharded. Each
// picture must open; everything acknowledged by then must be there, each key's chain whole, no sequence number twice, and
// none of those that were ever handed out may be handed out again.
func TestCrash(t *testing.T) {
	f := func(name string, level Level, appender lane.AppenderKind, seed uint64) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem(0)
			disk := vfs.NewFaulty(mem)
			l := &ledger{}
			p := &photographer{mem: mem, l: l, r: rand.New(rand.NewPCG(seed, 1)), oneIn: map[vfs.Kind]int{
				vfs.OpWriteAt: 30, vfs.OpSyncData: 30, vfs.OpCreate: 1, vfs.OpRename: 1, vfs.OpSyncDir: 1, vfs.OpRemove: 1, vfs.OpTruncate: 1,
			}}
			o := Options{FS: disk, Dir: "data", RingSize: 256 << 10, SegmentSize: 512 << 10, Appender: appender}
			e := openTest(t, o)
			s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 2, Durability: &level})
			disk.Inject(p.before)
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			var wg sync.WaitGroup
			for w := range 2 {
				wg.Go(func() {
					if err := writeChains(ctx, s, w, 5, level, l, time.Millisecond); err != nil {
						t.Errorf("writer %d: %v", w, err)
					}
				})
			}
			changes, err := churn(ctx, s, 3*time.Millisecond)
			if err != nil {
				t.Error(err)
			}
			wg.Wait()
			disk.Inject(nil)
			acks := l.copy()
			verifyChains(t, s, acks)
			if changes < 3 || len(acks) < 100 || len(p.images) < maxImages/2 {
				t.Fatalf("only %d changes, %d records, %d images", changes, len(acks), len(p.images))
			}
			for _, i := range p.images {
				survivesCrash(t, i, o, acks[:i.acks], level)
			}
			t.Logf("%d changes, %d records, %d images", changes, len(acks), len(p.images))
		})
	}
	f("disk", LevelDisk, lane.AppenderMutex, 1)
	f("disk lock-free", LevelDisk, lane.AppenderLockFree, 2)
	f("os", LevelOS, lane.AppenderMutex, 3)
	f("mem", LevelMem, lane.AppenderLockFree, 4)
}

func survivesCrash(t *testing.T, i image, o Options, acks []acked, level Level) {
	t.Helper()
	o.FS = i.disk
	e, err := Open(o)
	if err != nil {
		t.Fatalf("power %v, before %v %s: %v", i.power, i.op.Kind, i.op.Name, err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := e.Stream(Name{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	handedOut := map[uint64]bool{} // what somebody has seen by then, durable or not
	for _, a := range acks {
		handedOut[a.seq.Position] = true
	}
	if level == LevelMem || level == LevelOS && i.power {
		acks = nil // not promised
	}
	for seq := range verifyChains(t, s, acks) {
		handedOut[seq.Position] = true
	}
	checkLineage(t, s.Info())
	recs := make([]Record, 50)
	for n := range recs {
		recs[n] = rec(fmt.Sprintf("after-%d", n), "x")
	}
	for _, a := range put(t, s, recs...) {
		if handedOut[a.Sequence.Position] {
			t.Fatalf("position %d is handed out twice", a.Sequence.Position)
		}
	}
}

// Each operation fails once under a script of appends and control operations. What was acknowledged is there after a
// reopen, and the failure reached somebody.
func TestEachOperationFailsOnce(t *testing.T) {
	boom := errors.New("boom")
	failures, noticed := 0, 0
	for _, kind := range vfs.Kinds() {
		for nth := uint64(1); nth < 40; nth++ {
			mem := vfs.NewMem(0)
			disk := vfs.NewFaulty(mem)
			disk.Inject(vfs.Nth(kind, nth, boom))
			o := Options{FS: disk, Dir: "data", RingSize: 64 << 10, SegmentSize: 128 << 10}
			l := &ledger{}
			err := faultScript(t, o, l)
			if disk.Count(kind) < nth {
				break
			}
			failures++
			if err != nil {
				noticed++
			}
			disk.Inject(nil)
			o.FS = mem
			e, err := Open(o)
			if err != nil {
				t.Fatalf("%v %d: %v", kind, nth, err)
			}
			if s, err := e.Stream(Name{Stream: "s"}); err == nil {
				verifyChains(t, s, l.acks)
			} else if len(l.acks) > 0 {
				t.Fatalf("%v %d: the stream is gone", kind, nth)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if failures < 100 || noticed < failures/2 {
		t.Fatalf("%d failures, %d of them noticed", failures, noticed)
	}
	t.Logf("%d failures, %d noticed", failures, noticed)
}

// faultScript returns the first error it meets.
func faultScript(t *testing.T, o Options, l *ledger) (err error) {
	t.Helper()
	ctx := context.Background()
	e, err := Open(o)
	if err != nil {
		return err
	}
	defer func() {
		if closed := e.Close(); err == nil {
			err = closed
		}
	}()
	if err := e.CreateStream(ctx, CreateStream{Name: Name{Stream: "s"}, Shards: 2}); err != nil {
		return err
	}
	s, err := e.Stream(Name{Stream: "s"})
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { return s.Split(ctx, "0", "5") },
		func() error { return s.SetTags(ctx, map[string]string{"a": "b"}, nil) },
		func() error { return s.Merge(ctx, "2", "3") },
		func() error { return s.Reshard(ctx, 4) },
		func() error { return s.SetRetention(ctx, 48, true) },
	}
	c := &chain{key: "k"}
	out := make([]Appended, 1)
	for _, step := range steps {
		for range 3 {
			data, hash := c.make()
			n := c.next
			c.next, c.hash = c.next+1, hash
			if err := s.Append(ctx, []Record{rec("k", data)}, LevelDisk, out); err != nil {
				return err
			}
			if out[0].Err != nil {
				return out[0].Err
			}
			l.add([]acked{{"k", n, out[0].Sequence}})
			// Filler moves the log through its segments.
			if err := s.Append(ctx, []Record{{Key: []byte(filler), Data: make([]byte, 12<<10)}}, LevelDisk, out); err != nil {
				return err
			}
			if out[0].Err != nil {
				return out[0].Err
			}
		}
		if err := step(); err != nil {
			return err
		}
	}
	return e.Err()
}

// While the catalog cannot say whether a split is durable, the shard must take nothing: after a restart it may be closed.
func TestFailedCommitKeepsShardShut(t *testing.T) {
	boom := errors.New("boom")
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	e, err := Open(testOptions(disk))
	if err != nil {
		t.Fatal(err)
	}
	s := createTest(t, e, "s", 2)
	put(t, s, rec("a", "1"))
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData && len(op.Name) > 12 && op.Name[:12] == "data/catalog" {
			return boom
		}
		return nil
	})
	if err := s.Split(context.Background(), "0", "5"); asCode(t, err).Code != CodeStopped || !errors.Is(err, boom) {
		t.Fatal(err)
	}
	disk.Inject(nil)
	out := make([]Appended, 2)
	shards := s.Info().Shards
	low, high := shards[0].Range.First, shards[1].Range.First
	if err := s.Append(context.Background(), []Record{{Key: []byte("a"), Explicit: &low}, {Key: []byte("a"), Explicit: &high}}, LevelMem, out); err != nil {
		t.Fatal(err)
	}
	if out[0].Err == nil || out[0].Err.Code != CodeStopped || out[1].Err != nil {
		t.Fatalf("%+v", out)
	}
	if err := e.Err(); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if err := s.SetRetention(context.Background(), 48, true); asCode(t, err).Code != CodeStopped {
		t.Fatal(err)
	}
	if err := e.CreateStream(context.Background(), CreateStream{Name: Name{Stream: "t"}, Shards: 1}); asCode(t, err).Code != CodeStopped {
		t.Fatal(err)
	}
	_ = e.Close() // reports boom or not, both are right
	e = openTest(t, testOptions(mem))
	s, err = e.Stream(Name{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if all := readAll(t, s, 0); len(all) != 2 {
		t.Fatalf("%v", all)
	}
}

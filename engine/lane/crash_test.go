package lane

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

// model is what was appended, by position.
type model struct {
	mu      sync.Mutex
	batches map[uint64]modelBatch
	end     uint64 // no position from here on has been given out
	trimmed uint64 // what ends at or below may be gone
}

type modelBatch struct {
	shard uint32
	n     uint64
	end   uint64
}

func newModel() *model { return &model{batches: make(map[uint64]modelBatch)} }

func (m *model) add(tk Ticket, shard uint32, n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches[tk.Position] = modelBatch{shard, n, tk.End}
	m.end = max(m.end, tk.End)
}

// snapshot is a crash image and what it must hold.
type snapshot struct {
	what  string
	kill  bool // else power was lost
	disk  *vfs.Mem
	until uint64 // everything below must be there
	end   uint64 // no position below may be given out again
	trim  uint64
}

// check opens the image twice and compares.
func (s *snapshot) check(t *testing.T, m *model, o Options, shards uint32) {
	t.Helper()
	o.FS = s.disk
	var before []uint64
	for round := range 2 {
		l, err := Open(o)
		if err != nil {
			t.Fatalf("%s, open %d: %v", s.what, round+1, err)
		}
		positions := s.verify(t, m, l, shards)
		if round == 1 && !slices.Equal(positions, before) {
			t.Fatalf("%s: second recovery finds %d batches, the first %d", s.what, len(positions), len(before))
		}
		before = positions
		start := l.Watermarks().Published
		if start < s.end {
			t.Fatalf("%s: goes on at %#x, but positions up to %#x were given out", s.what, start, s.end)
		}
		if round == 1 {
			var mk maker
			tk := mustAppend(t, l, 0, mk.make(t, 0, 9, 9, 9))
			mustWait(t, l, tk.End, LevelDisk)
			s.end = tk.End
		}
		if err := l.Close(); err != nil {
			t.Fatalf("%s: close: %v", s.what, err)
		}
		s.end = max(s.end, start)
	}
}

// verify compares what l holds with the model: all that must be there, nothing else, and without a gap.
func (s *snapshot) verify(t *testing.T, m *model, l *Lane, shards uint32) []uint64 {
	t.Helper()
	var positions []uint64
	for shard := range shards {
		for _, b := range readAll(t, l, shard, 1<<16, LevelDisk) {
			want, ok := m.batches[b.Position()]
			if !ok {
				t.Fatalf("%s: batch at %#x was never appended", s.what, b.Position())
			}
			if _, n, err := label(b); err != nil || n != want.n || shard != want.shard || want.end-b.Position() != uint64(b.Len()) {
				t.Fatalf("%s: batch at %#x is %d of shard %d, want %+v: %v", s.what, b.Position(), n, shard, want, err)
			}
			positions = append(positions, b.Position())
		}
	}
	slices.Sort(positions)
	wanted := slices.Sorted(maps.Keys(m.batches))
	i := 0
	for ; i < len(wanted) && (len(positions) == 0 || wanted[i] < positions[0]); i++ {
		if p := wanted[i]; p < s.until && m.batches[p].end > s.trim {
			t.Fatalf("%s: batch at %#x is gone, everything up to %#x was acknowledged", s.what, p, s.until)
		}
	}
	for j, p := range positions {
		if i+j >= len(wanted) || wanted[i+j] != p {
			t.Fatalf("%s: batch %d is at %#x, want %#x", s.what, j, p, wanted[min(i+j, len(wanted)-1)])
		}
	}
	if i += len(positions); i < len(wanted) && wanted[i] < s.until {
		t.Fatalf("%s: ends before %#x, everything up to %#x was acknowledged", s.what, wanted[i], s.until)
	}
	return positions
}

// At every operation on the disk, and after it, a kill and several power failures are tried: whatever was acknowledged is
// there, no position is given out twice, and recovering twice changes nothing.
func TestCrashAtEveryOperation(t *testing.T) {
	bothAppenders(t, func(t *testing.T, kind AppenderKind) {
		t.Run("prompt", func(t *testing.T) { crashAtEveryOperation(t, kind, false) })
		t.Run("lagging", func(t *testing.T) { crashAtEveryOperation(t, kind, true) })
	})
}

// crashRun is a lane on a disk of which images are taken as a crash would leave it.
type crashRun struct {
	t       *testing.T
	lagging bool // syncs are slow and nobody waits for them: much is written and seen that is not durable
	mem     *vfs.Mem
	disk    *vfs.Faulty
	m       *model
	l       *Lane
	lag     uint64 // how far durable was behind published at most

	mu    sync.Mutex // guards the following
	dice  *rand.Rand
	shots []snapshot
	kinds [32]int        // operations, by kind
	syncs map[string]int // by file
}

// shoot takes an image of a kill and one of a power failure.
func (c *crashRun) shoot(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m.mu.Lock()
	end, trim := c.m.end, c.m.trimmed
	c.m.mu.Unlock()
	w := c.l.Watermarks() // before the image is taken
	keep := []float64{0, 1, 0.5}[c.dice.IntN(3)]
	c.shots = append(c.shots,
		snapshot{what + ", killed", true, c.mem.KillClone(), w.Written, end, trim},
		snapshot{fmt.Sprintf("%s, power lost, keeping %v", what, keep), false, c.mem.CrashClone(c.dice, keep), w.Durable, end, trim})
}

// before is called before each operation on the disk.
func (c *crashRun) before(op vfs.Op) error {
	switch op.Kind {
	case vfs.OpOpen, vfs.OpReadAt, vfs.OpStat, vfs.OpList, vfs.OpSize, vfs.OpClose:
		return nil
	}
	c.mu.Lock()
	c.kinds[op.Kind]++
	if op.Kind == vfs.OpSyncData {
		c.syncs[op.Name]++ // the first is the header's
	}
	slow := c.lagging && c.syncs[op.Name] > 1
	c.mu.Unlock()
	if slow && op.Kind == vfs.OpSyncData {
		time.Sleep(20 * time.Millisecond)
	}
	c.shoot(fmt.Sprintf("before %v of %s (operation %d)", op.Kind, op.Name, op.Seq))
	return nil
}

// work appends, waits now and then, and trims once.
func (c *crashRun) work(r *rand.Rand, shards uint32, batches uint64) {
	c.t.Helper()
	var mk maker
	for n := range batches {
		shard := r.Uint32N(shards)
		tk := mustAppend(c.t, c.l, shard, mk.make(c.t, shard, uint64(shard), n, r.IntN(800)))
		c.m.add(tk, shard, n)
		switch r.IntN(6) {
		case 0:
			if !c.lagging {
				mustWait(c.t, c.l, tk.End, LevelDisk)
			}
		case 1:
			mustWait(c.t, c.l, tk.End, LevelOS)
		case 2:
			c.shoot(fmt.Sprintf("after append %d", n))
		}
		w := c.l.Watermarks()
		c.lag = max(c.lag, w.Published-w.Durable)
		if n != batches-30 || c.lagging {
			continue
		}
		mustWait(c.t, c.l, tk.End, LevelDisk)
		awaitTest(c.t, func() bool { return c.l.Segments()[1].Sealed })
		before := c.l.Segments()[1].End
		c.m.mu.Lock()
		c.m.trimmed = before
		c.m.mu.Unlock()
		if err := c.l.Trim(before); err != nil {
			c.t.Fatal(err)
		}
	}
}

func crashAtEveryOperation(t *testing.T, kind AppenderKind, lagging bool) {
	const shards, batches = 4, 140
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	mem := vfs.NewMem(0)
	c := &crashRun{
		t: t, lagging: lagging, mem: mem, disk: vfs.NewFaulty(mem), m: newModel(),
		dice: rand.New(rand.NewPCG(seed, 2)), syncs: make(map[string]int),
	}
	o := smallOptions(c.disk)
	o.Appender = kind
	c.l = open(t, o)
	c.disk.Inject(c.before)
	c.work(rand.New(rand.NewPCG(seed, 1)), shards, batches)
	if err := c.l.Close(); err != nil {
		t.Fatal(err)
	}
	c.shoot("after close")
	c.disk.Inject(nil)
	for _, k := range []vfs.Kind{
		vfs.OpWriteAt, vfs.OpSyncData, vfs.OpCreate, vfs.OpPreallocate, vfs.OpRename, vfs.OpSyncDir, vfs.OpTruncate, vfs.OpRemove,
	} {
		if c.kinds[k] == 0 && (k != vfs.OpRemove || !lagging) {
			t.Errorf("no crash at %v", k)
		}
	}
	o.Appender = AppenderDefault
	again := 0
	for i := range c.shots {
		if i%61 == 0 {
			again += crashDuringRecovery(t, &c.shots[i], c.m, o, shards, c.dice)
		}
		c.shots[i].check(t, c.m, o, shards)
	}
	if again == 0 {
		t.Error("no crash during recovery")
	}
	t.Logf("%d images, %d of them again during recovery, lag up to %d bytes", len(c.shots), again, c.lag)
	if lagging && c.lag < 2*16384 {
		t.Errorf("durable was no more than %d bytes behind", c.lag)
	}
}

// crashDuringRecovery recovers from the image, crashes at every operation of that, and recovers from each.
func crashDuringRecovery(t *testing.T, s *snapshot, m *model, o Options, shards uint32, dice *rand.Rand) (images int) {
	t.Helper()
	under := s.disk.KillClone()
	disk := vfs.NewFaulty(under)
	var mu sync.Mutex // of shots and dice
	var shots []snapshot
	disk.Inject(func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		image := under.KillClone()
		if !s.kill { // power lost after a kill may take what only the kill has left
			image = under.CrashClone(dice, 0.5)
		}
		what := fmt.Sprintf("%s; then again before %v of %s", s.what, op.Kind, op.Name)
		shots = append(shots, snapshot{what, s.kill, image, s.until, s.end, s.trim})
		return nil
	})
	o.FS = disk
	l, err := Open(o)
	if err != nil {
		t.Fatalf("%s: %v", s.what, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	disk.Inject(nil)
	for i := range shots {
		shots[i].check(t, m, o, shards)
	}
	return len(shots)
}

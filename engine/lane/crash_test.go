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

// crashAtEveryOperation: lagging, syncs are slow and nobody waits for them, so that much is written and seen that is not
// durable, over several segments.
func crashAtEveryOperation(t *testing.T, kind AppenderKind, lagging bool) {
	const shards, batches = 4, 140
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r, dice := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	mem := vfs.NewMem(0)
	disk := vfs.NewFaulty(mem)
	m := newModel()
	var l *Lane
	var mu sync.Mutex // of shots, kinds, syncs and dice
	var shots []snapshot
	var kinds [32]int
	var lag uint64
	syncs := make(map[string]int)
	o := smallOptions(disk)
	o.Appender = kind
	shoot := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		m.mu.Lock()
		end, trim := m.end, m.trimmed
		m.mu.Unlock()
		w := Watermarks{}
		if l != nil {
			w = l.Watermarks() // before the image is taken
		}
		keep := []float64{0, 1, 0.5}[dice.IntN(3)]
		shots = append(shots,
			snapshot{what + ", killed", true, mem.KillClone(), w.Written, end, trim},
			snapshot{fmt.Sprintf("%s, power lost, keeping %v", what, keep), false, mem.CrashClone(dice, keep), w.Durable, end, trim})
	}
	l = open(t, o)
	disk.Inject(func(op vfs.Op) error {
		switch op.Kind {
		case vfs.OpOpen, vfs.OpReadAt, vfs.OpStat, vfs.OpList, vfs.OpSize, vfs.OpClose:
			return nil
		}
		mu.Lock()
		kinds[op.Kind]++
		if op.Kind == vfs.OpSyncData {
			syncs[op.Name]++ // the first is the header's
		}
		slow := lagging && syncs[op.Name] > 1
		mu.Unlock()
		if slow && op.Kind == vfs.OpSyncData {
			time.Sleep(20 * time.Millisecond)
		}
		shoot(fmt.Sprintf("before %v of %s (operation %d)", op.Kind, op.Name, op.Seq))
		return nil
	})
	var mk maker
	for n := range uint64(batches) {
		shard := r.Uint32N(shards)
		b := mk.make(t, shard, uint64(shard), n, r.IntN(800))
		tk := mustAppend(t, l, shard, b)
		m.add(tk, shard, n)
		switch r.IntN(6) {
		case 0:
			if !lagging {
				mustWait(t, l, tk.End, LevelDisk)
			}
		case 1:
			mustWait(t, l, tk.End, LevelOS)
		case 2:
			shoot(fmt.Sprintf("after append %d", n))
		}
		w := l.Watermarks()
		lag = max(lag, w.Published-w.Durable)
		if n == batches-30 && !lagging {
			mustWait(t, l, tk.End, LevelDisk)
			awaitTest(t, func() bool { return l.Segments()[1].Sealed })
			before := l.Segments()[1].End
			m.mu.Lock()
			m.trimmed = before
			m.mu.Unlock()
			if err := l.Trim(before); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	shoot("after close")
	disk.Inject(nil)
	for _, k := range []vfs.Kind{
		vfs.OpWriteAt, vfs.OpSyncData, vfs.OpCreate, vfs.OpPreallocate, vfs.OpRename, vfs.OpSyncDir, vfs.OpTruncate, vfs.OpRemove,
	} {
		if kinds[k] == 0 && (k != vfs.OpRemove || !lagging) {
			t.Errorf("no crash at %v", k)
		}
	}
	o.Appender = AppenderDefault
	again := 0
	for i := range shots {
		if i%61 == 0 {
			again += crashDuringRecovery(t, &shots[i], m, o, shards, dice)
		}
		shots[i].check(t, m, o, shards)
	}
	if again == 0 {
		t.Error("no crash during recovery")
	}
	t.Logf("%d images, %d of them again during recovery, lag up to %d bytes", len(shots), again, lag)
	if lagging && lag < 2*16384 {
		t.Errorf("durable was no more than %d bytes behind", lag)
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

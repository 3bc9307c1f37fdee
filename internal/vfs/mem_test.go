package vfs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// dump is the whole tree as text.
func dump(t *testing.T, m *Mem) string {
	t.Helper()
	var out strings.Builder
	var walk func(dir string)
	walk = func(dir string) {
		names, err := m.List(dir)
		must(t, err)
		for _, name := range names {
			p := path.Join(dir, name)
			info, err := m.Stat(p)
			must(t, err)
			if info.IsDir() {
				fmt.Fprintf(&out, "%s/\n", p)
				walk(p)
				continue
			}
			fmt.Fprintf(&out, "%s %q\n", p, content(t, m, p))
		}
	}
	walk("/")
	return out.String()
}

func wantDump(t *testing.T, m *Mem, want string) {
	t.Helper()
	if got := dump(t, m); got != want {
		t.Fatalf("disk has\n%swant\n%s", got, want)
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	f := func(prepare func(m *Mem), lost, kept string) {
		t.Helper()
		m := NewMem(0)
		prepare(m)
		wantDump(t, m.CrashClone(nil, 0), lost)
		wantDump(t, m.CrashClone(nil, 1), kept)
		wantDump(t, m.KillClone(), kept)
		wantDump(t, m, kept)
		wantDump(t, m.KillClone().CrashClone(nil, 0), lost)
	}
	synced := func(m *Mem, name, text string) File {
		g := create(t, m, name, text)
		must(t, g.SyncData())
		must(t, m.SyncDir(path.Dir(name)))
		return g
	}
	f(func(m *Mem) { create(t, m, "/a", "x") }, "", "/a \"x\"\n")
	f(func(m *Mem) { must(t, create(t, m, "/a", "x").SyncData()) }, "", "/a \"x\"\n")
	f(func(m *Mem) {
		create(t, m, "/a", "x")
		must(t, m.SyncDir("/"))
	}, "/a \"\"\n", "/a \"x\"\n")
	f(func(m *Mem) { synced(m, "/a", "x") }, "/a \"x\"\n", "/a \"x\"\n")
	f(func(m *Mem) {
		_, err := synced(m, "/a", "x").WriteAt([]byte("yz"), 0)
		must(t, err)
	}, "/a \"x\"\n", "/a \"yz\"\n")
	f(func(m *Mem) { must(t, synced(m, "/a", "xyz").Truncate(1)) }, "/a \"xyz\"\n", "/a \"x\"\n")
	f(func(m *Mem) { must(t, synced(m, "/a", "x").Preallocate(3)) }, "/a \"x\"\n", "/a \"x\\x00\\x00\"\n")
	f(func(m *Mem) {
		synced(m, "/a", "x")
		must(t, m.Remove("/a"))
	}, "/a \"x\"\n", "")
	f(func(m *Mem) {
		synced(m, "/a", "old")
		must(t, synced(m, "/b", "new").Close())
		must(t, m.Rename("/b", "/a"))
	}, "/a \"old\"\n/b \"new\"\n", "/a \"new\"\n")
	f(func(m *Mem) {
		must(t, m.MkdirAll("/d/e"))
		must(t, m.SyncDir("/d")) // the entry of d itself is not synced
	}, "", "/d/\n/d/e/\n")
	f(func(m *Mem) {
		must(t, m.MkdirAll("/d"))
		must(t, m.SyncDir("/"))
		synced(m, "/a", "x")
		must(t, m.Rename("/a", "/d/a"))
		must(t, m.SyncDir("/d")) // the loss of the old name is not
	}, "/a \"x\"\n/d/\n/d/a \"x\"\n", "/d/\n/d/a \"x\"\n")
	f(func(m *Mem) {
		must(t, m.MkdirAll("/d/e"))
		must(t, m.MkdirAll("/f"))
		must(t, m.Rename("/d/e", "/f/e"))
		must(t, m.SyncDir("/"))
	}, "/d/\n/f/\n/f/e/\n", "/d/\n/f/\n/f/e/\n")
	f(func(m *Mem) {
		unlock, err := m.Lock("/LOCK")
		must(t, err)
		_ = unlock // never called: the process dies
		again, err := m.KillClone().Lock("/LOCK")
		must(t, err)
		must(t, again())
	}, "", "/LOCK \"\"\n")
}

// TestCrashReplacesWhole: a rename over a file leaves the old one or the new one, and both happen.
func TestCrashReplacesWhole(t *testing.T) {
	m := NewMem(0)
	must(t, create(t, m, "/current", "old").SyncData())
	must(t, m.SyncDir("/"))
	must(t, create(t, m, "/next", "new").SyncData())
	must(t, m.Rename("/next", "/current"))
	seen := map[string]int{}
	for seed := range uint64(200) {
		seen[dump(t, m.CrashClone(seeded(seed), 0.5))]++
	}
	oldOnly, both, renamed := seen["/current \"old\"\n"], seen["/current \"old\"\n/next \"new\"\n"], seen["/current \"new\"\n"]
	if oldOnly == 0 || both == 0 || renamed == 0 || oldOnly+both+renamed != 200 {
		t.Fatalf("crashes left %v", seen)
	}
}

// TestCrashKeepsOrder: a rename that needs a lost rename is lost, so a file never has two names in its folder.
func TestCrashKeepsOrder(t *testing.T) {
	m := NewMem(0)
	must(t, create(t, m, "/a", "").Close())
	must(t, m.SyncDir("/"))
	must(t, m.Rename("/a", "/b"))
	must(t, m.Rename("/b", "/c"))
	seen := map[string]int{}
	for seed := range uint64(200) {
		names, err := m.CrashClone(seeded(seed), 0.5).List("/")
		must(t, err)
		seen[strings.Join(names, " ")]++
	}
	if len(seen) != 3 || seen["a"] == 0 || seen["b"] == 0 || seen["c"] == 0 {
		t.Fatalf("crashes left %v", seen)
	}
}

// TestCutStaysCut: what a synced truncate took away is not under a later growth.
func TestCutStaysCut(t *testing.T) {
	m := NewMem(0)
	f := create(t, m, "/a", strings.Repeat("x", 3*blockSize))
	must(t, f.SyncData())
	must(t, m.SyncDir("/"))
	must(t, f.Truncate(blockSize/2))
	must(t, f.SyncData())
	must(t, f.Truncate(3*blockSize))
	must(t, f.SyncData())
	want := strings.Repeat("x", blockSize/2) + strings.Repeat("\x00", 3*blockSize-blockSize/2)
	if got := content(t, m.CrashClone(nil, 0), "/a"); got != want {
		t.Fatalf("%d bytes came back", strings.Count(got, "x")-blockSize/2)
	}
}

// TestCrashTearsBlocks: every unsynced sector is as it was or as it became, blocks are kept, lost and torn.
func TestCrashTearsBlocks(t *testing.T) {
	const blocks = 2000
	m := NewMem(0)
	f := create(t, m, "/a", strings.Repeat("o", blocks*blockSize))
	must(t, f.SyncData())
	must(t, m.SyncDir("/"))
	_, err := f.WriteAt(bytes.Repeat([]byte("n"), blocks*blockSize), 0)
	must(t, err)
	left := content(t, m.CrashClone(seeded(1), 0.5), "/a")
	var kept, lost, torn int
	for at := 0; at < len(left); at += blockSize {
		block := left[at : at+blockSize]
		for s := 0; s < blockSize; s += sectorSize {
			if n := strings.Count(block[s:s+sectorSize], "n"); n != 0 && n != sectorSize {
				t.Fatalf("sector at %d is torn", at+s)
			}
		}
		switch strings.Count(block, "n") {
		case blockSize:
			kept++
		case 0:
			lost++
		default:
			torn++
		}
	}
	if kept < blocks/3 || lost < blocks/3 || torn < blocks/20 || kept+lost+torn != blocks {
		t.Fatalf("kept %d, lost %d, torn %d", kept, lost, torn)
	}
	if got := content(t, m.CrashClone(seeded(2), 0.9), "/a"); strings.Count(got, "n") < blocks*blockSize*8/10 {
		t.Fatal("keep 0.9 kept less than 0.8")
	}
	if a, b := dump(t, m.CrashClone(seeded(3), 0.5)), dump(t, m.CrashClone(seeded(3), 0.5)); a != b {
		t.Fatal("one seed gave two disks")
	}
}

// TestCrashGrowth: an unsynced growth is there, not there, or partly, and growing again uncovers zeros only.
func TestCrashGrowth(t *testing.T) {
	m := NewMem(0)
	f := create(t, m, "/a", strings.Repeat("x", 100))
	must(t, f.SyncData())
	must(t, m.SyncDir("/"))
	_, err := f.WriteAt(bytes.Repeat([]byte("y"), 20000), 100)
	must(t, err)
	var none, some, whole int
	for seed := range uint64(300) {
		after := m.CrashClone(seeded(seed), 0.5)
		got := content(t, after, "/a")
		switch len(got) {
		case 100:
			none++
		case 20100:
			whole++
		default:
			some++
		}
		if got[:100] != strings.Repeat("x", 100) || strings.Trim(got[100:], "y\x00") != "" {
			t.Fatalf("seed %d: content is neither old nor new", seed)
		}
		g, err := after.Open("/a")
		must(t, err)
		must(t, g.Truncate(30000))
		if tail := all(t, g)[len(got):]; !bytes.Equal(tail, make([]byte, len(tail))) {
			t.Fatalf("seed %d: bytes behind the end came back", seed)
		}
	}
	if none == 0 || some == 0 || whole == 0 {
		t.Fatalf("grown by nothing %d, something %d, all %d times", none, some, whole)
	}
}

func TestClonesAreApart(t *testing.T) {
	m := NewMem(0)
	f := create(t, m, "/a", strings.Repeat("m", 2*blockSize)) // unsynced, so written in place by its owner
	clones := []*Mem{m.KillClone(), m.KillClone().KillClone(), m.CrashClone(nil, 1)}
	for i, c := range clones {
		g, err := c.Open("/a")
		must(t, err)
		_, err = g.WriteAt([]byte{byte('0' + i)}, 0)
		must(t, err)
		must(t, create(t, c, "/b", "x").Close())
	}
	_, err := f.WriteAt([]byte("M"), blockSize) // where the clones wrote nothing
	must(t, err)
	f2 := func(m *Mem, first, second string) {
		t.Helper()
		rest := strings.Repeat("m", blockSize-1)
		if got := content(t, m, "/a"); got != first+rest+second+rest {
			t.Fatalf("blocks begin %q and %q, want %q and %q", got[:1], got[blockSize:blockSize+1], first, second)
		}
	}
	f2(m, "m", "M")
	wantList(t, m, "/", "a")
	for i, c := range clones {
		f2(c, string(rune('0'+i)), "m")
	}
}

// TestSyncAfterFailedSync: the second sync succeeds and saves nothing of what the first was for.
func TestSyncAfterFailedSync(t *testing.T) {
	m := NewMem(0)
	disk := NewFaulty(m)
	f := create(t, disk, "/a", "first")
	must(t, f.SyncData())
	must(t, disk.SyncDir("/"))
	_, err := f.WriteAt([]byte("SECOND"), 0)
	must(t, err)
	disk.Inject(Nth(OpSyncData, 2, syscall.EIO))
	wantErr(t, f.SyncData(), syscall.EIO)
	must(t, f.SyncData())
	wantDump(t, m, "/a \"SECOND\"\n")
	wantDump(t, m.CrashClone(nil, 0), "/a \"first\"\n")
	_, err = f.WriteAt([]byte("THIRD!"), 0)
	must(t, err)
	must(t, f.SyncData())
	if got := content(t, m.CrashClone(nil, 0), "/a"); got != "THIRD" { // the growth went with the failed sync
		t.Fatalf("written and synced again: %q", got)
	}
}

func TestFullDisk(t *testing.T) {
	m := NewMem(4 * blockSize)
	wantFree := func(m *Mem, blocks uint64) {
		t.Helper()
		if n, err := m.Free("/"); err != nil || n != blocks*blockSize {
			t.Fatalf("free %d, %v; want %d blocks", n, err, blocks)
		}
	}
	f, err := m.Create("/a")
	must(t, err)
	wantErr(t, f.Preallocate(5*blockSize), syscall.ENOSPC)
	wantFree(m, 4)
	must(t, f.Preallocate(2*blockSize))
	wantFree(m, 2)
	_, err = f.WriteAt(make([]byte, 100), 0) // already reserved
	must(t, err)
	g, err := m.Create("/b")
	must(t, err)
	n, err := g.WriteAt(bytes.Repeat([]byte("x"), 3*blockSize), 0)
	wantErr(t, err, syscall.ENOSPC)
	if size, err := g.Size(); n != 2*blockSize || size != 2*blockSize || err != nil {
		t.Fatalf("wrote %d, size %d, %v", n, size, err)
	}
	wantFree(m, 0)
	wantFree(m.KillClone(), 0)
	wantFree(m.CrashClone(nil, 1), 0)
	wantFree(m.CrashClone(nil, 0), 4)
	n, err = g.WriteAt([]byte("x"), 100*blockSize)
	wantErr(t, err, syscall.ENOSPC)
	if n != 0 {
		t.Fatalf("wrote %d bytes on a full disk", n)
	}
	must(t, f.Truncate(1))
	wantFree(m, 1)
	must(t, m.Remove("/b"))
	wantFree(m, 1) // still open
	must(t, g.Close())
	wantFree(m, 3)
	m.SetLimit(blockSize)
	wantFree(m, 0)
	m.SetLimit(8 * blockSize)
	wantFree(m, 7)
	if _, err := f.WriteAt([]byte("x"), maxMemFile); err == nil {
		t.Fatal("wrote behind the largest file")
	}
}

// TestMemIsBounded: neither changes nor removed contents pile up without a sync.
func TestMemIsBounded(t *testing.T) {
	m := NewMem(64 * blockSize)
	for range 3 * maxPendingChanges {
		must(t, create(t, m, "/a", strings.Repeat("x", blockSize)).Close())
		must(t, m.Remove("/a"))
	}
	if n := len(m.root.pending); n > 2*64+2 {
		t.Fatalf("%d changes are remembered", n)
	}
	small := NewMem(0)
	for range maxPendingChanges {
		must(t, create(t, small, "/a", "").Close())
		must(t, small.Remove("/a"))
	}
	if n := len(small.root.pending); n != maxPendingChanges {
		t.Fatalf("%d changes are remembered", n)
	}
	wantDump(t, small.CrashClone(nil, 0), "")
}

// TestCrashAtRandom does random work on one file and checks crash images against what its history allows: a sector is as
// last synced or as now, and nothing else.
func TestCrashAtRandom(t *testing.T) {
	const sectors = 64
	images := 0
	for seed := range uint64(40) {
		r := seeded(seed)
		m := NewMem(0)
		f := create(t, m, "/a", strings.Repeat("\x00", sectors*sectorSize))
		must(t, f.SyncData())
		must(t, m.SyncDir("/"))
		var now, synced [sectors]byte
		for step := range 100 {
			switch r.IntN(8) {
			case 0:
				must(t, f.SyncData())
				synced = now
			case 1:
				m = m.CrashClone(r, r.Float64())
				must(t, f.Close()) // of the disk before the crash
				g, err := m.Open("/a")
				must(t, err)
				f = g
				for i, got := range sectorsOf(t, content(t, m, "/a")) {
					if got != now[i] && got != synced[i] {
						t.Fatalf("seed %d step %d sector %d: %d is neither %d nor %d", seed, step, i, got, now[i], synced[i])
					}
					now[i], synced[i] = got, got
				}
				images++
			default:
				first := r.IntN(sectors)
				n := 1 + r.IntN(min(sectors-first, 12))
				_, err := f.WriteAt(bytes.Repeat([]byte{byte(1 + step)}, n*sectorSize), int64(first*sectorSize))
				must(t, err)
				for i := range n {
					now[first+i] = byte(1 + step)
				}
			}
		}
	}
	if images < 100 {
		t.Fatalf("only %d crash images", images)
	}
}

func sectorsOf(t *testing.T, text string) []byte {
	t.Helper()
	var first []byte
	for s := range slices.Chunk([]byte(text), sectorSize) {
		if !bytes.Equal(s, bytes.Repeat(s[:1], sectorSize)) {
			t.Fatal("a sector is torn")
		}
		first = append(first, s[0])
	}
	return first
}

package lane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// damaged is a lane on a disk, killed while its last segment was open, and what is in it.
type damaged struct {
	t       *testing.T
	disk    *vfs.Mem
	tickets []Ticket // of shard 0, all durable but the last unsynced
	names   []string // of the segment files
}

// makeDamaged fills three segments and a part of a fourth. The last three batches are written and not promised durable.
func makeDamaged(t *testing.T) *damaged {
	t.Helper()
	mem := vfs.NewMem(0)
	l := open(t, smallOptions(mem))
	d := &damaged{t: t}
	var mk maker
	for n := uint64(0); len(d.tickets) == 0 || d.tickets[len(d.tickets)-1].Position < 4*16384+4000; n++ {
		tk := mustAppend(t, l, 0, mk.make(t, 0, 0, n, 300))
		mustWait(t, l, tk.End, LevelDisk)
		d.tickets = append(d.tickets, tk)
	}
	ahead := path.Join(testDir, segmentName(5*16384))
	awaitTest(t, func() bool {
		_, err := mem.Stat(ahead)
		return err == nil && l.Segments()[2].Sealed && !l.Segments()[3].Sealed
	})
	for n := range uint64(3) { // durableHint of these says that all before is durable; of these nobody says it
		tk, err := l.Append(0, mk.make(t, 0, 0, uint64(len(d.tickets)), 300+int(n)))
		if err != nil {
			t.Fatal(err)
		}
		d.tickets = append(d.tickets, tk)
	}
	mustWait(t, l, d.tickets[len(d.tickets)-1].End, LevelOS)
	d.disk = mem.KillClone()
	for _, s := range l.Segments() {
		d.names = append(d.names, path.Join(testDir, segmentName(s.Base)))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *damaged) file(i int, f func(vfs.File)) {
	d.t.Helper()
	file, err := d.disk.Open(d.names[i])
	if err != nil {
		d.t.Fatal(err)
	}
	f(file)
	if err := file.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// put overwrites bytes of a file.
func (d *damaged) put(i int, off int64, p []byte) {
	d.t.Helper()
	d.file(i, func(f vfs.File) {
		if _, err := f.WriteAt(p, off); err != nil {
			d.t.Fatal(err)
		}
	})
}

// flip inverts a byte of a file; off below 0 counts from the end.
func (d *damaged) flip(i int, off int64) {
	d.t.Helper()
	d.file(i, func(f vfs.File) {
		size, err := f.Size()
		if err != nil {
			d.t.Fatal(err)
		}
		if off < 0 {
			off += size
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], off); err != nil {
			d.t.Fatal(err)
		}
		b[0] ^= 0x5a
		if _, err := f.WriteAt(b[:], off); err != nil {
			d.t.Fatal(err)
		}
	})
}

// at is where batch n lies: file and offset. Negative n counts from the end.
func (d *damaged) at(n int) (file int, off int64) {
	if n < 0 {
		n += len(d.tickets)
	}
	p := d.tickets[n].Position
	return int(p/16384) - 1, headerLen + int64(p%16384)
}

// all survives.
const all = -1

// runDamage damages a lane and says what survives: -1 all batches, -2 all but the last, and so on; or the error of Open.
func runDamage(t *testing.T, name string, damage func(d *damaged), survive int, want error) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		d := makeDamaged(t)
		damage(d)
		before, err := d.disk.List(testDir)
		if err != nil {
			t.Fatal(err)
		}
		o := smallOptions(d.disk)
		l, err := Open(o)
		if want != nil {
			if !errors.Is(err, want) {
				t.Fatalf("Open: %v, want %v", err, want)
			}
			var corruption *CorruptionError
			if errors.Is(want, ErrCorrupt) && (!errors.As(err, &corruption) || corruption.Segment == "" || corruption.Cause == nil) {
				t.Fatalf("no details in %#v", err)
			}
			if after, _ := d.disk.List(testDir); !slices.Equal(before, after) {
				t.Fatalf("files were %v, are %v", before, after)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		wantBatches := len(d.tickets) + 1 + survive
		for round := range 2 {
			got := readAll(t, l, 0, 1<<20, LevelDisk)
			if len(got) != wantBatches {
				t.Fatalf("round %d: %d batches, want %d of %d", round, len(got), wantBatches, len(d.tickets))
			}
			for i, b := range got {
				if b.Position() != d.tickets[i].Position {
					t.Fatalf("batch %d at %#x, want %#x", i, b.Position(), d.tickets[i].Position)
				}
			}
			if start := l.Watermarks().Published; start < d.tickets[len(d.tickets)-1].End {
				t.Fatalf("goes on at %#x", start)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, err = Open(o); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The end of the log: what was promised durable must be there, what was not is cut.
func TestDamagedTail(t *testing.T) {
	f := func(name string, damage func(d *damaged), survive int, want error) {
		t.Helper()
		runDamage(t, name, damage, survive, want)
	}
	zeros := make([]byte, 448)
	f("none", func(*damaged) {}, all, nil)

	f("torn tail: last batch cut", func(d *damaged) { i, off := d.at(-1); d.put(i, off+200, zeros) }, -2, nil)
	f("torn tail: body of the last flipped", func(d *damaged) { i, off := d.at(-1); d.flip(i, off+150) }, -2, nil)
	f("torn tail: header of the last flipped", func(d *damaged) { i, off := d.at(-1); d.flip(i, off+20) }, -2, nil)
	f("torn tail: commit word of the last flipped", func(d *damaged) { i, off := d.at(-1); d.flip(i, off) }, -2, nil)
	f("torn tail: last but one, the last is whole", func(d *damaged) { i, off := d.at(-2); d.flip(i, off+150) }, -3, nil)
	f("torn tail: zeros", func(d *damaged) { i, off := d.at(-1); d.put(i, off, zeros) }, -2, nil)
	f("torn tail: a length beyond everything", func(d *damaged) {
		i, off := d.at(-1)
		d.put(i, off+8, binary.LittleEndian.AppendUint32(nil, 1<<31-32))
	}, -2, nil)
	f("torn tail: length zero", func(d *damaged) {
		i, off := d.at(-1)
		d.put(i, off+8, make([]byte, 4))
	}, -2, nil)
	f("last file cut", func(d *damaged) {
		i, off := d.at(-1)
		d.file(i, func(f vfs.File) {
			if err := f.Truncate(off + 100); err != nil {
				t.Fatal(err)
			}
		})
	}, -2, nil)
	// What a later batch says was durable when it was appended must be there.
	f("promised batch flipped", func(d *damaged) { i, off := d.at(-4); d.flip(i, off+150) }, 0, ErrCorrupt)
	f("promised batch zeroed", func(d *damaged) { i, off := d.at(-5); d.put(i, off, zeros) }, 0, ErrCorrupt)
	f("promised batch with a wrong length", func(d *damaged) {
		i, off := d.at(-5)
		d.put(i, off+8, binary.LittleEndian.AppendUint32(nil, 64))
	}, 0, ErrCorrupt)
	f("open segment missing", func(d *damaged) { d.remove(d.names[3]) }, 0, ErrCorrupt)
	f("open segment and the one made ahead missing", func(d *damaged) {
		d.remove(d.names[3])
		d.remove(path.Join(testDir, segmentName(5*16384)))
	}, -1-batchesIn(t, 3), nil)
}

// A footer is made anew from the batches.
func TestDamagedFooter(t *testing.T) {
	f := func(name string, damage func(d *damaged), survive int, want error) {
		t.Helper()
		runDamage(t, name, damage, survive, want)
	}
	f("footer magic flipped", func(d *damaged) { d.flip(1, -1) }, all, nil)
	f("footer sum flipped", func(d *damaged) { d.flip(1, -16) }, all, nil)
	f("footer offset flipped", func(d *damaged) { d.flip(1, -trailerLen) }, all, nil)
	f("footer summary flipped", func(d *damaged) { d.flip(1, -trailerLen-40) }, all, nil)
	f("footer cut off", func(d *damaged) {
		d.file(1, func(f vfs.File) {
			if err := f.Truncate(headerLen + 16384); err != nil {
				t.Fatal(err)
			}
		})
	}, all, nil)
	f("directory flipped", func(d *damaged) { d.flip(1, headerLen+16384+3) }, all, nil)
	f("extents flipped", func(d *damaged) { d.flip(1, headerLen+16384+entryLen+3) }, all, nil)
	f("footer and a batch flipped", func(d *damaged) { d.flip(1, -1); d.flip(1, headerLen+1000) }, 0, ErrCorrupt)
}

// Files that are missing, or are not what they should be.
func TestDamagedFiles(t *testing.T) {
	f := func(name string, damage func(d *damaged), survive int, want error) {
		t.Helper()
		runDamage(t, name, damage, survive, want)
	}
	f("segment missing", func(d *damaged) { d.remove(d.names[1]) }, 0, ErrCorrupt)
	f("header sum flipped", func(d *damaged) { d.flip(2, offHeadSum) }, 0, ErrCorrupt)
	f("header base flipped", func(d *damaged) { d.flip(2, offHeadBase) }, 0, ErrCorrupt)
	f("header magic flipped", func(d *damaged) { d.flip(2, 0) }, 0, ErrCorrupt)
	f("header zeroed", func(d *damaged) { d.put(2, 0, make([]byte, headerLen)) }, 0, ErrCorrupt)
	f("empty file", func(d *damaged) {
		d.file(3, func(f vfs.File) {
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
		})
	}, 0, ErrCorrupt)
	f("newer version", func(d *damaged) {
		d.put(2, offHeadVersion, binary.LittleEndian.AppendUint32(nil, formatVersion+1))
	}, 0, ErrVersion)
	f("another lane's segment", func(d *damaged) {
		d.file(2, func(f vfs.File) {
			p := make([]byte, headerLen)
			if _, err := f.ReadAt(p, 0); err != nil {
				t.Fatal(err)
			}
			h, err := parseHeader(p)
			if err != nil {
				t.Fatal(err)
			}
			h.lane[3]++
			if _, err := f.WriteAt(appendHeader(nil, &h), 0); err != nil {
				t.Fatal(err)
			}
		})
	}, 0, ErrCorrupt)
	f("foreign files", func(d *damaged) {
		for _, name := range []string{"notes.txt", "0000.seg", "000000000000400g.seg", "0000000000004000.seg.bak"} {
			file, err := d.disk.Create(path.Join(testDir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}, all, nil)
}

func (d *damaged) remove(name string) {
	d.t.Helper()
	if err := d.disk.Remove(name); err != nil {
		d.t.Fatal(err)
	}
}

// batchesIn is how many batches of makeDamaged are in a segment.
func batchesIn(t *testing.T, segment int) (n int) {
	d := makeDamaged(t)
	for i := range d.tickets {
		if file, _ := d.at(i); file == segment {
			n++
		}
	}
	return n
}

// Rot in a sealed segment is found when it is read; what precedes it is returned, and what follows can be.
func TestRotFoundByRead(t *testing.T) {
	d := makeDamaged(t)
	l := open(t, smallOptions(d.disk))
	file, off := d.at(10)
	d.flip(file, off+150)
	got, err := tryReadAll(l, 0, 1<<20, LevelDisk)
	var corruption *CorruptionError
	if !errors.As(err, &corruption) || !errors.Is(err, batch.ErrBadSum) || len(got) != 10 {
		t.Fatalf("%d batches, %v", len(got), err)
	}
	want := CorruptionError{Segment: path.Base(d.names[file]), Offset: off, Position: d.tickets[10].Position, Cause: corruption.Cause}
	if *corruption != want {
		t.Fatalf("%+v, want %+v", *corruption, want)
	}
	p, _, err := l.Read(nil, Query{From: d.tickets[11].Position, MaxBytes: 1, Level: LevelDisk})
	if err != nil || batch.Batch(p).Position() != d.tickets[11].Position {
		t.Fatalf("behind it: %v", err)
	}
	d.flip(file, off+8) // the header too
	if _, _, _, err := l.Next(0, d.tickets[10].Position, LevelDisk); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("Next: %v", err)
	}
}

// A footer that is damaged while the lane is open is made up for from the batches, once.
func TestFooterDamagedWhileOpen(t *testing.T) {
	for _, off := range []int64{3, entryLen + 3} {
		d := makeDamaged(t)
		l := open(t, smallOptions(d.disk))
		d.flip(1, headerLen+16384+off)
		if got := readAll(t, l, 0, 1<<20, LevelDisk); len(got) != len(d.tickets) {
			t.Fatalf("byte %d: %d batches, want %d", off, len(got), len(d.tickets))
		}
		at, err := l.SeekTime(0, d.tickets[40].Micros)
		if err != nil || at > d.tickets[40].Position {
			t.Fatalf("byte %d: %#x, %v", off, at, err)
		}
		d.flip(1, headerLen+1000) // and the batches: then it cannot be
		l2, err := Open(smallOptions(d.disk.KillClone()))
		if err == nil {
			_, err = tryReadAll(l2, 0, 1<<20, LevelDisk)
			_ = l2.Close()
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: %v", off, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func ExampleCorruptionError() {
	fmt.Println(&CorruptionError{Segment: segmentName(1 << 28), Offset: 4128, Position: 1<<28 + 32, Cause: batch.ErrBadSum})
	// Output: lane: segment 0000000010000000.seg is corrupt at offset 4128 (position 0x10000020): batch: body sum mismatch
}

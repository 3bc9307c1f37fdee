package zstdpool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// The pool must not leave goroutines behind even though nobody closes it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// block is n bytes that compress about as well as a log does.
func block(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 0, n+64)
	for len(out) < n {
		out = fmt.Appendf(out, "10.0.%d.%d GET /item/%d HTTP/1.1 200 %d\n", r.IntN(8), r.IntN(256), r.IntN(5000), r.IntN(100000))
	}
	return out[:n]
}

func TestRoundTrip(t *testing.T) {
	p := New()
	rapid.Check(t, func(t *rapid.T) {
		var src []byte
		if rapid.Bool().Draw(t, "compressible") {
			src = block(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 40<<10).Draw(t, "size"))
		} else {
			src = rapid.SliceOf(rapid.Byte()).Draw(t, "src")
		}
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "prefix")
		packed := p.AppendEncode(bytes.Clone(prefix), src)
		if !bytes.HasPrefix(packed, prefix) {
			t.Fatal("AppendEncode changed what was there")
		}
		out, err := p.AppendDecode(bytes.Clone(prefix), packed[len(prefix):], len(src))
		if err != nil || !bytes.Equal(out, append(prefix, src...)) {
			t.Fatalf("%d bytes became %d, %v", len(src), len(out)-len(prefix), err)
		}
		if len(src) > 0 {
			out, err = p.AppendDecode(prefix, packed[len(prefix):], len(src)-1)
			if !errors.Is(err, ErrTooLarge) || !bytes.Equal(out, prefix) {
				t.Fatalf("one byte over the limit: %v", err)
			}
		}
	})
}

// A block longer than the window and than what zstd itself calls a block, as large batches are.
func TestLargeBlock(t *testing.T) {
	p := New()
	src := block(9, 3<<20)
	packed := p.AppendEncode(nil, src)
	if len(packed) > len(src)/2 {
		t.Errorf("%d bytes became %d", len(src), len(packed))
	}
	if out, err := p.AppendDecode(nil, packed, len(src)); err != nil || !bytes.Equal(out, src) {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
}

// forge is a single-segment frame that declares size bytes and is made of count blocks that each repeat one byte 128 KiB
// long.
func forge(size uint32, count int) []byte {
	out := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0} // magic; 4-byte content size, single segment
	out = binary.LittleEndian.AppendUint32(out, size)
	for i := range count {
		h := uint32(128<<10)<<3 | 1<<1 // RLE
		if i == count-1 {
			h |= 1
		}
		out = append(out, byte(h), byte(h>>8), byte(h>>16), 'x')
	}
	return out
}

func TestBombs(t *testing.T) {
	p := New()
	good := p.AppendEncode(nil, block(1, 1000))
	if _, err := p.AppendDecode(nil, good, 1000); err != nil {
		t.Fatal(err)
	}
	if out, err := p.AppendDecode(nil, forge(256<<10, 2), 1<<20); err != nil || len(out) != 256<<10 {
		t.Fatalf("the forger is wrong: %d, %v", len(out), err)
	}
	f := func(name string, src []byte, maxLen int, want error) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		prefix := []byte("prefix")
		out, err := p.AppendDecode(prefix, src, maxLen)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, want) || string(out) != "prefix" {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(out), err, want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: allocated %d bytes", name, n)
		}
	}
	f("declares 4 GiB", forge(1<<32-1, 4), 1<<40, ErrTooLarge)
	f("declares more than the limit", forge(1<<20, 8), 1<<20-1, ErrTooLarge)
	f("declares 1000 bytes, holds 512 MiB", forge(1000, 4096), 1<<20, ErrCorrupt)
	f("declares 128 KiB, holds 512 MiB", forge(128<<10, 4096), 1<<20, ErrCorrupt)
	f("declares more than it holds", forge(1<<20, 7), 1<<20, ErrCorrupt)
	f("a second frame", append(bytes.Clone(good), good...), 1<<20, ErrCorrupt)
	f("a second, large frame", append(bytes.Clone(good), forge(512<<20, 4096)...), 1<<20, ErrCorrupt)
	f("negative limit", good, -1, ErrTooLarge)
	f("empty", nil, 1<<20, ErrCorrupt)
	f("not zstd", []byte("GET / HTTP/1.1\r\n\r\n"), 1<<20, ErrCorrupt)
	f("skippable frame", []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}, 1<<20, ErrCorrupt)
	f("cut short", good[:len(good)-3], 1<<20, ErrCorrupt)

	var unsized bytes.Buffer
	w, err := zstd.NewWriter(&unsized, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	part := block(2, 64<<10)
	for range 64 { // more than the writer buffers, so that it cannot know the size
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f("no declared size", unsized.Bytes(), 1<<30, ErrNoSize)
}

func TestConcurrentUse(t *testing.T) {
	p := New()
	var wg sync.WaitGroup
	const rounds = 20
	done := make([]int, 8)
	for g := range done {
		wg.Go(func() {
			var packed, out []byte
			for i := range rounds {
				src := block(uint64(g*1000+i), 20_000+g)
				packed = p.AppendEncode(packed[:0], src)
				var err error
				if out, err = p.AppendDecode(out[:0], packed, len(src)); err != nil || !bytes.Equal(out, src) {
					t.Errorf("goroutine %d, block %d: %v", g, i, err)
					return
				}
				done[g]++
			}
		})
	}
	wg.Wait()
	for g, n := range done {
		if n != rounds {
			t.Errorf("goroutine %d did %d blocks", g, n)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("zstd allocates under the race detector")
	}
	p := New()
	src := block(3, 64<<10)
	packed := p.AppendEncode(nil, src)
	packed = p.AppendEncode(make([]byte, 0, 2*len(packed)), src)
	out := make([]byte, 0, len(src)+slack)
	check := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(50, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	check("AppendEncode", func() { packed = p.AppendEncode(packed[:0], src) })
	check("AppendDecode", func() {
		var err error
		if out, err = p.AppendDecode(out[:0], packed, len(src)); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzAppendDecode(f *testing.F) {
	p := New()
	f.Add(p.AppendEncode(nil, block(4, 3000)))
	f.Add(p.AppendEncode(nil, nil))
	f.Add(forge(1000, 3))
	f.Add(forge(256<<10, 2))
	f.Fuzz(func(t *testing.T, src []byte) {
		const limit = 512 << 10
		out, err := p.AppendDecode([]byte("prefix"), src, limit)
		if !bytes.HasPrefix(out, []byte("prefix")) || len(out) > limit+len("prefix") || err != nil && len(out) != len("prefix") {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
	})
}

package lane

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

var update = flag.Bool("update", false, "write the golden files anew: only for a new format version")

// golden compares got with a file of hex lines. Every later build must read and write these bytes.
func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		var b strings.Builder
		for chunk := range slices.Chunk(got, 32) {
			b.WriteString(hex.EncodeToString(chunk) + "\n")
		}
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: the format has changed", name)
	}
	return want
}

func testHeader() header {
	h := header{
		base: 3 << 14, size: 1 << 14, ring: 1 << 12, key: 0xfedcba9876543210, prevBase: 1 << 14, prevEnd: 1<<14 + 992,
		created: 1_700_000_000_000_000,
	}
	copy(h.lane[:], "0123456789abcdef")
	return h
}

// testIndex has shards 7 and 2 in the order of their first batch.
func testIndex() *openIndex {
	x := new(openIndex)
	x.add(7, packExtent(0, 128, 1), 1_000)
	x.add(2, packExtent(128, 960, 500), 2_000)
	for i := range uint64(20) {
		x.add(7, packExtent(2048+i*160, 160, int(i)+1), 3_000+int64(i))
	}
	x.add(70_000, packExtent(8192, 96, 1), 4_000)
	return x
}

func TestHeader(t *testing.T) {
	h := testHeader()
	p := golden(t, "header_v1.hex", appendHeader(nil, &h)[:128])
	full := appendHeader([]byte("prefix"), &h)[6:]
	if !bytes.Equal(full[:128], p) || len(full) != headerLen {
		t.Fatal("appendHeader does not append")
	}
	got, err := parseHeader(full)
	if err != nil || got != h {
		t.Fatalf("got %+v, %v", got, err)
	}
	f := func(want error, change func(h *header)) {
		t.Helper()
		h := testHeader()
		change(&h)
		if _, err := parseHeader(appendHeader(nil, &h)); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", h, err, want)
		}
	}
	f(nil, func(h *header) { h.prevBase, h.prevEnd = 0, 0 })
	f(errHeader, func(h *header) { h.base += 4096 })
	f(errHeader, func(h *header) { h.base = 0 })
	f(errHeader, func(h *header) { h.base = maxPosition })
	f(errHeader, func(h *header) { h.size = 3 << 12 })
	f(errHeader, func(h *header) { h.size = 0 })
	f(errHeader, func(h *header) { h.size = 1 << 34 })
	f(errHeader, func(h *header) { h.ring = h.size * 2 })
	f(errHeader, func(h *header) { h.ring = 2048 })
	f(errHeader, func(h *header) { h.key = 77 })
	f(errHeader, func(h *header) { h.prevBase = h.base })
	f(errHeader, func(h *header) { h.prevEnd = h.base + 1 })
	f(errHeader, func(h *header) { h.prevBase = 0 })
	for n := range len(full) {
		if _, err := parseHeader(full[:n]); err == nil {
			t.Fatalf("%d bytes are taken for a header", n)
		}
	}
	for i := range full {
		full[i] ^= 1
		if _, err := parseHeader(full); err == nil {
			t.Fatalf("byte %d can change", i)
		} else if v := i >= offHeadVersion && i < offHeadLen; v != errors.Is(err, ErrVersion) {
			t.Fatalf("byte %d: %v", i, err)
		}
		full[i] ^= 1
	}
}

func TestFooter(t *testing.T) {
	h := testHeader()
	end := h.base + 8192 + 96
	p, err := appendFooter([]byte("prefix"), &h, end, testIndex())
	if err != nil {
		t.Fatal(err)
	}
	p = p[6:]
	golden(t, "footer_v1.hex", p)
	size := int64(headerLen+8192+96) + int64(len(p))
	f, need, err := parseFooter(p[len(p)-trailerLen:], &h, size)
	if f != nil || err != nil || need < trailerLen+summaryLen || need > len(p) {
		t.Fatalf("of the trailer: %v, %d, %v", f, need, err)
	}
	f, _, err = parseFooter(p[len(p)-need:], &h, size)
	if err != nil || f.end != end || f.entries != 3 || f.firstMicros != 1000 || f.lastMicros != 4000 || f.fileSize != size {
		t.Fatalf("%+v, %v", f, err)
	}
	for shard, want := range map[uint32]bool{2: true, 7: true, 70_000: true, 0: false, 8: false, 1: false, 70_001: false} {
		if got := f.mayHold(shard); f.bitmap != nil && got != want {
			t.Errorf("shard %d: %v", shard, got)
		}
		e, ok := findEntry(p[:3*entryLen], shard)
		if ok != want || ok && e.shard != shard {
			t.Errorf("shard %d: %+v, %v", shard, e, ok)
		}
	}
	e, _ := findEntry(p[:3*entryLen], 7)
	off := 3*entryLen + int(e.off)
	list, err := parseExtents(p[off:off+int(e.len)], e.batches, end-h.base)
	if err != nil || len(list) != 21 || !slices.Equal(list, testIndex().run(7).view().list(nil)) {
		t.Fatalf("%x, %v", list, err)
	}
	if e.records != 1+20*21/2 || e.bytes != 128+20*160 || e.first != 0 || e.last != 2048+19*160 || e.firstMicros != 1000 || e.lastMicros != 3019 {
		t.Fatalf("%+v", e)
	}
	for i := len(p) - need; i < len(p); i++ {
		p[i] ^= 1
		if f, _, err := parseFooter(p, &h, size); err == nil && f != nil {
			t.Fatalf("byte %d from the end can change", len(p)-i)
		}
		p[i] ^= 1
	}
	other := h
	other.key++
	for what, f := range map[string]func() (*footer, int, error){
		"other key":  func() (*footer, int, error) { return parseFooter(p, &other, size) },
		"other size": func() (*footer, int, error) { return parseFooter(p, &h, size+32) },
		"no trailer": func() (*footer, int, error) { return parseFooter(p[:len(p)-1], &h, size-1) },
		"nothing":    func() (*footer, int, error) { return parseFooter(nil, &h, 0) },
	} {
		if f, _, err := f(); f != nil || !errors.Is(err, errFooter) {
			t.Errorf("%s: %v, %v", what, f, err)
		}
	}
}

// A lane of no batches has a footer too; one with shards far apart has no bitmap.
func TestFooterExtremes(t *testing.T) {
	h := testHeader()
	p, err := appendFooter(nil, &h, h.base, new(openIndex))
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := parseFooter(p, &h, headerLen+int64(len(p)))
	if err != nil || f.end != h.base || f.mayHold(0) {
		t.Fatalf("%+v, %v", f, err)
	}
	x := new(openIndex)
	x.add(1, packExtent(0, 96, 1), 1)
	x.add(MaxShards-1, packExtent(96, 96, 1), 1)
	if p, err = appendFooter(nil, &h, h.base+192, x); err != nil {
		t.Fatal(err)
	}
	f, _, err = parseFooter(p, &h, headerLen+192+int64(len(p)))
	if err != nil || f.bitmap != nil || !f.mayHold(500) {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestSegmentNames(t *testing.T) {
	f := func(name string, want uint64, ok bool) {
		t.Helper()
		if got, is := parseSegmentName(name); is != ok || ok && got != want {
			t.Errorf("%s: %#x, %v", name, got, is)
		}
	}
	f(segmentName(0x123456789abcde), 0x123456789abcde, true)
	f("0000000000000000.seg", 0, true)
	f("000000000000000.seg", 0, false)
	f("00000000000000000.seg", 0, false)
	f("000000000000000G.seg", 0, false)
	f("000000000000000A.seg", 0, false)
	f("0000000000000000.SEG", 0, false)
	f("", 0, false)
}

func FuzzParseHeader(f *testing.F) {
	h := testHeader()
	f.Add(appendHeader(nil, &h))
	f.Add([]byte(headerMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := parseHeader(p)
		if err != nil {
			return
		}
		again, err := parseHeader(appendHeader(nil, &h))
		if err != nil || again != h {
			t.Fatalf("%+v becomes %+v: %v", h, again, err)
		}
	})
}

// FuzzParseFooter damages a sound footer as well as trying others: with the sum made right, so that what is behind it is
// reached.
func FuzzParseFooter(f *testing.F) {
	h := testHeader()
	sound, err := appendFooter(nil, &h, h.base+8192+96, testIndex())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound, uint16(0), byte(0))
	f.Add(sound, uint16(len(sound)-trailerLen), byte(1))
	f.Add(sound, uint16(len(sound)-trailerLen-summaryLen), byte(255))
	f.Fuzz(func(t *testing.T, p []byte, at uint16, b byte) {
		p = bytes.Clone(p)
		if int(at) < len(p) {
			p[at] ^= b
		}
		resum(p, &h)
		foot, need, err := parseFooter(p, &h, headerLen+8192+96+int64(len(p)))
		if err != nil || foot == nil {
			if err == nil && (need <= len(p) || need > summaryLen+maxBitmapLen+trailerLen) {
				t.Fatalf("needs %d of %d bytes", need, len(p))
			}
			return
		}
		if foot.end < h.base || foot.end > h.end() || foot.entries*entryLen > len(p) || foot.extentsLen > len(p) {
			t.Fatalf("%+v", foot)
		}
		for shard := range uint32(100) {
			foot.mayHold(shard)
		}
		dir := p[:foot.entries*entryLen]
		for shard := range uint32(10) {
			e, ok := findEntry(dir, shard)
			if !ok || int64(e.off)+int64(e.len) > int64(foot.extentsLen) {
				continue
			}
			x := p[len(dir)+int(e.off):][:e.len]
			list, err := parseExtents(x, e.batches, foot.end-h.base)
			if err != nil {
				continue
			}
			for i, e := range list {
				if extentOffset(e)+extentLen(e) > foot.end-h.base || i > 0 && e <= list[i-1] {
					t.Fatalf("extent %d of %x", i, list)
				}
			}
		}
	})
}

func FuzzParseExtents(f *testing.F) {
	list := testIndex().run(7).view().list(nil)
	f.Add(appendExtents(nil, list), uint32(len(list)))
	f.Fuzz(func(t *testing.T, p []byte, count uint32) {
		list, err := parseExtents(p, count, 1<<14)
		if err != nil {
			return
		}
		again, err := parseExtents(appendExtents(nil, list), count, 1<<14)
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("%x becomes %x: %v", list, again, err)
		}
	})
}

// resum makes the sum of a footer's summary right, if there is one.
func resum(p []byte, h *header) {
	if len(p) < trailerLen+summaryLen {
		return
	}
	t := p[len(p)-trailerLen:]
	n := int(binary.LittleEndian.Uint32(t[12:]))
	if n < summaryLen || n > len(p)-trailerLen {
		return
	}
	s := p[len(p)-trailerLen-n:]
	binary.LittleEndian.PutUint64(t[16:], xxhash.Sum64(s[:n+16])^h.key)
}

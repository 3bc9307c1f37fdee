package loadgen

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
)

func TestZipfAndUniformKeys(t *testing.T) {
	f := func(d Distribution, s float64) {
		t.Helper()
		const keys, draws = 100, 400_000
		c := Config{Seed: 3, Distribution: d, ZipfS: s}
		set := newKeySet(&c, 0, keys, func(key []byte) uint32 { return uint32(key[keyLen-1]) % 7 })
		if len(set.groups) < 2 {
			t.Fatal("one group: nothing to weigh")
		}
		var seen [keys]float64
		for range draws {
			seen[set.pickKey(set.pickGroup())]++
		}
		total := 0.0
		for k := range keys {
			w := 1.0
			if d == Zipf {
				w = zipfWeight(k, s)
			}
			total += w
		}
		for k := range keys {
			want := draws / total
			if d == Zipf {
				want *= zipfWeight(k, s)
			}
			if math.Abs(seen[k]-want) > 6*math.Sqrt(want) {
				t.Errorf("%s %v: key %d drawn %.0f times, want %.0f", d, s, k, seen[k], want)
			}
		}
	}
	f(Uniform, 0)
	f(Zipf, 1.1)
	f(Zipf, 0.7)
}

// wireOf makes the wire of a test's target.
func wireOf(c *Config, shards uint32) *nativeWire {
	return &nativeWire{limit: c.BatchBytes, shardOf: func(key []byte) uint32 { return uint32(key[keyLen-1]) % shards }}
}

func TestPreparedBatches(t *testing.T) {
	f := func(name string, c Config, l *lines) {
		t.Helper()
		c, _ = complete(t, c)
		w := wireOf(&c, 3)
		p, err := newPool(&c, 77, 2, 4, l, w)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(p.requests) < 2 {
			t.Fatalf("%s: %d requests", name, len(p.requests))
		}
		var it batch.Iterator
		n := uint64(1000)
		shards := make(map[uint32]bool)
		lines := make(map[string]bool)
		for range 2 * len(p.requests) { // each is sent more than once
			r := p.next()
			w.stamp(r, n, 123456789)
			b, err := batch.Check(r.wire, c.BatchBytes)
			if err != nil {
				t.Fatalf("%s: the server would refuse: %v", name, err)
			}
			if err := it.Reset(b); err != nil {
				t.Fatal(err)
			}
			shards[b.Shard()] = true
			bytesSeen := 0
			for it.Next() {
				if w.shardOf(it.Key()) != b.Shard() {
					t.Fatalf("%s: key %q in a batch of shard %d", name, it.Key(), b.Shard())
				}
				if !sound(it.Data()) || string(it.Key()[:4]) != "0002" {
					t.Fatalf("%s: unsound record", name)
				}
				bytesSeen += len(it.Data())
				lines[string(it.Data()[headerLen:])] = true
			}
			if bytesSeen != r.bytes || b.Records() != len(r.marks) || b.Records() > c.BatchRecords {
				t.Fatalf("%s: %d bytes in %d records, said %d in %d", name, bytesSeen, b.Records(), r.bytes, len(r.marks))
			}
			n += uint64(len(r.marks))
		}
		if len(shards) != 3 {
			t.Errorf("%s: %d shards of 3 are used", name, len(shards))
		}
		if l != nil {
			for i := range l.count() {
				if !lines[string(l.line(i))] {
					t.Errorf("%s: line %d is never sent", name, i)
				}
			}
		}
	}
	f("default", Config{}, nil)
	f("smallest", Config{Size: MinSize, BatchRecords: 1}, nil)
	f("larger than a batch", Config{Size: 300_000}, nil)
	f("bytes bound", Config{Size: 1000, BatchBytes: 4096}, nil)
	var text strings.Builder
	for i := range 3000 {
		text.WriteString(strings.Repeat("line ", i%50+1) + "\n")
	}
	l, err := parseLines(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	f("lines", Config{Payload: "x"}, l)
	f("lines, one per request", Config{Payload: "x", BatchRecords: 1}, l)
}

func TestRecordLargerThanAnyBatch(t *testing.T) {
	c, _ := complete(t, Config{Payload: "x", BatchBytes: 1024})
	l, err := parseLines(strings.NewReader(strings.Repeat("x", 2000)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPool(&c, 1, 0, 1, l, wireOf(&c, 1)); !errors.Is(err, ErrConfig) {
		t.Fatalf("error %v, want ErrConfig", err)
	}
}

func TestParseLines(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		l, err := parseLines(strings.NewReader(in))
		if err != nil {
			if len(want) > 0 {
				t.Errorf("%.20q: %v", in, err)
			}
			return
		}
		if l.count() != len(want) {
			t.Fatalf("%.20q: %d lines, want %d", in, l.count(), len(want))
		}
		for i, w := range want {
			if string(l.line(i)) != w {
				t.Errorf("%.20q: line %d is %q, want %q", in, i, l.line(i), w)
			}
		}
	}
	f("a\nb\n", "a", "b")
	f("a\r\n\r\nb", "a", "b")
	f("")
	f("\n\n\n")
	f(strings.Repeat("x", maxLine), strings.Repeat("x", maxLine))
	f(strings.Repeat("x", maxLine+1))
	f("ok\n" + strings.Repeat("x", 2*maxLine))
}

// The real log, where it is there: every line must come round.
func TestRealLog(t *testing.T) {
	path := realLog(t)
	l, err := readLines(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(bytes.Split(bytes.TrimSpace(raw), []byte("\n"))); l.count() != want || l.cut {
		t.Fatalf("%d lines of %d", l.count(), want)
	}
	c, _ := complete(t, Config{Payload: path})
	p, err := newPool(&c, 1, 0, 2, l, wireOf(&c, 4))
	if err != nil {
		t.Fatal(err)
	}
	records := 0
	for _, r := range p.requests {
		records += len(r.marks)
	}
	if records < l.count() {
		t.Fatalf("%d of %d lines prepared", records, l.count())
	}
	info, err := describePayload(&c, l)
	if err != nil || info.ZstdRatio < 2 {
		t.Fatalf("%+v, %v: a log that does not compress", info, err)
	}
}

// realLog finds the access log beside the checkout, or skips.
func realLog(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", "apache_access.log")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the access log is not beside the checkout: ../shared/data/apache_access.log")
	}
	return path
}

func TestRandomPayloadDoesNotCompress(t *testing.T) {
	c, _ := complete(t, Config{Size: 1000})
	info, err := describePayload(&c, nil)
	if err != nil || info.Kind != "random" || info.ZstdRatio > 1.1 {
		t.Fatalf("%+v, %v", info, err)
	}
}

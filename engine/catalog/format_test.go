package catalog

import (
	"bytes"
	"encoding/hex"
	"flag"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/internal/vfs"
)

var update = flag.Bool("update", false, "write the golden files of a new format version")

// goldenState is what the golden files hold.
func goldenState() *state {
	st := newState()
	st.hasSecret = true
	for i := range st.secret {
		st.secret[i] = byte(i)
	}
	a, b := hashkey.Full().Split(hashkey.Full().Mid())
	st.streams[3] = &StreamInfo{
		ID: 3, Name: Name{"123456789012", "eu-central-1", "orders"}, Status: Active, OnDemand: true, Routing: hashkey.XXH64,
		Durability: 1, RetentionHours: 8760, MaxRecordBytes: 10 << 20, Created: time.Unix(1_700_000_000, 5),
		Tags: map[string]string{"team": "shop", "": "empty key"}, RouteEpoch: 65535, NextIndex: 9,
		Shards: []ShardInfo{
			{Index: 1, ID: 10, Range: hashkey.Full(), Parent: -1, AdjacentParent: -1, CreatedSeconds: 1_700_000_000, ClosedSeconds: 1_700_000_009, Start: 32, End: 1 << 50},
			{Index: 2, ID: 11, Range: a, Parent: 1, AdjacentParent: -1, CreatedSeconds: 1_700_000_010, Start: 1 << 50},
			{Index: 8, ID: 4711, Range: b, Parent: 1, AdjacentParent: 0, CreatedSeconds: 1_700_000_010, Start: 1 << 50},
		},
	}
	st.streams[7] = &StreamInfo{
		ID: 7, Name: Name{"000000000000", "us-east-1", "clicks"}, Status: Deleting, RetentionHours: 24, MaxRecordBytes: 1 << 20,
		Created: time.Unix(0, 0), RouteEpoch: 1, NextIndex: 1, Tags: map[string]string{},
	}
	st.nextStream, st.nextShard = 100, 5000
	return st
}

func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := "testdata/" + name + ".hex"
	if *update {
		lines := ""
		for b := got; len(b) > 0; b = b[min(len(b), 32):] {
			lines += hex.EncodeToString(b[:min(len(b), 32)]) + "\n"
		}
		must(t, os.WriteFile(path, []byte(lines), fs.FileMode(0o644)))
	}
	text, err := os.ReadFile(path)
	must(t, err)
	want, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	must(t, err)
	return want
}

// The bytes of format version 1 never change: every later build must write and read these files.
func TestGolden(t *testing.T) {
	st := goldenState()
	snap, err := st.appendSnapshot(nil, header{roleSnapshot, 5, 0x1122334455667788})
	must(t, err)
	want := golden(t, "snapshot-v1", snap)
	if !bytes.Equal(snap, want) {
		t.Fatal("the snapshot is not written as it was")
	}
	log := appendHeader(nil, header{roleLog, 5, 0x1122334455667788})
	next := st.streams[3].Clone()
	next.Status, next.Shards = Updating, next.Shards[1:]
	delete(next.Tags, "")
	for _, body := range []func([]byte) []byte{
		func(b []byte) []byte { return diff(b, st.streams[3], next) },
		func(b []byte) []byte { return appendNumber(b, kindRemoved, 7) },
	} {
		at := len(log)
		log, err = endEntry(body(beginEntry(log)), at, int64(at), 0x1122334455667788)
		must(t, err)
	}
	if !bytes.Equal(log, golden(t, "log-v1", log)) {
		t.Fatal("the log is not written as it was")
	}

	fsys := vfs.NewMem(0)
	must(t, fsys.MkdirAll("data/catalog"))
	c := &Catalog{o: Options{FS: fsys, Dir: "data/catalog"}, st: newState()}
	for name, b := range map[string][]byte{"snapshot-0000000000000005": want, "log-0000000000000005": log} {
		file, err := c.writeFile("data/catalog/"+name, b)
		must(t, err)
		must(t, file.Close())
	}
	c = openTest(t, fsys)
	if d := cmp.Diff([]*StreamInfo{next}, c.All()); d != "" {
		t.Fatal(d)
	}
	if c.Secret() != st.secret || c.ReserveStream() != 100 || c.ReserveShards(1) != 5000 {
		t.Fatal("secret or counters are not read as they were written")
	}
}

func FuzzApply(f *testing.F) {
	st := goldenState()
	snap, err := st.appendSnapshot(nil, header{roleSnapshot, 5, 1})
	if err != nil {
		f.Fatal(err)
	}
	for off := int64(headerLen); off < int64(len(snap)); {
		payload, next, cause := entryAt(snap, off, 1)
		if cause != "" {
			f.Fatal(cause)
		}
		f.Add(payload)
		off = next
	}
	f.Add(appendDropped(appendTags([]byte{entryVersion}, st.streams[3]), 3, []uint32{1, 2}))
	with := st.streams[7].Clone()
	with.Consumers = someConsumers(0)
	f.Add(appendConsumers([]byte{entryVersion}, with))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) == 0 {
			return
		}
		st := goldenState()
		if err := st.apply(payload, "log", 0); err != nil {
			return
		}
		// What is accepted must survive being written and read.
		again := newState()
		st.ended = false
		b, err := st.appendSnapshot(nil, header{roleSnapshot, 1, 1})
		if err != nil {
			return // too many tags for one entry
		}
		for off := int64(headerLen); off < int64(len(b)); {
			p, next, cause := entryAt(b, off, 1)
			if cause != "" {
				t.Fatal(cause)
			}
			if err := again.apply(p, "snapshot", off); err != nil {
				t.Fatal(err)
			}
			off = next
		}
		if d := cmp.Diff(st.sortedStreams(), again.sortedStreams(), cmp.Transformer("tags", func(m map[string]string) []string {
			var out []string
			for k, v := range m {
				out = append(out, k+"="+v)
			}
			slices.Sort(out)
			return out
		})); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzLog(f *testing.F) {
	log := appendHeader(nil, header{roleLog, 5, 7})
	for range 3 {
		at := len(log)
		log, _ = endEntry(appendNumber(beginEntry(log), kindCounters, 9, 9), at, int64(at), 7)
	}
	f.Add(log)
	f.Add(log[:len(log)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b, "log", roleLog)
		if err != nil {
			h.salt = 7
			if len(b) < headerLen {
				return
			}
		}
		end, err := newState().replay(b, "log", h.salt)
		if err == nil && (end < headerLen || end > int64(len(b))) {
			t.Fatalf("the log of %d bytes ends at %d", len(b), end)
		}
	})
}

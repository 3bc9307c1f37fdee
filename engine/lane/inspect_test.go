package lane

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

// inspected is the bytes of the first segment of a lane with batches of two shards, before and after Close seals it.
func inspected(t *testing.T, batches int) (open, sealed []byte) {
	t.Helper()
	dir := t.TempDir()
	l, err := Open(Options{FS: vfs.OS(), Dir: dir, RingSize: 1 << 20, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var b batch.Builder
	var last Ticket
	for i := range batches {
		b.Reset(uint32(i%2), batch.BuildOptions{})
		for r := range 3 {
			if err := b.Append(fmt.Appendf(nil, "key%d", r), bytes.Repeat([]byte{byte(i)}, 50)); err != nil {
				t.Fatal(err)
			}
		}
		done, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if last, err = l.Append(uint32(i%2), done); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Wait(t.Context(), last.End, LevelDisk); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil || len(names) == 0 {
		t.Fatalf("segments %v, %v", names, err)
	}
	if open, err = os.ReadFile(names[0]); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if sealed, err = os.ReadFile(names[0]); err != nil {
		t.Fatal(err)
	}
	return open, sealed
}

func TestInspectSegment(t *testing.T) {
	const batches = 20
	open, sealed := inspected(t, batches)
	f := func(name string, file []byte, wantSealed bool) {
		t.Helper()
		var positions []uint64
		records := 0
		s, err := InspectSegment(bytes.NewReader(file), int64(len(file)), func(p uint64, b batch.Batch) error {
			if b.Kind() != batch.KindData {
				return nil
			}
			if _, err := batch.CheckDelivered(b); err != nil {
				t.Errorf("%s: batch at %#x: %v", name, p, err)
			}
			if b.Position() != p {
				t.Errorf("%s: batch at %#x says %#x", name, p, b.Position())
			}
			positions, records = append(positions, p), records+b.Records()
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(positions) != batches || records != 3*batches || s.Sealed != wantSealed || s.End <= positions[batches-1] {
			t.Errorf("%s: %d batches, %d records, %+v", name, len(positions), records, s)
		}
		if wantSealed && (len(s.Shards) != 2 || s.Shards[1].Records != 3*batches/2) {
			t.Errorf("%s: directory %+v", name, s.Shards)
		}
	}
	f("open", open, false)
	f("sealed", sealed, true)
}

func TestInspectDamage(t *testing.T) {
	_, sealed := inspected(t, 4)
	ignore := func(uint64, batch.Batch) error { return nil }
	f := func(name string, damage func(file []byte) []byte) {
		t.Helper()
		file := damage(bytes.Clone(sealed))
		_, err := InspectSegment(bytes.NewReader(file), int64(len(file)), ignore)
		if err == nil {
			t.Errorf("%s: not found", name)
		}
	}
	flip := func(at int) func([]byte) []byte {
		return func(file []byte) []byte { file[at] ^= 1; return file }
	}
	f("nothing", func([]byte) []byte { return nil })
	f("header cut", func(file []byte) []byte { return file[:100] })
	f("magic", flip(0))
	f("header field", flip(offHeadRing))
	f("batch header", flip(headerLen+offsetInBatch))
	f("batch body", flip(headerLen+batch.HeaderLen+5))
	f("commit word", flip(headerLen))
	stop := errors.New("stop")
	_, err := InspectSegment(bytes.NewReader(sealed), int64(len(sealed)), func(uint64, batch.Batch) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("an error of visit came back as %v", err)
	}
	for at := range sealed { // whatever is wrong, it must not panic
		if at%7 == 0 {
			file := flip(at)(bytes.Clone(sealed))
			_, _ = InspectSegment(bytes.NewReader(file), int64(len(file)), ignore)
		}
	}
}

const offsetInBatch = 16 // the shard, which the header sum covers

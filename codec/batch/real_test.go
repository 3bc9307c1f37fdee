package batch

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// realLog is the lines of a real web log, which lies beside the checkout and not in it.
func realLog(t *testing.T) [][]byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	file := filepath.Join(dir, "..", "shared", "data", "apache_access.log")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no real web log at ../shared/data/apache_access.log beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// TestRealLog packs a real log into batches as a producer does, keyed by client address, and reads it back.
func TestRealLog(t *testing.T) {
	lines := realLog(t)
	for _, o := range []BuildOptions{{MaxLen: 64 << 10}, {MaxLen: 64 << 10, Codec: CodecZstd, KeyHashes: true}} {
		var b Builder
		var stream []byte // the batches one behind the other, as on a wire
		b.Reset(1, o)
		cut := func() {
			out, err := b.Finish()
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, out...)
			b.Reset(1, o)
		}
		for _, l := range lines {
			key, _, _ := bytes.Cut(l, []byte(" "))
			err := b.Append(key, l)
			if errors.Is(err, ErrFull) {
				cut()
				err = b.Append(key, l)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		cut()
		total, batches, next := len(stream), 0, 0
		var it Iterator
		for len(stream) > 0 {
			batch, err := Check(stream, o.MaxLen)
			if err != nil || batch.Codec() != o.Codec {
				t.Fatalf("batch %d: %v, %v", batches, batch, err)
			}
			if err := it.Reset(batch); err != nil {
				t.Fatal(err)
			}
			for it.Next() {
				if !bytes.Equal(it.Data(), lines[next]) || !bytes.HasPrefix(it.Data(), it.Key()) {
					t.Fatalf("line %d came back as %q", next, it.Data())
				}
				next++
			}
			if it.Err() != nil {
				t.Fatal(it.Err())
			}
			stream = stream[batch.Len():]
			batches++
		}
		if next != len(lines) || batches < 10 {
			t.Fatalf("%d lines of %d in %d batches", next, len(lines), batches)
		}
		t.Logf("%v: %d lines in %d batches, %d bytes", o.Codec, next, batches, total)
	}
}

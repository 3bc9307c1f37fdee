package lane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testDir = "lane"

// smallOptions is a lane that laps and rolls often.
func smallOptions(fsys vfs.FS) Options {
	return Options{FS: fsys, Dir: testDir, RingSize: 4096, SegmentSize: 16384}
}

// maker makes checked batches of one record whose data tells who made it and which it is.
type maker struct{ b batch.Builder }

func (m *maker) make(t testing.TB, shard uint32, producer, n uint64, size int) batch.Batch {
	t.Helper()
	m.b.Reset(shard, batch.BuildOptions{MaxLen: batch.MaxLen})
	data := make([]byte, 16+max(size, 0))
	binary.LittleEndian.PutUint64(data, producer)
	binary.LittleEndian.PutUint64(data[8:], n)
	for i := 16; i < len(data); i++ {
		data[i] = byte(n) + byte(i)
	}
	if err := m.b.Append([]byte("key"), data); err != nil {
		t.Fatal(err)
	}
	b, err := m.b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// label reads back what maker put into a delivered batch, and checks every byte of it.
func label(b batch.Batch) (producer, n uint64, err error) {
	checked, err := batch.CheckDelivered(b)
	if err != nil {
		return 0, 0, err
	}
	var it batch.Iterator
	if err := it.Reset(checked); err != nil {
		return 0, 0, err
	}
	if !it.Next() {
		return 0, 0, fmt.Errorf("no record: %w", it.Err())
	}
	data := it.Data()
	producer, n = binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
	for i := 16; i < len(data); i++ {
		if data[i] != byte(n)+byte(i) {
			return 0, 0, fmt.Errorf("byte %d of batch %d is %#x", i, n, data[i])
		}
	}
	return producer, n, nil
}

func open(t testing.TB, o Options) *Lane {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// mustAppend appends, waiting for space where need be.
func mustAppend(t testing.TB, l *Lane, shard uint32, b batch.Batch) Ticket {
	t.Helper()
	tk, err := appendWaiting(l, shard, b)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func appendWaiting(l *Lane, shard uint32, b batch.Batch) (Ticket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		tk, err := l.Append(shard, b)
		if !errors.Is(err, ErrBusy) {
			return tk, err
		}
		if err := l.WaitSpace(ctx, len(b)); err != nil {
			return Ticket{}, err
		}
	}
}

func mustWait(t testing.TB, l *Lane, end uint64, level Level) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Wait(ctx, end, level); err != nil {
		t.Fatal(err)
	}
}

// readAll reads everything of a shard, maxBytes at a time, and returns copies of the batches.
func readAll(t testing.TB, l *Lane, shard uint32, maxBytes int, level Level) []batch.Batch {
	t.Helper()
	all, err := tryReadAll(l, shard, maxBytes, level)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func tryReadAll(l *Lane, shard uint32, maxBytes int, level Level) (all []batch.Batch, err error) {
	from := uint64(0)
	for {
		p, next, err := l.Read(nil, Query{Shard: shard, From: from, MaxBytes: maxBytes, Level: level})
		if err != nil {
			return all, err
		}
		if len(p) == 0 {
			return all, nil
		}
		if next <= from {
			return all, fmt.Errorf("read at %#x goes on at %#x", from, next)
		}
		from = next
		list, err := split(p)
		if err != nil {
			return all, err
		}
		all = append(all, list...)
	}
}

// split takes delivered batches apart and checks each.
func split(p []byte) (list []batch.Batch, err error) {
	for len(p) > 0 {
		b, err := batch.CheckDelivered(p)
		if err != nil {
			return nil, err
		}
		list = append(list, batch.Batch(bytes.Clone(b)))
		p = p[b.Len():]
	}
	return list, nil
}

// bothAppenders runs a test with each.
func bothAppenders(t *testing.T, f func(t *testing.T, kind AppenderKind)) {
	t.Run("mutex", func(t *testing.T) { f(t, AppenderMutex) })
	t.Run("lockfree", func(t *testing.T) { f(t, AppenderLockFree) })
}

// awaitTest waits for what another goroutine is about to do.
func awaitTest(t testing.TB, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("it does not happen")
		}
	}
}

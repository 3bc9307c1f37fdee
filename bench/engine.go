package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine/lane"
	"github.com/shardmill/shardmill/internal/vfs"
)

func engineScenarios() []scenario {
	out := []scenario{
		{component: "engine", name: "append 224 B", probe: "memcpy into a ring", floor: 0.25, goal: 0.40, setup: appendNull(224, 1)},
		{component: "engine", name: "append 1.1 KiB", probe: "memcpy into a ring", floor: 0.45, goal: 0.60, setup: appendNull(1126, 1)},
		{component: "engine", name: "append 64 KiB", probe: "memcpy into a ring", floor: 0.80, goal: 0.90, setup: appendNull(64<<10, 1)},
		{component: "engine", name: "append 64 KiB, 2 producers", probe: "memcpy into rings on 2 threads", floor: 0.70, goal: 0.85, setup: appendNull(64<<10, 2)},
		{component: "engine", name: "append 224 B, 2 producers", probe: "the same with 1 producer", floor: 0.80, goal: 1.10, setup: appendTwo},
		{component: "engine", name: "append 224 B, lock-free", probe: "the same with the mutex appender", floor: 0.95, goal: 1, setup: lockFreeAgainstMutex(224, 1)},
		{component: "engine", name: "append 64 KiB, 2 producers, lock-free", probe: "the same with the mutex appender", floor: 0.95, goal: 1.5, setup: lockFreeAgainstMutex(64<<10, 2)},
		{component: "engine", name: "append 1.1 KiB to 10,000 shards", probe: "the same to 16 shards", floor: 0.90, goal: 0.95, setup: manyShards},
		{component: "engine", name: "append os 64 KiB", probe: "write(2) of 1 MiB blocks", floor: 0.80, goal: 0.90, setup: appendFile(lane.LevelOS)},
		{component: "engine", name: "append disk 64 KiB", probe: "pwrite + fdatasync of 1 MiB blocks", floor: 0.85, goal: 0.95, setup: appendFile(lane.LevelDisk)},
		{component: "engine", name: "recover", probe: "sum(pread, xxh64)", floor: 0.65, goal: 0.85, setup: recoverTail},
	}
	return out
}

// batchOf is a finished batch whose whole length is close to n bytes.
func batchOf(n int) (batch.Batch, error) {
	var b batch.Builder
	b.Reset(1, batch.BuildOptions{MaxLen: batch.MaxLen})
	if err := b.Append([]byte("k"), noise(max(n-batch.HeaderLen-16, 1))); err != nil {
		return nil, err
	}
	return b.Finish()
}

// appender returns a step that appends b to the lane, waiting for room where the ring is full.
func appender(ctx context.Context, l *lane.Lane, b batch.Batch, shards uint32) step {
	var i uint32
	return func() (int64, int64, error) {
		const perStep = 64
		for range perStep {
			i++
			for {
				_, err := l.Append(1+i%shards, b)
				if err == nil {
					break
				}
				if !errors.Is(err, lane.ErrBusy) {
					return 0, 0, err
				}
				if err := l.WaitSpace(ctx, len(b)); err != nil {
					return 0, 0, err
				}
			}
		}
		return perStep, int64(perStep * len(b)), nil
	}
}

func producers(n int, f func() step) []step {
	out := make([]step, n)
	for i := range out {
		out[i] = f()
	}
	return out
}

func nullLane(kind lane.AppenderKind) (*lane.Lane, error) {
	return lane.Open(lane.Options{RingSize: ringBytes, Appender: kind})
}

func appendNull(size, n int) func(*environment) (bencher, error) {
	return func(*environment) (bencher, error) {
		l, err := nullLane(lane.AppenderDefault)
		if err != nil {
			return bencher{}, err
		}
		b, err := batchOf(size)
		if err != nil {
			return bencher{}, err
		}
		rings := [][]byte{touched(ringBytes), touched(ringBytes)}
		return bencher{
			value: func(ctx context.Context, d time.Duration) (sample, error) {
				return together(ctx, d, producers(n, func() step { return appender(ctx, l, b, 1) })...)
			},
			probe: func(ctx context.Context, d time.Duration) (sample, error) {
				i := -1
				return together(ctx, d, producers(n, func() step { i++; return copyInto(rings[i], len(b)) })...)
			},
			close: l.Close,
		}, nil
	}
}

// against compares the same work on two lanes.
func against(value, probe *lane.Lane, b batch.Batch, nValue, nProbe int, shardsValue, shardsProbe uint32) bencher {
	side := func(l *lane.Lane, n int, shards uint32) func(context.Context, time.Duration) (sample, error) {
		return func(ctx context.Context, d time.Duration) (sample, error) {
			return together(ctx, d, producers(n, func() step { return appender(ctx, l, b, shards) })...)
		}
	}
	return bencher{
		value: side(value, nValue, shardsValue),
		probe: side(probe, nProbe, shardsProbe),
		close: func() error { return errors.Join(value.Close(), probe.Close()) },
	}
}

func twoLanes(size int, first, second lane.AppenderKind) (a, b *lane.Lane, batched batch.Batch, err error) {
	if a, err = nullLane(first); err != nil {
		return nil, nil, nil, err
	}
	if b, err = nullLane(second); err != nil {
		return nil, nil, nil, errors.Join(err, a.Close())
	}
	batched, err = batchOf(size)
	return a, b, batched, err
}

func appendTwo(*environment) (bencher, error) {
	a, b, one, err := twoLanes(224, lane.AppenderDefault, lane.AppenderDefault)
	return against(a, b, one, 2, 1, 1, 1), err
}

func lockFreeAgainstMutex(size, n int) func(*environment) (bencher, error) {
	return func(*environment) (bencher, error) {
		a, b, one, err := twoLanes(size, lane.AppenderLockFree, lane.AppenderMutex)
		return against(a, b, one, n, n, 1, 1), err
	}
}

func manyShards(*environment) (bencher, error) {
	a, b, one, err := twoLanes(1126, lane.AppenderDefault, lane.AppenderDefault)
	return against(a, b, one, 1, 1, 10_000, 16), err
}

// appendFile measures a saturated lane on a file: what has reached the level, per second. The lane is emptied between
// rounds so that a run does not fill the disk.
func appendFile(level lane.Level) func(*environment) (bencher, error) {
	return func(env *environment) (bencher, error) {
		const fileSize = 4 << 30 // more than a round writes
		b, err := batchOf(64 << 10)
		if err != nil {
			return bencher{}, err
		}
		l, err := lane.Open(lane.Options{FS: vfs.OS(), Dir: filepath.Join(env.dir, "lane"), RingSize: ringBytes})
		if err != nil {
			return bencher{}, err
		}
		return bencher{
			value: func(ctx context.Context, d time.Duration) (sample, error) {
				s, err := timed(ctx, d, levelAppender(ctx, l, b, level))
				return s, errors.Join(err, l.Wait(ctx, l.Watermarks().Published, level), l.Trim(l.Watermarks().Durable))
			},
			probe: func(ctx context.Context, d time.Duration) (sample, error) {
				return freshFile(ctx, env, d, fileSize, level == lane.LevelDisk)
			},
			close: l.Close,
		}, nil
	}
}

// levelAppender appends 4 MiB at a time and waits until all but the newest eight such groups have reached the level: half
// a ring in flight, so that neither the device nor the appender waits for the other.
func levelAppender(ctx context.Context, l *lane.Lane, b batch.Batch, level lane.Level) step {
	one := appender(ctx, l, b, 1)
	var ends [8]uint64
	i := 0
	return func() (int64, int64, error) {
		ops, bytes, err := one()
		if err != nil {
			return ops, bytes, err
		}
		wait := ends[i]
		ends[i] = l.Watermarks().Published
		i = (i + 1) % len(ends)
		return ops, bytes, l.Wait(ctx, wait, level)
	}
}

// freshFile writes 1 MiB blocks to a preallocated file, as a log does; rewriting cached pages would be another thing.
func freshFile(ctx context.Context, env *environment, d time.Duration, size int64, sync bool) (s sample, err error) {
	name := filepath.Join(env.dir, "probe")
	f, err := vfs.OS().Create(name)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	if err := f.Preallocate(size); err != nil {
		return s, err
	}
	return timed(ctx, d, writeBlocks(f, size, 1<<20, sync))
}

// recoverTail opens a lane that was cut off with 192 MiB in its last, unsealed segment.
func recoverTail(env *environment) (bencher, error) {
	const tail = 192 << 20
	image := filepath.Join(env.dir, "image")
	if err := writeUnsealed(image, tail); err != nil {
		return bencher{}, err
	}
	raw, err := scratchFile(env, tail)
	if err != nil {
		return bencher{}, err
	}
	n := 0
	return bencher{
		value: func(context.Context, time.Duration) (sample, error) {
			n++
			dir := filepath.Join(env.dir, fmt.Sprintf("copy-%d", n))
			if err := copySynced(dir, image); err != nil {
				return sample{}, err
			}
			start, cpu := time.Now(), processCPU()
			l, err := lane.Open(lane.Options{FS: vfs.OS(), Dir: dir, RingSize: ringBytes})
			s := sample{ops: 1, bytes: tail, wall: time.Since(start), cpu: processCPU() - cpu}
			s.figure = float64(tail) / s.wall.Seconds()
			if err != nil {
				return s, err
			}
			return s, errors.Join(l.Close(), os.RemoveAll(dir))
		},
		probe: func(context.Context, time.Duration) (sample, error) {
			buf := make([]byte, 1<<20)
			start, sum := time.Now(), xxhash.New()
			for off := int64(0); off < tail; off += int64(len(buf)) {
				if _, err := raw.ReadAt(buf, off); err != nil {
					return sample{}, err
				}
				_, _ = sum.Write(buf) // never fails
			}
			s := sample{ops: 1, bytes: tail, wall: time.Since(start)}
			s.figure = float64(tail) / s.wall.Seconds()
			return s, nil
		},
		close: raw.Close,
	}, nil
}

// copySynced copies a folder and waits until the disk has it: recovery syncs the tail, and must not pay for the copy.
func copySynced(to, from string) error {
	disk := vfs.OS()
	names, err := disk.List(from)
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(to); err != nil {
		return err
	}
	for _, n := range names {
		if err := copyFile(disk, filepath.Join(to, n), filepath.Join(from, n)); err != nil {
			return err
		}
	}
	return disk.SyncDir(to)
}

// copyFile keeps reserved space reserved: a copy full of written zeros would be another file than a crash leaves.
func copyFile(disk vfs.FS, to, from string) (err error) {
	src, err := disk.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := disk.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	size, err := src.Size()
	if err == nil {
		err = dst.Preallocate(size)
	}
	buf := make([]byte, 1<<20)
	var written []int64 // asked for before anything is read: what reading ahead caches no longer passes for reserved
	for off := int64(0); off < size && err == nil; off += int64(len(buf)) {
		if off, err = src.NextData(off); err == nil {
			written = append(written, off)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	for _, off := range written {
		part := buf[:min(int64(len(buf)), size-off)]
		if err == nil {
			_, err = src.ReadAt(part, off)
		}
		if err == nil {
			_, err = dst.WriteAt(part, off)
		}
	}
	return errors.Join(err, dst.SyncData())
}

// writeUnsealed leaves a lane folder as kill -9 would: the copy is taken while the lane is still open.
func writeUnsealed(image string, tail int) error {
	dir := image + "-live"
	l, err := lane.Open(lane.Options{FS: vfs.OS(), Dir: dir, RingSize: ringBytes})
	if err != nil {
		return err
	}
	b, err := batchOf(64 << 10)
	if err != nil {
		return err
	}
	ctx := context.Background()
	one := appender(ctx, l, b, 1)
	for done := int64(0); done < int64(tail); {
		_, n, err := one()
		if err == nil { // synced as it goes, as on a server: what no sync is known to have reached, recovery writes again
			err = l.Wait(ctx, l.Watermarks().Published, lane.LevelDisk)
		}
		if err != nil {
			return err
		}
		done += n
	}
	if err := copySynced(image, dir); err != nil {
		return err
	}
	return errors.Join(l.Close(), os.RemoveAll(dir))
}

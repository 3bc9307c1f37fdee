package bench

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

func nativeScenarios() []scenario {
	return []scenario{
		{component: "native", name: "PRODUCE 64 KiB, memory only", probe: "sum(gnet sink, memcpy, xxh64)", floor: 0.75, goal: 0.90, setup: produce(false, 1<<10)},
		{component: "native", name: "PRODUCE 64 KiB os, 1 KiB records", probe: "sum(gnet sink, memcpy, xxh64, write)", floor: 0.75, goal: 0.90, setup: produce(true, 1<<10)},
		{component: "native", name: "PRODUCE 64 KiB os, 100 B records", probe: "5 million records/s", floor: 1, goal: 2, setup: produceRecords},
		{component: "native", name: "PRODUCE one 256 B record, p50", probe: "gnet echo of 256 B, p50", floor: 1.4, goal: 1.15, lower: true, setup: produceOne},
		{component: "native", name: "FETCH 64 KiB from the ring", probe: "loopback stream of 64 KiB blocks", floor: 0.75, goal: 0.90, setup: fetchHot},
	}
}

// rig is an engine behind the native server, and a client of it.
type rig struct {
	engine *engine.Engine
	server *native.Server
	client *nativeclient.Client
	stream *nativeclient.Stream
}

func newRig(env *environment, onDisk bool, level nativeclient.Level) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	o := engine.Options{RingSize: ringBytes}
	if onDisk {
		o.FS, o.Dir = vfs.OS(), filepath.Join(env.dir, "log")
	}
	if r.engine, err = engine.Open(o); err != nil {
		return r, err
	}
	if r.server, err = native.Listen(native.Options{Addr: "127.0.0.1:0", Engine: r.engine}); err != nil {
		return r, err
	}
	ctx := context.Background()
	if r.client, err = nativeclient.Dial(ctx, nativeclient.Options{Addr: r.server.Addr().String()}); err != nil {
		return r, err
	}
	r.stream, err = r.client.Open(ctx, "bench", &nativeclient.Create{Shards: 1, Level: level})
	return r, err
}

func (r *rig) close() error {
	var errs []error
	if r.client != nil {
		errs = append(errs, r.client.Close())
	}
	if r.server != nil {
		errs = append(errs, r.server.Close())
	}
	if r.engine != nil {
		errs = append(errs, r.engine.Close())
	}
	return errors.Join(errs...)
}

// completions counts acknowledgements and keeps the first error.
type completions struct {
	sent int64
	done atomic.Int64
	mu   sync.Mutex
	err  error
	idle chan struct{} // gets a value when an acknowledgement arrives and somebody may wait
}

func newCompletions() *completions { return &completions{idle: make(chan struct{}, 1)} }

// Done is nativeclient.Completion.
func (c *completions) Done(_ uint64, a nativeclient.Ack) {
	if a.Err != nil {
		c.mu.Lock()
		if c.err == nil {
			c.err = a.Err
		}
		c.mu.Unlock()
	}
	c.done.Add(1)
	select {
	case c.idle <- struct{}{}:
	default:
	}
}

// drain waits until all that was sent is acknowledged.
func (c *completions) drain(ctx context.Context) error {
	for c.done.Load() < c.sent {
		select {
		case <-c.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// stream sends the same batch again and again for about d and waits for the last acknowledgement. ops counts records.
func (r *rig) produce(ctx context.Context, d time.Duration, b batch.Batch, level nativeclient.Level) (sample, error) {
	done := newCompletions()
	s, err := timed(ctx, d, func() (int64, int64, error) {
		done.sent++
		return int64(b.Records()), int64(len(b)), r.stream.ProduceBatch(ctx, b, level, 0, done)
	})
	return s, errors.Join(err, done.drain(ctx))
}

func (r *rig) batchOf(size int) (batch.Batch, error) {
	var b batch.Builder
	b.Reset(r.stream.Shards()[0].ID, batch.BuildOptions{})
	for _, record := range equalRecords(noise(codecBatchBytes), size) {
		if b.Len()+size+32 > codecBatchBytes {
			break
		}
		if err := b.Append(record[:8], record[8:]); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// produce holds a saturating producer against what the bytes must at least go through.
func produce(onDisk bool, size int) func(*environment) (bencher, error) {
	return func(env *environment) (bencher, error) {
		level := nativeclient.LevelMem
		if onDisk {
			level = nativeclient.LevelOS
		}
		r, err := newRig(env, onDisk, level)
		if err != nil {
			return bencher{}, err
		}
		b, err := r.batchOf(size)
		if err != nil {
			return bencher{}, errors.Join(err, r.close())
		}
		addr, stop, err := startGnet(len(b))
		if err != nil {
			return bencher{}, errors.Join(err, r.close())
		}
		ring := touched(ringBytes)
		return bencher{
			value: func(ctx context.Context, d time.Duration) (sample, error) { return r.produce(ctx, d, b, level) },
			probe: func(ctx context.Context, d time.Duration) (sample, error) {
				sink, err := gnetSink(ctx, d/2, addr, b, 4<<20)
				if err != nil {
					return sink, err
				}
				parts := []step{copyInto(ring, len(b)), hashBlocks(b)}
				sums := []sample{sink}
				for _, p := range parts {
					s, err := timed(ctx, d/8, p)
					if err != nil {
						return s, err
					}
					sums = append(sums, s)
				}
				if onDisk {
					s, err := freshFile(ctx, env, d/4, 4<<30, false)
					if err != nil {
						return s, err
					}
					sums = append(sums, s)
				}
				return sumOf(sums...), nil
			},
			close: func() error { return errors.Join(stop(), r.close()) },
		}, nil
	}
}

func produceRecords(env *environment) (bencher, error) {
	r, err := newRig(env, true, nativeclient.LevelOS)
	if err != nil {
		return bencher{}, err
	}
	b, err := r.batchOf(100)
	return bencher{
		value: func(ctx context.Context, d time.Duration) (sample, error) {
			s, err := r.produce(ctx, d, b, nativeclient.LevelOS)
			s.figure = float64(s.ops) / s.wall.Seconds()
			return s, err
		},
		probe: func(context.Context, time.Duration) (sample, error) {
			return sample{ops: 5e6, wall: time.Second, figure: 5e6}, nil
		},
		close: r.close,
	}, err
}

func produceOne(env *environment) (bencher, error) {
	r, err := newRig(env, false, nativeclient.LevelMem)
	if err != nil {
		return bencher{}, err
	}
	var builder batch.Builder
	builder.Reset(r.stream.Shards()[0].ID, batch.BuildOptions{})
	if err := builder.Append([]byte("k"), noise(256)); err != nil {
		return bencher{}, errors.Join(err, r.close())
	}
	b, err := builder.Finish()
	if err != nil {
		return bencher{}, errors.Join(err, r.close())
	}
	addr, stop, err := startGnet(0)
	if err != nil {
		return bencher{}, errors.Join(err, r.close())
	}
	done := newCompletions()
	return bencher{
		value: func(ctx context.Context, d time.Duration) (sample, error) {
			return latencies(ctx, d, func() error {
				done.sent++
				if err := r.stream.ProduceBatch(ctx, b, nativeclient.LevelMem, 0, done); err != nil {
					return err
				}
				return done.drain(ctx)
			})
		},
		probe: func(ctx context.Context, d time.Duration) (sample, error) { return gnetEcho(ctx, d, addr, 256) },
		close: func() error { return errors.Join(stop(), r.close()) },
	}, nil
}

// fetchHot reads the newest 32 MiB of a ring again and again by subscriptions.
func fetchHot(env *environment) (bencher, error) {
	r, err := newRig(env, false, nativeclient.LevelMem)
	if err != nil {
		return bencher{}, err
	}
	b, err := r.batchOf(1 << 10)
	if err != nil {
		return bencher{}, errors.Join(err, r.close())
	}
	ctx := context.Background()
	done := newCompletions()
	const span = 32 << 20
	for sent := 0; sent < span; sent += len(b) {
		done.sent++
		if err := r.stream.ProduceBatch(ctx, b, nativeclient.LevelMem, 0, done); err != nil {
			return bencher{}, errors.Join(err, r.close())
		}
	}
	shard := r.stream.Shards()[0].ID
	return bencher{
		value: func(ctx context.Context, d time.Duration) (sample, error) {
			return timed(ctx, d, func() (int64, int64, error) {
				sub, err := r.stream.Subscribe(ctx, []uint32{shard}, nativeclient.From{Kind: nativeclient.FromHorizon}, 4<<20)
				if err != nil {
					return 0, 0, err
				}
				var ops, bytes int64
				for bytes < span-1<<20 && err == nil {
					var got nativeclient.Delivery
					if got, err = sub.Next(ctx); err == nil {
						ops++
						bytes += int64(len(got.Batches))
						got.Release()
					}
				}
				return ops, bytes, errors.Join(err, sub.Close())
			})
		},
		probe: func(ctx context.Context, d time.Duration) (sample, error) { return loopback(ctx, d, 64<<10) },
		close: r.close,
	}, done.drain(ctx)
}

package loadgen

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

const (
	// fetchBytes is how much a reader asks for at once.
	fetchBytes = 1 << 20
	// followCredit is how many bytes the target may push ahead of a consumer.
	followCredit = 4 << 20
	// frameSlack is what a frame may need around a batch.
	frameSlack = 4 << 10
	// maxInFlight is the most the client's budget takes; the server grants less.
	maxInFlight = 1 << 30
)

// nativeTarget speaks the native protocol.
type nativeTarget struct {
	c    *Config
	addr string
}

var _ target = (*nativeTarget)(nil)

func (t *nativeTarget) level() nativeclient.Level {
	switch t.c.Ack {
	case AckMem:
		return nativeclient.LevelMem
	case AckOS:
		return nativeclient.LevelOS
	}
	return nativeclient.LevelDisk
}

// connect makes a connection with the stream open on it. The stream is created if absent.
func (t *nativeTarget) connect(ctx context.Context) (*nativeclient.Client, *nativeclient.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, t.c.Timeout)
	defer cancel()
	client, err := nativeclient.Dial(ctx, nativeclient.Options{
		Addr: t.addr, AccessKey: t.c.AccessKey, SecretKey: t.c.SecretKey, Name: "shardmill-load",
		MaxFrame: min(max(1<<20, t.c.BatchBytes)+frameSlack, frame.HardMaxFrame),
		InFlight: min(t.c.Window*(t.c.BatchBytes+frameSlack), maxInFlight),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", t.addr, err)
	}
	stream, err := client.Open(ctx, t.c.Stream, &nativeclient.Create{Shards: t.c.Shards, Routing: hashkey.XXH64, Level: t.level()})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open stream %s: %w", t.c.Stream, err), client.Close())
	}
	return client, stream, nil
}

func (t *nativeTarget) open(ctx context.Context) error {
	client, _, err := t.connect(ctx)
	if err != nil {
		return err
	}
	return client.Close()
}

func (t *nativeTarget) sender(ctx context.Context, _ uint32, done completion) (sender, error) {
	client, stream, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if most := client.MaxBatch(); t.c.BatchBytes > most {
		return nil, errors.Join(fmt.Errorf("%w: batches of %d bytes, the server takes at most %d", ErrConfig, t.c.BatchBytes, most), client.Close())
	}
	return &nativeSender{
		nativeWire: nativeWire{shardOf: func(key []byte) uint32 { return stream.ShardFor(key).ID }, limit: t.c.BatchBytes},
		client:     client, stream: stream, level: t.level(), out: &nativeCompletion{done: done},
	}, nil
}

func (t *nativeTarget) reader(ctx context.Context) (reader, error) {
	client, stream, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &nativeReader{t: t, client: client, stream: stream}, nil
}

func (t *nativeTarget) close() error { return nil }

// nativeSender is one pipelined connection.
type nativeSender struct {
	nativeWire
	client *nativeclient.Client
	stream *nativeclient.Stream
	level  nativeclient.Level
	out    nativeclient.Completion
}

func (s *nativeSender) send(ctx context.Context, r *request, tag uint64) error {
	return s.stream.ProduceBatch(ctx, batch.Batch(r.wire), s.level, tag, s.out)
}

func (s *nativeSender) close() error { return s.client.Close() }

// nativeCompletion hands acknowledgements on.
type nativeCompletion struct{ done completion }

func (c *nativeCompletion) Done(tag uint64, a nativeclient.Ack) {
	c.done.done(tag, outcome{err: a.Err})
}

// nativeReader is one connection for reading. Not for concurrent use.
type nativeReader struct {
	t      *nativeTarget
	client *nativeclient.Client
	stream *nativeclient.Stream
	it     batch.Iterator
}

// shards lists the shards as they are now: the stream is opened anew.
func (r *nativeReader) shards(ctx context.Context) ([]shardRef, error) {
	ctx, cancel := context.WithTimeout(ctx, r.t.c.Timeout)
	defer cancel()
	stream, err := r.client.Open(ctx, r.t.c.Stream, nil)
	if err != nil {
		return nil, err
	}
	r.stream = stream
	all := stream.Shards()
	out := make([]shardRef, 0, len(all))
	for _, s := range all {
		ref := shardRef{id: strconv.FormatUint(uint64(s.Index), 10), lane: s.ID}
		for _, p := range []int32{s.Parent, s.AdjacentParent} {
			if p >= 0 {
				ref.parents = append(ref.parents, strconv.Itoa(int(p)))
			}
		}
		out = append(out, ref)
	}
	return out, nil
}

func (r *nativeReader) seek(ctx context.Context, s shardRef, from start) (*cursor, error) {
	cur := &cursor{shard: s, horizon: from == startHorizon}
	if cur.horizon {
		return cur, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.t.c.Timeout)
	defer cancel()
	d, err := r.stream.Fetch(ctx, s.lane, nativeclient.From{Kind: nativeclient.FromLatest}, 0, fetchBytes, 0)
	if err != nil {
		return nil, err
	}
	cur.position, cur.ended = d.Next, d.End
	d.Release()
	return cur, nil
}

func (r *nativeReader) read(ctx context.Context, cur *cursor, wait time.Duration, c *checker) (int, bool, error) {
	if cur.ended {
		return 0, true, nil
	}
	from := nativeclient.From{Kind: nativeclient.FromPosition, Value: cur.position}
	if cur.horizon {
		from = nativeclient.From{Kind: nativeclient.FromHorizon}
	}
	ctx, cancel := context.WithTimeout(ctx, r.t.c.Timeout+wait)
	defer cancel()
	d, err := r.stream.Fetch(ctx, cur.shard.lane, from, 1, fetchBytes, wait)
	if err != nil {
		return 0, false, err
	}
	n := r.take(cur, &d, c)
	return n, n == 0, nil
}

// take gives a delivery's records to c, moves the cursor behind them and releases the delivery.
func (r *nativeReader) take(cur *cursor, d *nativeclient.Delivery, c *checker) (n int) {
	defer d.Release()
	c.begin()
	defer c.end()
	for rest := d.Batches; len(rest) > 0; {
		b, err := batch.CheckDelivered(rest)
		if err == nil {
			err = r.it.Reset(b)
		}
		if err != nil {
			c.book.corrupt.Add(1) // where the next batch begins is not known either
			break
		}
		rest = rest[b.Len():]
		if b.Position() < cur.position {
			continue // had before: a subscription begins at the foremost of its shards
		}
		for r.it.Next() {
			c.record(r.it.Key(), r.it.Data())
			n++
		}
		if r.it.Err() != nil {
			c.book.corrupt.Add(1)
		}
	}
	cur.position, cur.horizon, cur.ended = max(cur.position, d.Next), false, d.End
	return n
}

func (r *nativeReader) follow(ctx context.Context, curs []*cursor, c *checker) error {
	byLane := make(map[uint32]*cursor, len(curs))
	lanes := make([]uint32, 0, len(curs))
	for _, cur := range curs {
		if cur.horizon {
			if _, _, err := r.read(ctx, cur, 0, c); err != nil {
				return orStopped(ctx, err)
			}
		}
		byLane[cur.shard.lane] = cur
		lanes = append(lanes, cur.shard.lane)
	}
	from := curs[0].position
	for _, cur := range curs {
		from = min(from, cur.position)
	}
	sub, err := r.stream.Subscribe(ctx, lanes, nativeclient.From{Kind: nativeclient.FromPosition, Value: from}, followCredit)
	if err != nil {
		return orStopped(ctx, err)
	}
	for {
		d, err := sub.Next(ctx)
		if err != nil {
			err = orStopped(ctx, err)
			return errors.Join(err, sub.Close())
		}
		cur := byLane[d.Shard]
		if cur == nil {
			d.Release()
			return errors.Join(fmt.Errorf("delivery for shard %d, which was not asked for", d.Shard), sub.Close())
		}
		if r.take(cur, &d, c); cur.ended {
			return sub.Close()
		}
	}
}

// orStopped is err, unless reading was to stop anyway.
func orStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *nativeReader) close() error { return r.client.Close() }

package native_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
	"github.com/shardmill/shardmill/transport/transporttest"
)

// conformant is the native transport as the suite wants it.
type conformant struct {
	r *rig
	c *nativeclient.Client

	mu        sync.Mutex // guards the following
	streams   map[string]*nativeclient.Stream
	producers map[string]*nativeclient.Producer
}

func (n *conformant) stream(ctx context.Context, name string, create *nativeclient.Create) (*nativeclient.Stream, *nativeclient.Producer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.streams[name]; s != nil {
		return s, n.producers[name], nil
	}
	s, err := n.c.Open(ctx, name, create)
	if err != nil {
		return nil, nil, err
	}
	p := s.NewProducer(nativeclient.ProducerOptions{})
	n.r.t.Cleanup(func() { _ = p.Close() })
	n.streams[name], n.producers[name] = s, p
	return s, p, nil
}

func (n *conformant) put(ctx context.Context, name string, recs []transporttest.Record) ([]*big.Int, error) {
	_, p, err := n.stream(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	var futures []*nativeclient.Future
	for _, rec := range recs {
		futures = append(futures, p.Produce(ctx, rec.Key, rec.Data))
	}
	var out []*big.Int
	for _, f := range futures {
		a, err := f.Wait(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, new(big.Int).SetUint64(a.Position))
	}
	return out, nil
}

// read reads a page. A cursor is a position; batches hold several, and reading within one begins in its middle.
func (n *conformant) read(ctx context.Context, name, shard, cursor string) (page transporttest.Page, err error) {
	s, _, err := n.stream(ctx, name, nil)
	if err != nil {
		return page, err
	}
	id, err := strconv.ParseUint(shard, 10, 32)
	if err != nil {
		return page, err
	}
	from, at := nativeclient.From{Kind: nativeclient.FromHorizon}, uint64(0)
	if cursor != "" {
		if at, err = strconv.ParseUint(cursor, 10, 64); err != nil {
			return page, err
		}
		from = nativeclient.From{Value: at}
	}
	d, err := s.Fetch(ctx, uint32(id), from, 0, 1<<20, 0)
	if err != nil {
		return page, err
	}
	defer d.Release()
	page.Next, page.End = strconv.FormatUint(d.Next, 10), d.End
	var it batch.Iterator
	for run := d.Batches; len(run) > 0; {
		b, err := batch.CheckDelivered(run)
		if err != nil {
			return page, err
		}
		if err := it.Reset(b); err != nil {
			return page, err
		}
		for it.Next() {
			if pos := b.Position() + uint64(it.Index()); pos >= at {
				page.Records = append(page.Records, transporttest.Record{Key: append([]byte(nil), it.Key()...),
					Data: append([]byte{}, it.Data()...), Sequence: new(big.Int).SetUint64(pos)})
			}
		}
		run = run[len(b):]
	}
	return page, nil
}

func (n *conformant) split(ctx context.Context, name, shard string) error {
	st, err := n.r.eng.Stream(engine.Name{Stream: name})
	if err != nil {
		return err
	}
	info := st.Info()
	for i := range info.Shards {
		if sh := &info.Shards[i]; fmt.Sprint(sh.ID) == shard {
			return st.Split(ctx, engine.ShardID(sh.Index), middle(sh.Range))
		}
	}
	return errors.New("no such shard")
}

// bad sends bytes on a connection of their own, after HELLO, and returns the server's refusal.
func (n *conformant) bad(b []byte) func(context.Context) error {
	return func(context.Context) error {
		w := n.r.wire()
		defer func() { _ = w.Close() }()
		w.hello()
		w.send(b)
		h, body, err := w.recv()
		if err != nil || h.Op != frame.OpError {
			return nil // taken, or closed without a word
		}
		f, err := frame.DecodeError(body)
		if err != nil {
			return nil
		}
		return errors.New(f.Code.String())
	}
}

func TestConformance(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Transport {
		r := newRig(t, memOptions(), native.Options{})
		n := &conformant{r: r, c: r.dial(nativeclient.Options{}), streams: map[string]*nativeclient.Stream{},
			producers: map[string]*nativeclient.Producer{}}
		return transporttest.Transport{
			Create: func(ctx context.Context, stream string, shards int) error {
				_, _, err := n.stream(ctx, stream, &nativeclient.Create{Shards: shards, Routing: hashkey.XXH64})
				return err
			},
			Shards: func(ctx context.Context, stream string) (out []string, err error) {
				s, _, err := n.stream(ctx, stream, nil)
				if err == nil {
					err = s.Refresh(ctx)
				}
				if err != nil {
					return nil, err
				}
				for _, sh := range s.Shards() {
					out = append(out, fmt.Sprint(sh.ID))
				}
				return out, nil
			},
			Put: n.put, Read: n.read, Split: n.split,
			From:     func(_, _ string, seq *big.Int) string { return seq.String() },
			NotFound: func(err error) bool { return errors.Is(err, nativeclient.ErrNotFound) },
			MaxData:  1<<20 - 256,
			Bad: map[string]func(context.Context) error{
				"zeros":           n.bad(make([]byte, 64)),
				"oversized":       n.bad(frame.AppendHeader(nil, frame.OpPing, 0, 1, 0, frame.DefaultMaxFrame)),
				"unknown":         n.bad(frame.AppendHeader(nil, 99, 0, 1, 0, 0)),
				"empty PRODUCE":   n.bad(frame.AppendHeader(nil, frame.OpProduce, 0, 1, 1, 0)),
				"FETCH of nobody": n.bad(frame.AppendFetch(nil, 1, 77, &frame.Fetch{})),
				"response":        n.bad(frame.AppendPing(nil, frame.FlagResponse, 1, nil)),
				"text":            n.bad([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
			},
		}
	})
}

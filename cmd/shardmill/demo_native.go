package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

// demoCredit is how many bytes the server may push ahead of the demo's reader.
const demoCredit = 4 << 20

// viaNative sends all lines of the ledger through a producer of the native protocol and reads them back through a
// subscription.
func viaNative(ctx context.Context, addr, stream string, l *ledger) (err error) {
	writer, err := nativeclient.Dial(ctx, nativeclient.Options{Addr: addr, Name: "demo producer"})
	if err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	reader, err := nativeclient.Dial(ctx, nativeclient.Options{Addr: addr, Name: "demo consumer"})
	if err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	out, err := writer.Open(ctx, stream, &nativeclient.Create{Shards: demoShards, Routing: hashkey.XXH64, Level: nativeclient.LevelDisk})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", stream, err)
	}
	in, err := reader.Open(ctx, stream, nil)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", stream, err)
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	l.start = time.Now()
	readers, reading := errgroup.WithContext(reading)
	t := &nativeTail{stream: in, ledger: l, next: map[uint32]uint64{}}
	readers.Go(func() error { return t.follow(reading) })
	putErr := putAllNative(ctx, out, l)
	if putErr == nil {
		waitComplete(reading, l)
	}
	stop()
	if err := readers.Wait(); err != nil {
		return err
	}
	return errors.Join(putErr, t.rest(ctx))
}

// putAllNative sends every line without waiting for the one before, then waits for all acknowledgements.
func putAllNative(ctx context.Context, s *nativeclient.Stream, l *ledger) error {
	p := s.NewProducer(nativeclient.ProducerOptions{Level: nativeclient.LevelDisk})
	type pending struct {
		line   int
		future *nativeclient.Future
	}
	acks := make(chan pending, 4096)
	waiters, waiting := errgroup.WithContext(ctx)
	waiters.Go(func() error {
		for a := range acks {
			if _, err := a.future.Wait(waiting); err != nil {
				for range acks { // the sender must not block on a full channel
					continue
				}
				return fmt.Errorf("produce: %w", err)
			}
			l.ack(a.line)
		}
		return nil
	})
	for i := range l.lines {
		l.sent(i)
		acks <- pending{i, p.Produce(ctx, []byte(l.lines[i].key), l.lines[i].data)}
	}
	flushErr := p.Flush(ctx)
	close(acks)
	return errors.Join(waiters.Wait(), flushErr, p.Close())
}

// nativeTail reads all shards of a stream.
type nativeTail struct {
	stream *nativeclient.Stream
	ledger *ledger
	next   map[uint32]uint64 // where each shard continues
	it     batch.Iterator
}

// follow books what is pushed until ctx ends.
func (t *nativeTail) follow(ctx context.Context) error {
	var ids []uint32
	for _, s := range t.stream.Shards() {
		ids = append(ids, s.ID)
	}
	sub, err := t.stream.Subscribe(ctx, ids, nativeclient.From{Kind: nativeclient.FromHorizon}, demoCredit)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for {
		d, err := sub.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return sub.Close()
			}
			return fmt.Errorf("tail: %w", errors.Join(err, sub.Close()))
		}
		if err := t.book(&d); err != nil {
			return errors.Join(err, sub.Close())
		}
	}
}

// rest reads what a subscription that has ended did not bring: after a complete tail there must be nothing.
func (t *nativeTail) rest(ctx context.Context) error {
	for _, s := range t.stream.Shards() {
		for {
			from := nativeclient.From{Kind: nativeclient.FromHorizon}
			if next, ok := t.next[s.ID]; ok {
				from = nativeclient.From{Kind: nativeclient.FromPosition, Value: next}
			}
			d, err := t.stream.Fetch(ctx, s.ID, from, 0, demoCredit/4, 0)
			if err != nil {
				return fmt.Errorf("fetch the rest of shard %d: %w", s.Index, err)
			}
			empty := len(d.Batches) == 0
			d.Shard = s.ID
			if err := t.book(&d); err != nil {
				return err
			}
			if empty {
				break
			}
		}
	}
	return nil
}

// book verifies and books the batches of a delivery, and releases it.
func (t *nativeTail) book(d *nativeclient.Delivery) error {
	defer d.Release()
	t.next[d.Shard] = d.Next
	for p := d.Batches; len(p) > 0; {
		b, err := batch.CheckDelivered(p)
		if err != nil {
			return fmt.Errorf("tail shard %d: %w", d.Shard, err)
		}
		if err := t.it.Reset(b); err != nil {
			return fmt.Errorf("tail shard %d: %w", d.Shard, err)
		}
		for t.it.Next() {
			t.ledger.receive(t.it.Key(), t.it.Data())
		}
		if err := t.it.Err(); err != nil {
			return fmt.Errorf("tail shard %d: %w", d.Shard, err)
		}
		p = p[b.Len():]
	}
	return nil
}

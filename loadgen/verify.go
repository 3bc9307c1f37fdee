package loadgen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// readersAfter is how many connections read back after a run without consumers.
	readersAfter = 4
	// grace is how long to go on looking at the tail for acknowledged records that are missing, since the last record
	// came: time for an endpoint whose readers lag behind its acknowledgements.
	grace = 2 * time.Second
	// tailPause is the pause between looks at the tail meanwhile.
	tailPause = 50 * time.Millisecond
)

// readback reads the stream: along with the run where there are consumers, to the end after it. Shards that come out of
// a split or merge are taken up when their parents have been read, so that order per key holds across them.
type readback struct {
	readers []*readerState
	target  target

	mu    sync.Mutex      // guards the following
	known map[string]bool // shards somebody reads or has read; true: to the end
	err   error           // the first failure of a consumer along the run
}

// readerState is one connection with its shards. Only one goroutine at a time uses it.
type readerState struct {
	rd      reader
	cursors []*cursor
	check   checker
}

// newReadback opens the readers and notes where the stream ends now, before the first record is sent.
func newReadback(ctx context.Context, r *run) (*readback, error) {
	b := &readback{target: r.target, known: make(map[string]bool)}
	first, err := r.target.reader(ctx)
	if err != nil {
		return nil, err
	}
	b.readers = append(b.readers, &readerState{rd: first})
	shards, err := first.shards(ctx)
	if err != nil {
		return nil, errors.Join(err, first.close())
	}
	n := min(readersAfter, len(shards))
	if r.c.Consumers > 0 {
		n = r.c.Consumers
	}
	for len(b.readers) < n {
		rd, err := r.target.reader(ctx)
		if err != nil {
			b.close()
			return nil, err
		}
		b.readers = append(b.readers, &readerState{rd: rd})
	}
	for i, s := range shards {
		cur, err := first.seek(ctx, s, startTail)
		if err != nil {
			b.close()
			return nil, fmt.Errorf("find the end of shard %s: %w", s.id, err)
		}
		b.known[s.id] = false
		st := b.readers[i%len(b.readers)]
		st.cursors = append(st.cursors, cur)
	}
	for _, st := range b.readers {
		st.check = checker{book: r.book, clock: r.clock, checked: !r.c.NoVerify}
		if r.c.Consumers > 0 {
			st.check.e2e = newRecorder(shape{opEndToEnd: true})
			r.recorders = append(r.recorders, st.check.e2e)
		}
	}
	return b, nil
}

// timed says which records count for end to end; called before the first is read.
func (b *readback) timed(r *run) {
	for _, st := range b.readers {
		st.check.from, st.check.to = r.clock.unix+r.when.measure, r.clock.unix+r.when.end
	}
}

// follow reads along until ctx is done. Without consumers there is nothing to do yet.
func (b *readback) follow(ctx context.Context) {
	var wg sync.WaitGroup
	for _, st := range b.readers {
		if st.check.e2e == nil {
			continue
		}
		wg.Go(func() {
			if err := b.followOne(ctx, st); err != nil && ctx.Err() == nil {
				b.mu.Lock()
				if b.err == nil {
					b.err = fmt.Errorf("read along: %w", err)
				}
				b.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func (b *readback) followOne(ctx context.Context, st *readerState) error {
	for ctx.Err() == nil {
		if err := b.tidy(ctx, st); err != nil {
			return err
		}
		if len(st.cursors) == 0 {
			pause(ctx, tailPause)
			continue
		}
		if err := st.rd.follow(ctx, st.cursors, &st.check); err != nil {
			return err
		}
	}
	return nil
}

// tidy drops the shards that have been read to their ends and takes up those that came out of them.
func (b *readback) tidy(ctx context.Context, st *readerState) error {
	var ended []string
	st.cursors = slices.DeleteFunc(st.cursors, func(c *cursor) bool {
		if c.ended {
			ended = append(ended, c.shard.id)
		}
		return c.ended
	})
	if len(ended) == 0 {
		return nil
	}
	shards, err := st.rd.shards(ctx)
	if err != nil {
		return fmt.Errorf("list the shards: %w", err)
	}
	for _, s := range b.adopt(ended, shards) {
		cur, err := st.rd.seek(ctx, s, startHorizon)
		if err != nil {
			return fmt.Errorf("begin shard %s: %w", s.id, err)
		}
		st.cursors = append(st.cursors, cur)
	}
	return nil
}

// adopt notes which shards have been read to the end and returns the new ones that are ready to be read. Whoever
// drains the last parent gets the child.
func (b *readback) adopt(ended []string, shards []shardRef) (children []shardRef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ended {
		b.known[id] = true
	}
	for _, s := range shards {
		if _, known := b.known[s.id]; known {
			continue
		}
		ready := true
		for _, p := range s.parents {
			if drained, known := b.known[p]; known && !drained {
				ready = false
			}
		}
		if ready {
			b.known[s.id] = false
			children = append(children, s)
		}
	}
	return children
}

// failure is the first failure of a consumer along the run.
func (b *readback) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// finish reads everything up to the tail. An error leaves it unknown what came back.
func (b *readback) finish(ctx context.Context) error {
	if err := b.failure(); err != nil {
		return err
	}
	errs := make([]error, len(b.readers))
	var wg sync.WaitGroup
	for i, st := range b.readers {
		wg.Go(func() { errs[i] = b.finishOne(ctx, st) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // one tells it; where one reader fails the others mostly do too
		}
	}
	return nil
}

func (b *readback) finishOne(ctx context.Context, st *readerState) error {
	progress := time.Now()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.tidy(ctx, st); err != nil {
			return err
		}
		tails := 0
		// One page of each shard in turn: complete stretches of records then add up early and cost no memory.
		for _, cur := range st.cursors {
			n, tail, err := st.rd.read(ctx, cur, 0, &st.check)
			if err != nil {
				return fmt.Errorf("read shard %s: %w", cur.shard.id, err)
			}
			if n > 0 {
				progress = time.Now()
			}
			if tail && !cur.ended {
				tails++
			}
		}
		if tails < len(st.cursors) {
			continue
		}
		if book := st.check.book; book.seen.Load() >= book.acked.Load() || time.Since(progress) > grace {
			return nil
		}
		pause(ctx, tailPause)
	}
}

func (b *readback) close() {
	for _, st := range b.readers {
		_ = st.rd.close() // reading is over; there is nothing to lose
	}
}

// pause waits for d or for ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

package engine

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"testing"
	"time"
)

// A chain is the records of one key: each carries its number and the hash of the one before, so that what is read back
// shows by itself whether something is missing, doubled, out of order or from elsewhere.
type chain struct {
	key  string
	next int
	hash uint64 // of the last record's data
}

func (c *chain) make() (data string, hash uint64) {
	data = fmt.Sprintf("%s|%d|%x|some more bytes", c.key, c.next, c.hash)
	h := fnv.New64a()
	_, _ = h.Write([]byte(data)) // a hash does not fail
	return data, h.Sum64()
}

// filler is the key of records that belong to no chain.
const filler = "filler"

// acked is one record whose append was acknowledged.
type acked struct {
	key string
	n   int
	seq Sequence
}

// ledger collects what was acknowledged.
type ledger struct {
	mu    sync.Mutex
	acks  []acked
	calls int
}

func (l *ledger) add(a []acked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, a...)
	l.calls++
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

func (l *ledger) copy() []acked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]acked(nil), l.acks...)
}

// writeChains appends to its own keys, several records of several keys a call, until ctx is done or the engine stops.
// It pauses between calls. Throttled records are tried again in order. It returns the error that ended it, nil for ctx.
func writeChains(ctx context.Context, s *Stream, writer, keys int, level Level, l *ledger, pause time.Duration) error {
	chains := make([]*chain, keys)
	for i := range chains {
		chains[i] = &chain{key: fmt.Sprintf("w%d-k%d", writer, i)}
	}
	const perCall = 12
	out := make([]Appended, perCall)
	for round := 0; ctx.Err() == nil; round++ {
		recs, of, numbers := make([]Record, perCall), make([]*chain, perCall), make([]int, perCall)
		for i := range recs {
			c := chains[(round*perCall+i*i)%keys] // some keys twice in a call
			data, hash := c.make()
			of[i], numbers[i] = c, c.next
			c.next, c.hash = c.next+1, hash
			recs[i] = rec(c.key, data)
		}
		for len(recs) > 0 {
			if err := s.Append(context.Background(), recs, level, out[:len(recs)]); err != nil {
				return err
			}
			var done []acked
			left := 0
			for i := range recs {
				switch err := out[i].Err; {
				case err == nil:
					done = append(done, acked{of[i].key, numbers[i], out[i].Sequence})
				case err.Code == CodeThrottled:
					recs[left], of[left], numbers[left] = recs[i], of[i], numbers[i]
					left++
				default:
					l.add(done)
					return err
				}
			}
			l.add(done)
			recs = recs[:left]
		}
		time.Sleep(pause)
	}
	return nil
}

// verifyChains reads the whole stream and holds it against what was acknowledged. It returns every sequence number seen.
func verifyChains(t testing.TB, s *Stream, acks []acked) map[Sequence]bool {
	t.Helper()
	type place struct {
		key string
		n   int
	}
	where := map[place]Sequence{}
	seen := map[Sequence]bool{}
	chains := map[string]*chain{}
	last := map[string]string{}
	for _, g := range readAll(t, s, 0) {
		if seen[g.seq] {
			t.Fatalf("two records have the sequence number %v", g.seq)
		}
		seen[g.seq] = true
		if g.key == filler {
			continue
		}
		c := chains[g.key]
		if c == nil {
			c = &chain{key: g.key}
			chains[g.key] = c
		}
		want, hash := c.make()
		if g.data != want {
			t.Fatalf("key %s: read %.80q, the chain goes on with %.80q", g.key, g.data, want)
		}
		if n := g.seq.String(); n <= last[g.key] {
			t.Fatalf("key %s: sequence number %s after %s", g.key, n, last[g.key])
		} else {
			last[g.key] = n
		}
		where[place{g.key, c.next}] = g.seq
		c.next, c.hash = c.next+1, hash
	}
	for _, a := range acks {
		if got, ok := where[place{a.key, a.n}]; !ok || got != a.seq {
			t.Fatalf("record %d of key %s was acknowledged at %v and is at %v (%v)", a.n, a.key, a.seq, got, ok)
		}
	}
	return seen
}

// churn splits, merges and reshards until ctx is done or a change fails, and returns how many changes it made.
func churn(ctx context.Context, s *Stream, pause time.Duration) (changes int, err error) {
	for i := 0; ctx.Err() == nil; i++ {
		open := openByRange(s.Info())
		switch n := len(open); {
		case n < 3 || i%5 == 0 && n < 12:
			sh := open[i%n]
			err = s.Split(ctx, ShardID(sh.Index), sh.Range.Mid().String())
		case i%7 == 3:
			err = s.Reshard(ctx, max(n-1, (n+1)/2))
		default:
			at := i % (n - 1)
			err = s.Merge(ctx, ShardID(open[at].Index), ShardID(open[at+1].Index))
		}
		if err != nil {
			if ctx.Err() != nil {
				return changes, nil
			}
			return changes, err
		}
		changes++
		time.Sleep(pause)
	}
	return changes, nil
}

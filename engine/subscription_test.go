package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/internal/vfs"
)

// register adds a consumer and returns it.
func register(t testing.TB, s *Stream, name string) ConsumerInfo {
	t.Helper()
	c, err := s.RegisterConsumer(context.Background(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func subscribe(t testing.TB, s *Stream, o Subscribe) *Subscription {
	t.Helper()
	x, err := s.Subscribe(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

// event is an Event, copied.
type event struct {
	data     []string
	after    string
	end      bool
	children []ShardInfo
}

func next(t testing.TB, x *Subscription) event {
	t.Helper()
	ev, err := x.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer ev.Release()
	out := event{end: ev.End, children: ev.Children}
	for _, r := range ev.Records {
		out.data = append(out.data, string(r.Data))
	}
	if !ev.End {
		out.after = ev.Continuation.String()
	}
	return out
}

// collect reads events until there are n records.
func collect(t testing.TB, x *Subscription, n int) (data []string, last event) {
	t.Helper()
	for len(data) < n {
		last = next(t, x)
		data = append(data, last.data...)
		if last.end {
			break
		}
	}
	return data, last
}

func wantData(t testing.TB, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestSubscribeStartingPositions(t *testing.T) {
	for _, fsys := range []vfs.FS{nil, vfs.NewMem(0)} {
		e := openTest(t, testOptions(fsys))
		s := createTest(t, e, "s", 1)
		register(t, s, "c")
		first := put(t, s, rec("k", "1"), rec("k", "2"))
		time.Sleep(3 * time.Millisecond)
		middle := time.Now()
		time.Sleep(3 * time.Millisecond)
		put(t, s, rec("k", "3"))
		if err := e.Wait(context.Background(), e.Watermarks().Published, LevelDisk); err != nil {
			t.Fatal(err)
		}
		seq := func(i int) string { return first[i].Sequence.String() }
		start := startNumber(s.Info().Shard(0))
		f := func(typ IteratorType, number string, at *time.Time, want ...string) {
			t.Helper()
			x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "shardId-0", Type: typ, Sequence: number, Time: at})
			defer x.Close()
			got, _ := collect(t, x, len(want))
			wantData(t, got, want...)
		}
		f(TrimHorizon, "", nil, "1", "2", "3")
		f(AtSequence, seq(1), nil, "2", "3")
		f(AfterSequence, seq(0), nil, "2", "3")
		f(AfterSequence, seq(1), nil, "3")
		f(AtSequence, start, nil, "1", "2", "3")
		f(AfterSequence, start, nil, "1", "2", "3")
		f(AtTimestamp, "", &middle, "3")
		f(Latest, "", nil)
	}
}

// TestSubscriptionPush: records arrive without any timer, and each event's continuation number goes on where it ended,
// with records and without, AT and AFTER.
func TestSubscriptionPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, Options{RingSize: smallRing})
		s := createTest(t, e, "s", 2)
		register(t, s, "c")
		begun := time.Now()
		x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: Latest})
		empty := next(t, x)
		if empty.data != nil || empty.after == "" {
			t.Fatalf("the first event is %+v", empty)
		}
		low := func(data string) Record { r := rec("k", data); r.Explicit = keyIn(s, 0); return r }
		other := func(data string) Record { r := rec("k", data); r.Explicit = keyIn(s, 1); return r }
		put(t, s, other("x"))
		put(t, s, low("1"))
		one := next(t, x)
		put(t, s, other("x"), low("2"), low("3"), other("x"))
		two := next(t, x)
		wantData(t, append(one.data, two.data...), "1", "2", "3")
		if d := time.Since(begun); d != 0 {
			t.Fatalf("took %v of the clock: that is no push", d)
		}
		x.Close()
		resume := func(typ IteratorType, after string, want ...string) {
			t.Helper()
			x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: typ, Sequence: after})
			defer x.Close()
			got, _ := collect(t, x, len(want))
			wantData(t, got, want...)
		}
		resume(AfterSequence, empty.after, "1", "2", "3")
		resume(AtSequence, empty.after, "1", "2", "3")
		resume(AfterSequence, one.after, "2", "3")
		resume(AtSequence, one.after, "1", "2", "3")
		resume(AfterSequence, two.after)
	})
}

// keyIn is a hash key in the shard of that index.
func keyIn(s *Stream, index uint32) *hashkey.Key { return &s.Info().Shard(index).Range.First }

// TestSubscriptionTimes: an idle subscription says so every five seconds with a number that does not go back, and ends
// after five minutes.
func TestSubscriptionTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, Options{RingSize: smallRing})
		s := createTest(t, e, "s", 2)
		register(t, s, "c")
		x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: TrimHorizon})
		begun := time.Now()
		events, last := 0, ""
		for {
			before := time.Now()
			ev, err := x.Next(context.Background())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(before); events > 0 && d != idleEvent {
				t.Fatalf("event %d after %v", events, d)
			}
			if len(ev.Records) != 0 || ev.MillisBehind != 0 || ev.End {
				t.Fatalf("%+v", ev)
			}
			if after := ev.Continuation.String(); after < last {
				t.Fatalf("%s comes after %s", after, last)
			} else {
				last = after
			}
			ev.Release()
			events++
			r := rec("k", "for the other shard")
			r.Explicit = keyIn(s, 1)
			put(t, s, r)
		}
		if d := time.Since(begun); d != SubscriptionLife || events < 60 {
			t.Fatalf("%d events in %v", events, d)
		}
		if _, err := x.Next(context.Background()); !errors.Is(err, io.EOF) {
			t.Fatalf("after the end: %v", err)
		}
	})
}

func TestSubscriptionTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, Options{RingSize: smallRing})
		s := createTest(t, e, "s", 2)
		register(t, s, "c")
		register(t, s, "d")
		o := Subscribe{Consumer: "c", ShardID: "shardId-000000000001", Type: Latest}
		x := subscribe(t, s, o)
		next(t, x)
		const message = "Another active subscription exists for this consumer: 000000000000:s:shardId-000000000001:c"
		time.Sleep(takeOverAfter - 1)
		_, err := s.Subscribe(o)
		wantError(t, err, CodeInUse, message)
		subscribe(t, s, Subscribe{Consumer: "d", ShardID: "1", Type: Latest})
		subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: Latest})
		time.Sleep(time.Nanosecond)
		y := subscribe(t, s, o)
		<-x.Context().Done()
		_, err = x.Next(context.Background())
		wantError(t, err, CodeInUse, message)
		x.Close()
		_, err = s.Subscribe(o)
		wantError(t, err, CodeInUse, message)
		next(t, y)
		y.Close()
		next(t, subscribe(t, s, o)) // nobody is active: no need to wait
	})
}

// TestSubscriptionShardEnd: whoever is subscribed when the shard is split, and whoever comes later, gets its records and
// then its children.
func TestSubscriptionShardEnd(t *testing.T) {
	for name, o := range map[string]Options{"memory": {RingSize: smallRing}, "disk": testOptions(vfs.NewMem(0))} {
		t.Run(name, func(t *testing.T) {
			e := openTest(t, o)
			s := createTest(t, e, "s", 2)
			register(t, s, "c")
			x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: Latest})
			next(t, x)
			ended := make(chan event, 1)
			var before []string
			go func() {
				for {
					ev := next(t, x)
					before = append(before, ev.data...)
					if ev.end {
						ended <- ev
						return
					}
				}
			}()
			r := rec("k", "last")
			r.Explicit = keyIn(s, 0)
			put(t, s, r)
			if err := s.Merge(context.Background(), "0", "1"); err != nil {
				t.Fatal(err)
			}
			ev := <-ended
			wantData(t, before, "last")
			if ev.after != "" || len(ev.children) != 1 || ev.children[0].Parent != 0 || ev.children[0].AdjacentParent != 1 {
				t.Fatalf("%+v", ev)
			}
			if _, err := x.Next(context.Background()); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			x.Close()
			late := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: TrimHorizon})
			if ev := next(t, late); !ev.end || len(ev.children) != 1 || len(ev.data) != 1 {
				t.Fatalf("%+v", ev)
			}
			closed := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "1", Type: Latest})
			if ev := next(t, closed); !ev.end || len(ev.children) != 1 || ev.data != nil {
				t.Fatalf("%+v", ev)
			}
		})
	}
}

// TestSubscriptionEnds: what happens around a subscription ends it, with the reason, also while it waits.
func TestSubscriptionEnds(t *testing.T) {
	f := func(name string, cause func(e *Engine, s *Stream, cancel func()), check func(t *testing.T, err error)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := openTest(t, Options{RingSize: smallRing})
				s := createTest(t, e, "s", 1)
				register(t, s, "c")
				x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: Latest})
				next(t, x)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				begun := time.Now()
				done := make(chan error, 1)
				go func() {
					_, err := x.Next(ctx)
					done <- err
				}()
				synctest.Wait()
				cause(e, s, cancel)
				check(t, <-done)
				if d := time.Since(begun); d != 0 {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
	is := func(want error) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
	}
	says := func(code Code, message string) func(*testing.T, error) {
		return func(t *testing.T, err error) { wantError(t, err, code, message) }
	}
	ctx := context.Background()
	f("context", func(_ *Engine, _ *Stream, cancel func()) { cancel() }, is(context.Canceled))
	f("engine", func(e *Engine, _ *Stream, _ func()) { _ = e.Close() }, is(ErrClosed))
	f("stream", func(e *Engine, s *Stream, _ func()) { _ = e.DeleteStreamAndConsumers(ctx, s.name) },
		says(CodeNotFound, "Stream s under account 000000000000 not found."))
	f("consumer", func(_ *Engine, s *Stream, _ func()) { _ = s.DeregisterConsumer(ctx, "c", 0) },
		says(CodeNotFound, "Consumer c, account 000000000000 not found."))
}

// TestSubscribersInOrder: many consumers of one shard all get every record of concurrent producers, in one order.
func TestSubscribersInOrder(t *testing.T) {
	const consumers, producers, each = consumerLimit, 4, 200
	o := testOptions(vfs.NewMem(0))
	o.Durability = LevelOS
	e := openTest(t, o)
	s := createTest(t, e, "s", 1)
	var wg sync.WaitGroup
	got := make([][]string, consumers)
	for i := range consumers {
		c := register(t, s, fmt.Sprintf("c%d", i))
		x := subscribe(t, s, Subscribe{Consumer: c.Name, Created: c.Created, ShardID: "0", Type: Latest})
		next(t, x)
		wg.Go(func() {
			lastSeq := ""
			for len(got[i]) < producers*each {
				ev, err := x.Next(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range ev.Records {
					got[i] = append(got[i], string(r.Data))
					if n := r.Sequence.String(); n <= lastSeq {
						t.Errorf("%s after %s", n, lastSeq)
					} else {
						lastSeq = n
					}
				}
				ev.Release()
			}
		})
	}
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				put(t, s, rec("k", fmt.Sprintf("%d-%d", p, i)))
			}
		})
	}
	wg.Wait()
	for i := range got {
		if fmt.Sprint(got[i]) != fmt.Sprint(got[0]) {
			t.Fatalf("consumer %d sees another order", i)
		}
	}
	if e.fanout.watched.Load() == nil || len(*e.fanout.watched.Load()) != 1 {
		t.Fatal("twenty subscriptions of one shard are not watched together")
	}
}

// TestSubscriptionRate: with a bound events come no faster than it, but they come.
func TestSubscriptionRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, Options{RingSize: 8 << 20, SubscriptionRate: 1 << 20})
		s := createTest(t, e, "s", 1)
		register(t, s, "c")
		for range 3 {
			put(t, s, rec("k", string(make([]byte, 1<<20-1))))
		}
		begun := time.Now()
		x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: TrimHorizon})
		for i := range 3 {
			if ev := next(t, x); len(ev.data) != 1 {
				t.Fatalf("event %d has %d records: more than %d bytes", i, len(ev.data), maxEventBytes)
			}
			if d := time.Since(begun); d != time.Duration(i)*time.Second {
				t.Fatalf("event %d after %v", i, d)
			}
		}
	})
}

// TestSubscriptionsLeaveNothing: the last one to close takes the observer with it.
func TestSubscriptionsLeaveNothing(t *testing.T) {
	e := openTest(t, testOptions(nil))
	s := createTest(t, e, "s", 2)
	register(t, s, "c")
	x := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "0", Type: Latest})
	y := subscribe(t, s, Subscribe{Consumer: "c", ShardID: "1", Type: Latest})
	x.Close()
	x.Close()
	if e.fanout.stop == nil || len(*e.fanout.watched.Load()) != 1 {
		t.Fatal("the other one is not watched any more")
	}
	y.Close()
	if e.fanout.stop != nil || len(*e.fanout.watched.Load()) != 0 || len(e.fanout.active) != 0 {
		t.Fatal("something is left")
	}
	if got := continuation(s.Info().Shard(0), nil, 0, time.Now()); got != sequence.Start(s.Info().Shard(0).CreatedSeconds, 0) {
		t.Fatalf("before any record one goes on after %v", got)
	}
}

// TestSubscriptionGather: where there are many subscriptions, records that come one after the other travel together, and
// not later than maxGather.
func TestSubscriptionGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, Options{RingSize: smallRing})
		s := createTest(t, e, "s", 1)
		for i := range 3 {
			register(t, s, fmt.Sprintf("c%d", i))
			next(t, subscribe(t, s, Subscribe{Consumer: fmt.Sprintf("c%d", i), ShardID: "0", Type: Latest}))
		}
		x := e.fanout.active[subscriptionKey{s.id, 0, s.Info().Consumers[0].Created, "c0"}]
		time.Sleep(time.Second)
		begun := time.Now()
		put(t, s, rec("k", "1"))
		wantData(t, next(t, x).data, "1") // at once after a silence
		if d := time.Since(begun); d != 0 {
			t.Fatal(d)
		}
		put(t, s, rec("k", "2"))
		put(t, s, rec("k", "3"))
		wantData(t, next(t, x).data, "2", "3")
		if d := time.Since(begun); d != 2*gather {
			t.Fatal(d)
		}
	})
}

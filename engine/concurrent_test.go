package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine/lane"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Appends go on while the stream is split, merged and resharded; nothing is lost, doubled or out of order.
func TestAppendWhileResharding(t *testing.T) {
	f := func(name string, o Options, level Level) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			e := openTest(t, o)
			s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 3, Durability: &level})
			ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
			defer cancel()
			var wg sync.WaitGroup
			l := &ledger{}
			for w := range 4 {
				wg.Go(func() {
					if err := writeChains(ctx, s, w, 9, level, l, 100*time.Microsecond); err != nil {
						t.Errorf("writer %d: %v", w, err)
					}
				})
			}
			changes, err := churn(ctx, s, time.Millisecond)
			if err != nil {
				t.Error(err)
			}
			wg.Wait()
			if t.Failed() {
				return
			}
			verifyChains(t, s, l.acks)
			checkLineage(t, s.Info())
			if changes < 5 || l.calls < 20 {
				t.Fatalf("only %d changes and %d calls", changes, l.calls)
			}
			t.Logf("%d changes, %d calls, %d records", changes, l.calls, len(l.acks))
		})
	}
	o := testOptions(vfs.NewMem(0))
	f("mutex mem", o, LevelMem)
	o = testOptions(vfs.NewMem(0))
	o.Appender = lane.AppenderLockFree
	f("lock-free mem", o, LevelMem)
	o = testOptions(vfs.NewMem(0))
	f("disk", o, LevelDisk)
	o = testOptions(vfs.OS())
	o.Dir = t.TempDir()
	o.Appender = lane.AppenderLockFree
	f("os disk", o, LevelOS)
}

// Native producers append ready-made batches; a shard that was closed under them is a stale route, never a lost batch.
func TestAppendBatchWhileResharding(t *testing.T) {
	e := openTest(t, testOptions(vfs.NewMem(0)))
	level := LevelMem
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 2, Durability: &level})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted, stale := map[string]Ticket{}, 0
	for w := range 3 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				open := openByRange(s.Info())
				sh := open[n%len(open)]
				data := fmt.Sprintf("%d-%d", w, n)
				ticket, err := s.AppendBatch(buildBatch(t, sh.ID, batch.CodecRaw, []Record{rec("k", data), rec("k", data+"b")}))
				var refused *Error
				switch {
				case err == nil:
					mu.Lock()
					accepted[data] = ticket
					mu.Unlock()
				case errors.As(err, &refused) && refused.Code == CodeStaleRoute:
					mu.Lock()
					stale++
					mu.Unlock()
				case errors.As(err, &refused) && refused.Code == CodeThrottled:
					time.Sleep(time.Millisecond)
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	changes, err := churn(ctx, s, 200*time.Microsecond)
	if err != nil {
		t.Error(err)
	}
	wg.Wait()
	found := 0
	for _, g := range readAll(t, s, 0) {
		if ticket, ok := accepted[g.data]; ok {
			found++
			if g.seq.Position != ticket.Position || g.seq.Seconds != ticket.Micros/1e6 {
				t.Fatalf("%s is at %v, the ticket says %+v", g.data, g.seq, ticket)
			}
		}
	}
	if found != len(accepted) || found == 0 || changes == 0 {
		t.Fatalf("%d of %d accepted batches are there, after %d changes", found, len(accepted), changes)
	}
	t.Logf("%d batches, %d stale, %d changes", found, stale, changes)
}

// A control operation that fails before its commit leaves the stream as it was, and lets the appends it held up go on.
func TestReshapeGivesUp(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(0))
	e := openTest(t, testOptions(disk))
	level := LevelMem
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 1, Durability: &level})
	stall := make(chan struct{})
	var once sync.Once
	stalled := make(chan struct{})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncData {
			once.Do(func() { close(stalled) })
			<-stall
		}
		return nil
	})
	put(t, s, rec("a", "1"))
	before := s.Info()
	ctx, cancel := context.WithCancel(context.Background())
	split := make(chan error)
	go func() { split <- s.Split(ctx, "0", "5") }()
	<-stalled // the split has shut the shard and waits for the disk
	held := make(chan error)
	go func() {
		out := make([]Appended, 1)
		err := s.Append(context.Background(), []Record{rec("a", "2")}, LevelMem, out)
		if err == nil {
			err = asError(out[0].Err)
		}
		held <- err
	}()
	select {
	case err := <-held: // nothing may come
		t.Fatalf("an append to a shard that is being split returned: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if err := <-split; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	if s.Info() != before {
		t.Fatal("a split that gave up left something behind")
	}
	if open, _, _ := e.ShardUse("", ""); open != 1 {
		t.Fatalf("%d open shards", open)
	}
	close(stall)
	if err := s.Split(context.Background(), "0", "5"); err != nil {
		t.Fatal(err)
	}
	put(t, s, rec("a", "3"))
	if all := readAll(t, s, 0); len(all) != 3 || all[0].data != "1" || all[1].data != "2" || all[2].data != "3" {
		t.Fatalf("%v", all)
	}
}

package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine/lane"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Close while everything is in use: each call ends, with a result or with CodeStopped, and what was acknowledged is there
// afterwards.
func TestCloseDuringCalls(t *testing.T) {
	for _, kind := range []lane.AppenderKind{lane.AppenderMutex, lane.AppenderLockFree} {
		fsys := vfs.NewMem(0)
		o := testOptions(fsys)
		o.Appender = kind
		e, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		s := createTest(t, e, "s", 3)
		token, err := s.Iterator("0", TrimHorizon, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var calls [4]atomic.Int64
		l := &ledger{}
		stopped := func(what string, err error) {
			if err == nil || asCode(t, err).Code != CodeStopped {
				t.Errorf("%s ended with %v", what, err)
			}
		}
		loop := func(what string, n int, call func() error) {
			wg.Go(func() {
				for {
					if err := call(); err != nil {
						stopped(what, err)
						return
					}
					calls[n].Add(1)
				}
			})
		}
		wg.Go(func() { stopped("Append", writeChains(context.Background(), s, 0, 3, LevelDisk, l, 0)) })
		loop("Records", 0, func() error {
			p, err := e.Records(context.Background(), token, 10)
			if err == nil {
				p.Release()
			}
			return err
		})
		id := s.Info().Shards[2].ID
		loop("ReadBatches", 1, func() error {
			_, _, _, err := s.ReadBatches(nil, id, 0, 4096)
			return err
		})
		one := buildBatch(t, id, batch.CodecRaw, []Record{rec(filler, "x")})
		loop("AppendBatch", 2, func() error {
			_, err := s.AppendBatch(one)
			if err != nil && asCode(t, err).Code == CodeThrottled {
				time.Sleep(time.Millisecond) // as a server would, for others to get in
				return nil
			}
			return err
		})
		loop("SetTags", 3, func() error {
			return s.SetTags(context.Background(), map[string]string{"a": time.Now().Format("05.000000")}, nil)
		})
		busy := func() bool {
			for i := range calls {
				if calls[i].Load() < 3 {
					return false
				}
			}
			return l.len() > 30
		}
		for start := time.Now(); !busy(); time.Sleep(time.Millisecond) {
			if time.Since(start) > time.Minute {
				t.Fatal("not every kind of call got through in a minute")
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		e = openTest(t, o)
		if s, err = e.Stream(s.name); err != nil {
			t.Fatal(err)
		}
		verifyChains(t, s, l.acks)
	}
}

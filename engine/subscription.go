package engine

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine/catalog"
)

const (
	// SubscriptionLife is how long AWS lets a subscription live.
	SubscriptionLife = 5 * time.Minute
	// idleEvent is how long a subscription without records stays silent. AWS consumers take a longer silence for a broken
	// connection.
	idleEvent = 5 * time.Second
	// takeOverAfter is how old a subscription must be for another one of its consumer and shard to take its place.
	takeOverAfter = 5 * time.Second
	// maxEventBytes bounds keys and data of one event, unless its first record alone is larger: what a subscription holds
	// in memory while it waits for its reader.
	maxEventBytes = 1 << 20
	// gather is how much longer a subscription waits between two events for each other one there is, and maxGather the
	// most: records that come close together travel together, and twenty consumers leave the producers their processors.
	// After a silence an event goes out at once.
	gather    = 100 * time.Microsecond
	maxGather = 2 * time.Millisecond
)

// Subscribe says what to subscribe to and from where on: see GetShardIterator for Type, Sequence and Time.
type Subscribe struct {
	Consumer string
	Created  int64 // of the consumer, seconds since 1970; 0: any
	ShardID  string
	Type     IteratorType
	Sequence string
	Time     *time.Time
}

// Subscription pushes the records of one shard to one consumer: SubscribeToShard. It is used by one goroutine, except for
// Context and Close. A subscription that nobody reads from costs no memory but its own, and no time.
type Subscription struct {
	e       *Engine
	s       *Stream
	key     subscriptionKey
	open    *shard // nil: was closed when the subscription began
	started time.Time
	next    atomic.Uint64   // everything visible below it has been read
	woken   chan struct{}   // capacity 1: there may be news
	ended   context.Context // done once err is set
	finish  context.CancelFunc
	err     error // guarded by fanout.mu until ended is done

	beat   *time.Timer // the next idle event
	life   *time.Timer
	begun  bool      // the first event has been given
	over   bool      // the last one
	resume time.Time // no event before; see gather and Options.SubscriptionRate
	pause  *time.Timer
}

// Event is one answer of Subscription.Next. Its owner calls Release when done with Records and what they alias.
type Event struct {
	Records      []ReadRecord
	Continuation Sequence // go on after it; not set where End
	End          bool     // the shard is closed and everything of it has been read
	Children     []ShardInfo
	MillisBehind int64 // 0 at the tip
	mem          *pageMemory
}

// Release gives the buffers back: Records and what they alias must not be touched any more. A second call does nothing.
func (ev *Event) Release() {
	m := ev.mem
	if m == nil {
		return
	}
	ev.mem, ev.Records = nil, nil
	m.release()
}

// Subscribe begins a subscription, which the caller closes. There is one for each consumer and shard: a second one within
// five seconds is CodeInUse, a later one takes over and ends the first with that error. Other errors: CodeNotFound,
// CodeInvalidArgument, CodeInUse for a consumer that is not ACTIVE, CodeStopped.
func (s *Stream) Subscribe(o Subscribe) (*Subscription, error) {
	info, err := s.exists()
	if err != nil {
		return nil, err
	}
	c, err := s.findConsumer(info, o.Consumer, o.Created)
	if err != nil {
		return nil, err
	}
	if c.Status != catalog.Active {
		return nil, newError(CodeInUse, "Consumer %s with creation timestamp %d under stream: %s, account %s is not in ACTIVE status.",
			c.Name, c.Created, s.name.Stream, s.name.Account)
	}
	index, ok := ParseShardID(o.ShardID)
	if !ok {
		return nil, noShardNamed(s.name, o.ShardID)
	}
	sh := info.Shard(index)
	if sh == nil {
		return nil, noSuchShard(s.name, index)
	}
	now := time.Now()
	at, err := s.position(info, sh, o.Type, o.Sequence, o.Time, now)
	if err != nil {
		return nil, err
	}
	x := &Subscription{
		e: s.e, s: s, key: subscriptionKey{s.id, index, c.Created, c.Name}, open: s.e.shards.get(sh.ID), started: now,
		woken: make(chan struct{}, 1),
	}
	x.ended, x.finish = context.WithCancel(context.Background())
	x.next.Store(at)
	if err := s.e.fanout.add(x); err != nil {
		return nil, err
	}
	x.beat, x.life = time.NewTimer(idleEvent), time.NewTimer(SubscriptionLife)
	s.e.fanout.revise(s) // what has changed since info was loaded
	return x, nil
}

// wake makes Next look for news. It never blocks.
func (x *Subscription) wake() {
	select {
	case x.woken <- struct{}{}:
	default: // a wake-up is pending
	}
}

// Context is done when the subscription was ended from outside: taken over, its consumer or stream deleted, the engine
// closed. Next tells which.
func (x *Subscription) Context() context.Context { return x.ended }

// Close ends the subscription. Idempotent.
func (x *Subscription) Close() {
	x.e.fanout.end(x, ErrClosed)
	x.beat.Stop()
	x.life.Stop()
}

// Next waits for the next event: records as soon as there are any, at once the first time, and nothing but a position
// after five seconds without. io.EOF follows the last event, of a closed shard or after five minutes. Errors: CodeInUse
// where another subscription took over, CodeNotFound where stream, consumer or shard are gone, ErrClosed, the context's,
// CodeInternal for damage on disk. All of them are final.
func (x *Subscription) Next(ctx context.Context) (*Event, error) {
	if x.over {
		return nil, io.EOF
	}
	if err := x.pace(ctx); err != nil {
		return nil, err
	}
	x.beat.Reset(idleEvent)
	idle := !x.begun
	for {
		select {
		case <-x.ended.Done():
			return nil, x.err
		default:
		}
		ev, err := x.read(time.Now())
		if err != nil {
			return nil, x.cause(err)
		}
		if len(ev.Records) > 0 || ev.End || idle {
			x.give(ev)
			return ev, nil
		}
		ev.Release()
		if err := x.wait(ctx, &idle); err != nil {
			return nil, err
		}
	}
}

// cause is why the subscription was ended from outside, where it was, else err: reading from what is being closed fails in
// many ways.
func (x *Subscription) cause(err error) error {
	select {
	case <-x.ended.Done():
		return x.err
	default:
		return err
	}
}

// wait blocks until there may be news, or sets idle once it is time for an event without.
func (x *Subscription) wait(ctx context.Context, idle *bool) error {
	select {
	case <-x.woken:
	case <-x.beat.C:
		*idle = true
	case <-x.life.C:
		x.over = true
		return io.EOF
	case <-x.ended.Done():
		return x.err
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// pace waits until there may be another event, and ends a subscription that has had its time.
func (x *Subscription) pace(ctx context.Context) error {
	select {
	case <-x.life.C:
		x.over = true
		return io.EOF
	default:
	}
	left := time.Until(x.resume)
	if left <= 0 {
		return nil
	}
	if x.pause == nil {
		x.pause = time.NewTimer(left)
	} else {
		x.pause.Reset(left)
	}
	defer x.pause.Stop()
	select {
	case <-x.pause.C:
		return nil
	case <-x.ended.Done():
		return x.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give notes that ev goes out.
func (x *Subscription) give(ev *Event) {
	x.begun, x.over = true, ev.End
	wait := min(time.Duration(x.e.fanout.count.Load()-1)*gather, maxGather)
	if rate := x.e.o.SubscriptionRate; rate > 0 {
		n := 0
		for i := range ev.Records {
			n += len(ev.Records[i].Key) + len(ev.Records[i].Data)
		}
		wait = max(wait, time.Duration(n)*time.Second/time.Duration(rate))
	}
	x.resume = time.Now().Add(wait)
}

// read makes an event of what is there by now.
func (x *Subscription) read(now time.Time) (*Event, error) {
	info, gone := x.s.exists()
	if gone != nil {
		return nil, gone
	}
	sh := info.Shard(x.key.shard)
	if sh == nil {
		return nil, noSuchShard(x.s.name, x.key.shard)
	}
	m := x.e.pages.get()
	r := pageReader{
		s: x.s, sh: sh, level: Level(info.Durability), cut: cutoff(info, now), settings: &info.Settings,
		limit: MaxPageRecords, maxBytes: maxEventBytes, m: m,
	}
	next, more, behind, err := r.fill(x.next.Load(), now)
	if err != nil {
		m.release()
		return nil, err
	}
	x.next.Store(next)
	if r.level == LevelDisk && x.open != nil {
		if end := x.open.lastEnd.Load(); end > next {
			x.e.Want(end, LevelDisk) // whoever appended it may not have asked
		}
	}
	ev := &Event{Records: m.records, MillisBehind: behind, mem: m}
	if !sh.Open() && !more {
		ev.End, ev.Children = true, info.Children(sh.Index)
	} else {
		ev.Continuation = continuation(sh, ev.Records, next, now)
	}
	return ev, nil
}

// continuation is the number after which a reader goes on at next: that of the last record, or one that no record has or
// will have.
func continuation(sh *ShardInfo, records []ReadRecord, next uint64, now time.Time) Sequence {
	if n := len(records); n > 0 {
		return records[n-1].Sequence
	}
	if next <= sh.Start {
		return sequence.Start(sh.CreatedSeconds, sh.Index)
	}
	return Sequence{ShardCreated: sh.CreatedSeconds, Shard: sh.Index, Seconds: now.Unix(), Position: next - 1}
}

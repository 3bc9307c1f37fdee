package native

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

const (
	never = math.MaxInt64
	// keptFetches bounds the fetch records a loop keeps for reuse.
	keptFetches = 1024
	// maxSpins is how often a loop wakes itself directly before it lets gnet look at the connections.
	maxSpins = 4
	// endCheck is how often waiting fetches and subscriptions are looked at although nothing was committed: a shard that
	// was closed ends them.
	endCheck = 100 * time.Millisecond
)

// loop is what a server keeps beside one of gnet's event loops. Its Run is the one way back onto the loop from other
// goroutines: group commits, workers and the alarm call wake, and however many of them do, one Run follows.
type loop struct {
	srv *Server
	el  gnet.EventLoop

	woken  atomic.Bool // a Run is under way to the loop
	goAway atomic.Bool // the next Run tells all sessions to go away
	due    atomic.Int64
	// What the loop waits for, so that commits it does not care about leave it asleep. The loop stores these and then
	// loads the watermarks; a commit stores a watermark and then loads these: one of the two sees the other.
	needWritten atomic.Uint64
	needDurable atomic.Uint64
	needAny     atomic.Bool
	unacked     atomic.Int64 // batches of all sessions that wait for their ACK, counted while the server drains

	mu      sync.Mutex
	results []*job // guarded by mu: done by workers, not yet looked at

	// The rest is touched on the loop's goroutine only.
	marks    engine.Watermarks
	stopped  bool // the engine takes no more appends
	nextDue  int64
	sessions map[*session]struct{}
	young    []*session        // not authenticated yet, or lingering: they have a deadline
	acking   []*session        // with unanswered PRODUCE frames
	stuck    []*session        // with held PRODUCE frames, or with reads stopped by a full outbound buffer
	waits    []waiter          // fetches and subscriptions that wait for data
	scanned  int               // waits before this index have been looked at in the current round
	round    engine.Watermarks // marks when the current round began
	behind   bool              // scan has more to do
	dead     []*session        // closed, their resources not yet given back
	taken    []*job            // scratch of takeResults
	out      []byte            // replies of the session being served, written in one go
	read     []byte            // frames of batches being read
	fetches  []*fetch          // for reuse, at most keptFetches
	again    []*session        // scratch of unstick
	spins    int               // Runs since a connection was looked at that came from selfWake
}

func newLoop(s *Server, el gnet.EventLoop) *loop {
	l := &loop{srv: s, el: el, nextDue: never, sessions: map[*session]struct{}{}}
	l.due.Store(never)
	l.needWritten.Store(math.MaxUint64)
	l.needDurable.Store(math.MaxUint64)
	return l
}

// observe runs on the engine's committers.
func (l *loop) observe(m engine.Watermarks) {
	if l.needAny.Load() || m.Written >= l.needWritten.Load() || m.Durable >= l.needDurable.Load() ||
		l.needWritten.Load()&l.needDurable.Load() != math.MaxUint64 && stopsAppends(l.srv.o.Engine.Err()) {
		l.wake()
	}
}

// wake makes the loop Run soon. Safe for concurrent use.
func (l *loop) wake() {
	if !l.woken.CompareAndSwap(false, true) {
		return
	}
	l.srv.mu.RLock()
	defer l.srv.mu.RUnlock()
	if l.srv.stopped {
		return
	}
	l.srv.wakes.Add(1)
	if err := l.el.Execute(context.Background(), l); err != nil {
		l.srv.o.Log.Error("native: wake loop", "error", err)
	}
}

// Run implements gnet.Runnable: it does what has become possible since the last time.
func (l *loop) Run(context.Context) error {
	l.reap()
	l.refresh()
	now := time.Now()
	if now.UnixNano() >= l.nextDue {
		l.nextDue = never
		l.expire(now)
	}
	if l.goAway.Load() {
		l.tellGoAway()
	}
	l.takeResults()
	l.unstick()
	l.ackAll()
	l.scan(now)
	if l.srv.draining.Load() {
		l.countUnacked()
	}
	l.rest()
	return nil
}

// rest ends a Run: it says which commits the loop wants to hear of and looks for what came meanwhile. While a Run is
// under way nobody else can wake the loop, so that commits which come faster than Runs do not keep gnet, which drains
// its queue of tasks before it looks at any connection, from looking at them.
func (l *loop) rest() {
	if len(l.waits) > 0 {
		l.at(time.Now().Add(endCheck))
	}
	again := l.arm()
	l.woken.Store(false)
	l.mu.Lock()
	again = again || len(l.results) > 0
	l.mu.Unlock()
	if again || l.missed() {
		l.selfWake()
	}
}

// selfWake makes the loop Run again soon, but not before gnet has had a chance to look at connections.
func (l *loop) selfWake() {
	if l.spins++; l.spins <= maxSpins {
		l.wake()
		return
	}
	l.spins = 0
	l.nextDue = never
	l.at(time.Now())
}

// refresh reads the watermarks.
func (l *loop) refresh() {
	l.marks = l.srv.o.Engine.Watermarks()
	l.stopped = stopsAppends(l.srv.o.Engine.Err())
}

// reap gives back what closed sessions held. Sessions are closed in the middle of their own processing, when a write
// fails; only here is nobody looking at them.
func (l *loop) reap() {
	for i, s := range l.dead {
		s.release()
		delete(l.sessions, s)
		l.dead[i] = nil
	}
	l.dead = l.dead[:0]
}

// at makes the loop Run at a time, or shortly after.
func (l *loop) at(t time.Time) {
	n := t.UnixNano()
	if n >= l.nextDue {
		return
	}
	l.nextDue = n
	l.due.Store(n)
	select {
	case l.srv.rearm <- struct{}{}:
	default:
	}
}

// expire looks at sessions that have to hurry.
func (l *loop) expire(now time.Time) {
	keep := l.young[:0]
	for _, s := range l.young {
		if s.closed || s.state == stateReady {
			continue
		}
		if !now.Before(s.deadline) {
			s.overdue()
		}
		if !s.closed {
			keep = append(keep, s)
			l.at(s.deadline)
		}
	}
	clear(l.young[len(keep):])
	l.young = keep
}

func (l *loop) tellGoAway() {
	for s := range l.sessions {
		if !s.closed && s.state != stateLinger {
			l.out = frame.AppendGoAway(l.out[:0], frame.FlagDrain, frame.CodeClosing)
			s.write(l.out)
		}
	}
	l.goAway.Store(false)
}

// takeResults hands workers' results to their sessions.
func (l *loop) takeResults() {
	l.mu.Lock()
	l.taken, l.results = l.results, l.taken[:0]
	l.mu.Unlock()
	for i, j := range l.taken {
		l.taken[i] = nil
		j.finish(l)
	}
}

// unstick retries what waited for room: PRODUCE frames for the ring's, reads for the outbound buffer's.
func (l *loop) unstick() {
	if len(l.stuck) == 0 {
		return
	}
	l.stuck, l.again = l.again[:0], l.stuck
	for i, s := range l.again {
		l.again[i] = nil
		s.inStuck = false
		if !s.closed {
			s.retry()
		}
	}
}

func (l *loop) addStuck(s *session) {
	l.srv.listen()
	if !s.inStuck && !s.closed {
		s.inStuck = true
		l.stuck = append(l.stuck, s)
	}
	l.at(time.Now().Add(retryEvery))
}

// ackAll answers what the last commits have brought to its level, one write a session.
func (l *loop) ackAll() {
	keep := l.acking[:0]
	for _, s := range l.acking {
		if !s.closed {
			l.out = s.completeAcks(l.out[:0])
			s.write(l.out)
		}
		if !s.closed && s.acks.n > 0 {
			keep = append(keep, s)
			continue
		}
		s.inAcking = false
	}
	clear(l.acking[len(keep):])
	l.acking = keep
}

// scan looks at fetches and subscriptions that wait for data, passReads at a time so that other connections get their
// turn in between.
func (l *loop) scan(now time.Time) {
	if l.scanned == 0 {
		l.round = l.marks
	}
	budget := passReads
	for l.scanned < len(l.waits) && budget > 0 {
		w := l.waits[l.scanned]
		more, reads := w.check(now)
		budget -= reads
		if more {
			l.scanned++
			continue
		}
		last := len(l.waits) - 1
		l.waits[l.scanned] = l.waits[last]
		l.waits[last] = nil
		l.waits = l.waits[:last]
	}
	// Those not looked at yet are next; those looked at first have not seen the last commit.
	l.behind = l.scanned < len(l.waits) || advanced(l.round, l.marks)
	if l.scanned >= len(l.waits) {
		l.scanned = 0
	}
}

// arm says which commits the loop wants to hear of.
func (l *loop) arm() (again bool) {
	written, durable := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for _, s := range l.acking {
		switch end, level := s.firstUnacked(); level {
		case engine.LevelOS:
			written = min(written, end)
		case engine.LevelDisk:
			durable = min(durable, end)
		}
	}
	l.needWritten.Store(written)
	l.needDurable.Store(durable)
	l.needAny.Store(len(l.waits) > 0 || len(l.stuck) > 0)
	return l.behind
}

// missed tells whether something that should have woken the loop came while it was running.
func (l *loop) missed() bool {
	m := l.srv.o.Engine.Watermarks()
	return m.Written >= l.needWritten.Load() || m.Durable >= l.needDurable.Load() ||
		l.needAny.Load() && advanced(l.marks, m) || l.goAway.Load() || len(l.dead) > 0 ||
		time.Now().UnixNano() >= l.nextDue || !l.stopped && stopsAppends(l.srv.o.Engine.Err())
}

// armFor is arm for one more session, after its own pass. It tells whether what the session waits for has come.
func (l *loop) armFor(s *session) (come bool) {
	end, level := s.firstUnacked()
	need := &l.needWritten
	switch level {
	case engine.LevelMem:
		return false // part of the frame waits for room in the ring
	case engine.LevelDisk:
		need = &l.needDurable
	}
	l.srv.listen()
	if end < need.Load() {
		need.Store(end)
	}
	l.refresh()
	return l.stopped || reached(l.marks, level, end)
}

// await adds a waiter. Its last read found nothing and began after l.marks was read; a commit since then wakes the loop.
func (l *loop) await(w waiter) {
	l.srv.listen()
	l.waits = append(l.waits, w)
	l.needAny.Store(true)
	if advanced(l.marks, l.srv.o.Engine.Watermarks()) {
		l.wake()
	}
}

func (l *loop) countUnacked() {
	n := 0
	for s := range l.sessions {
		if !s.closed {
			n += s.acks.n + len(s.held)
		}
	}
	l.unacked.Store(int64(n))
}

// advanced tells whether a commit came between a and b. What is only published does not count: a commit follows.
func advanced(a, b engine.Watermarks) bool { return a.Written != b.Written || a.Durable != b.Durable }

// reached tells whether everything below end has come as far as level.
func reached(m engine.Watermarks, level engine.Level, end uint64) bool {
	switch level {
	case engine.LevelMem:
		return true
	case engine.LevelOS:
		return m.Written >= end
	}
	return m.Durable >= end
}

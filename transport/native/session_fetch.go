package native

import (
	"time"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// waiter is something that waits for data: a fetch or a subscription.
type waiter interface {
	// check does what has become possible. wait: it goes on waiting. reads: shards read, for the loop's budget.
	check(now time.Time) (wait bool, reads int)
}

var (
	_ waiter = (*fetch)(nil)
	_ waiter = (*subscription)(nil)
)

// fetch is one unanswered FETCH. There is no goroutine or timer behind it: it is served at once, or it is in loop.waits
// until data comes or its deadline passes, or in session.parked until there is room for the answer, or with a worker.
type fetch struct {
	s        *session
	h        frame.Header
	st       *engine.Stream
	level    engine.Level
	req      frame.Fetch
	info     *engine.StreamInfo // as of the last read: a shard's end shows in no watermark
	from     uint64
	resolved bool      // from is known
	deadline time.Time // of the wait
}

func (s *session) fetch(h *frame.Header, body []byte) {
	req, err := frame.DecodeFetch(body)
	st := s.stream(h.Handle)
	switch {
	case err != nil:
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	case st == nil:
		s.reject(h, frame.CodeUnknownHandle, "no OPEN answered this handle")
		return
	case s.fetches == maxFetches:
		s.reject(h, frame.CodeTooMany, "too many unanswered FETCHes")
		return
	}
	s.fetches++
	f := s.loop.newFetch()
	*f = fetch{s: s, h: *h, st: st.st, level: st.floor, req: req}
	switch req.Kind {
	case frame.FromPosition:
		f.from, f.resolved = req.Value, true
	case frame.FromHorizon: // reads from below the oldest batch start there
		f.resolved = true
	}
	now := time.Now()
	if req.WaitMillis > 0 {
		f.deadline = now.Add(time.Duration(req.WaitMillis) * time.Millisecond).Truncate(deadlineGrid).Add(deadlineGrid)
	}
	f.begin(now)
}

// begin serves the fetch for the first time, or again after it was parked.
func (f *fetch) begin(now time.Time) {
	if f.serve(now) {
		f.s.loop.await(f)
		f.s.loop.at(f.deadline)
	}
}

// maxBatchBytes is how many bytes of batches fit a frame to this client.
func (s *session) maxBatchBytes() int { return s.maxOut - frame.MinLen - frame.PrefixLen }

// serve answers the fetch, or parks it, or gives it to a worker; or tells that it is to wait for data.
func (f *fetch) serve(now time.Time) (wait bool) {
	s, l := f.s, f.s.loop
	cold := !f.resolved || l.cold(f.from)
	f.info = f.st.Info()
	if s.congested() || cold && s.cold >= maxColdReads {
		s.parked = append(s.parked, f)
		l.addStuck(s)
		return false
	}
	limit := min(int(f.req.MaxBytes), s.maxBatchBytes())
	if cold {
		s.cold++
		j := l.srv.work.newJob()
		*j = job{kind: jobFetch, s: s, f: f, st: f.st, level: f.level, shard: f.req.Shard, from: f.from, limit: limit,
			fromKind: f.req.Kind, value: f.req.Value, resolved: f.resolved, op: frame.OpFetch, corr: f.h.Corr, handle: f.h.Handle}
		l.srv.work.submit(j)
		return false
	}
	seen := visible(l.marks, f.level)
	out := frame.AppendDeliverPrefix(l.read[:0], frame.OpFetch, f.h.Corr, f.h.Handle, f.req.Shard)
	out, next, end, err := f.st.ReadBatches(out, f.req.Shard, f.from, limit)
	l.read = out[:0]
	return f.answer(now, out, next, end, seen, err)
}

// deliverPrefix is what comes before the batches in a FETCH response or DELIVER push.
const deliverPrefix = frame.HeaderLen + frame.PrefixLen

// answer sends what was read, unless it is too little and there is time left to wait for more. seen is how far the read
// could see.
func (f *fetch) answer(now time.Time, out []byte, next uint64, end bool, seen uint64, err error) (wait bool) {
	s := f.s
	got := len(out) - deliverPrefix
	switch {
	case err != nil:
		s.write(frame.AppendError(nil, f.h.Corr, f.h.Handle, codeOf(err), messageOf(err)))
	case got > s.maxBatchBytes():
		s.write(frame.AppendError(nil, f.h.Corr, f.h.Handle, frame.CodeLimitExceeded,
			"the next batch is larger than the client's largest frame"))
	case got < f.enough() && !end && now.Before(f.deadline):
		if got == 0 {
			f.from = max(f.from, next, seen)
		}
		return true
	default:
		if got == 0 && !end {
			next = max(next, f.from, seen)
		}
		s.write(frame.EndDeliver(out, 0, next, end))
	}
	s.fetches--
	s.loop.freeFetch(f)
	return false
}

// enough is how many bytes answer the fetch before its wait is over: what it asks for, but where that is more than half of
// what fits an answer, waiting longer may bring none that fit.
func (f *fetch) enough() int {
	return min(int(f.req.MinBytes), max(1, min(int(f.req.MaxBytes), f.s.maxBatchBytes())/2))
}

// check implements waiter.
func (f *fetch) check(now time.Time) (wait bool, reads int) {
	if f.s.closed || f.s.state == stateLinger {
		return false, 0
	}
	if now.Before(f.deadline) {
		if visible(f.s.loop.marks, f.level) <= f.from && f.st.Info() == f.info {
			f.s.loop.at(f.deadline)
			return true, 0
		}
	}
	if wait = f.serve(now); wait {
		f.s.loop.at(f.deadline)
	}
	return wait, 1
}

// serveParked serves fetches that waited for room.
func (s *session) serveParked() {
	if len(s.parked) == 0 || s.closed || s.congested() {
		return
	}
	parked := s.parked
	s.parked = nil
	now := time.Now()
	for _, f := range parked {
		if s.closed {
			return
		}
		f.begin(now)
	}
}

// coldRead takes what a worker has found and read.
func (f *fetch) coldRead(j *job) {
	if f.s.closed {
		return
	}
	f.from, f.resolved = j.from, true
	if f.answer(time.Now(), j.out, j.next, j.end, j.seen, j.err) {
		// The worker read before this loop's last look at the watermarks, perhaps: read again before waiting.
		f.begin(time.Now())
	}
}

// visible is the position below which readers of a stream of this durability see.
func visible(m engine.Watermarks, level engine.Level) uint64 {
	switch level {
	case engine.LevelMem:
		return m.Published
	case engine.LevelOS:
		return m.Written
	}
	return m.Durable
}

// cold tells whether a read from a position may have to go to a disk.
func (l *loop) cold(from uint64) bool { return !l.srv.o.Engine.Resident(from) }

func (l *loop) newFetch() *fetch {
	if n := len(l.fetches); n > 0 {
		f := l.fetches[n-1]
		l.fetches = l.fetches[:n-1]
		return f
	}
	return new(fetch)
}

func (l *loop) freeFetch(f *fetch) {
	if len(l.fetches) < keptFetches {
		*f = fetch{}
		l.fetches = append(l.fetches, f)
	}
}

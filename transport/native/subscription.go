package native

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// subscription pushes batches of its shards for as long as there is credit. It is in loop.waits while none of them has
// data; a CREDIT, a worker's result or the retry timer moves it on otherwise.
type subscription struct {
	s       *session
	id      uint32 // corrID of its SUBSCRIBE
	handle  uint32
	st      *engine.Stream
	level   engine.Level
	kind    frame.FromKind
	value   uint64
	credit  int
	shards  []subShard
	next    int                // the shard that comes first in the next pass
	info    *engine.StreamInfo // as of the last complete pass
	ready   bool               // the worker has found where the shards start
	waiting bool               // in loop.waits
	stuck   bool               // stopped by a full outbound buffer or by the pass limits; session.retry goes on
	closed  bool
}

type subShard struct {
	id    uint32
	from  uint64
	busy  bool // a read is on a worker
	ended bool // the shard is closed and everything of it was pushed
}

func (s *session) subscribe(h *frame.Header, body []byte) {
	req, err := frame.DecodeSubscribe(body)
	st := s.stream(h.Handle)
	switch {
	case err != nil:
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	case st == nil:
		s.reject(h, frame.CodeUnknownHandle, "no OPEN answered this handle")
		return
	case len(s.subs) == maxSubscriptions:
		s.reject(h, frame.CodeTooMany, "too many subscriptions")
		return
	case s.sub(h.Corr) != nil:
		s.reject(h, frame.CodeInvalid, "corrID is that of another subscription")
		return
	}
	p := &subscription{s: s, id: h.Corr, handle: h.Handle, st: st.st, level: st.floor, kind: req.Kind, value: req.Value,
		credit: min(int(req.Credit), maxCredit), shards: make([]subShard, req.Len())}
	for i := range p.shards {
		p.shards[i].id = req.At(i)
		if req.Kind == frame.FromPosition {
			p.shards[i].from = req.Value
		}
	}
	s.subs = append(s.subs, p)
	// Where the shards start, and whether they exist, may take a disk to say. The response follows.
	j := s.srv.work.newJob()
	*j = job{kind: jobSubscribe, s: s, sub: p, st: p.st, corr: h.Corr, handle: h.Handle}
	s.srv.work.submit(j)
}

// sub finds a subscription by its id.
func (s *session) sub(id uint32) *subscription {
	for _, p := range s.subs {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (s *session) dropSub(p *subscription) {
	p.closed = true
	s.subs = slices.DeleteFunc(s.subs, func(q *subscription) bool { return q == p })
}

func (s *session) unsubscribe(h *frame.Header, body []byte) {
	id, err := frame.DecodeUnsubscribe(body)
	if err != nil {
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	}
	if p := s.sub(id); p != nil {
		s.dropSub(p)
	}
	s.loop.out = frame.AppendEmpty(s.loop.out, frame.OpUnsubscribe, frame.FlagResponse, h.Corr, h.Handle)
}

func (s *session) addCredit(h *frame.Header, body []byte) {
	id, bytes, err := frame.DecodeCredit(body)
	if err != nil {
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	}
	p := s.sub(id)
	if p == nil {
		return // it was in flight when the subscription ended
	}
	dry := p.credit <= 0
	p.credit = min(p.credit+int(bytes), maxCredit)
	if dry || p.stuck {
		p.pump()
	}
}

// started is called when the worker has found the shards' starting positions.
func (p *subscription) started(err error) {
	s, l := p.s, p.s.loop
	if s.closed || p.closed {
		return
	}
	if err != nil {
		s.dropSub(p)
		s.write(frame.AppendError(nil, p.id, p.handle, codeOf(err), messageOf(err)))
		return
	}
	l.out = frame.AppendEmpty(l.out[:0], frame.OpSubscribe, frame.FlagResponse, p.id, p.handle)
	s.flush()
	p.ready = true
	p.pump()
}

// pump pushes until something stops it, and returns how many reads that took. What stopped it decides what moves it on.
func (p *subscription) pump() (reads int) {
	s, l := p.s, p.s.loop
	p.stuck = false
	if !p.ready {
		return 0
	}
	info, seen := p.st.Info(), visible(l.marks, p.level)
	changed := info != p.info // a shard may have been closed, which only a read tells
	sent := 0
	for idle := 0; idle < len(p.shards); p.next = (p.next + 1) % len(p.shards) {
		if s.closed || p.closed || p.credit <= 0 {
			return reads
		}
		if congested := s.congested(); congested || sent >= passBytes || reads >= passReads {
			p.stuck = true
			l.addStuck(s)
			if !congested {
				l.at(time.Now())
			}
			return reads
		}
		idle++
		sh := &p.shards[p.next]
		switch {
		case sh.ended || sh.busy || sh.from >= seen && !changed:
		case l.cold(sh.from):
			p.readCold(sh)
		default:
			reads++
			n, progress := p.push(sh, seen)
			if sent += n; progress {
				idle = 0
			}
		}
	}
	if !s.closed && !p.closed {
		p.info = info
		p.wait()
	}
	return reads
}

// wait makes the next commit look at the subscription again.
func (p *subscription) wait() {
	if !p.waiting && !p.stuck && !p.allEnded() {
		p.waiting = true
		p.s.loop.await(p)
	}
}

func (p *subscription) allEnded() bool {
	for i := range p.shards {
		if !p.shards[i].ended {
			return false
		}
	}
	return true
}

// check implements waiter.
func (p *subscription) check(time.Time) (wait bool, reads int) {
	if !p.closed && !p.s.closed {
		reads = p.pump()
	}
	p.waiting = !p.closed && !p.s.closed && !p.stuck && p.credit > 0 && !p.allEnded()
	return p.waiting, reads
}

// push sends one frame of a shard's batches. progress: there was something to send.
func (p *subscription) push(sh *subShard, seen uint64) (sent int, progress bool) {
	l := p.s.loop
	limit := min(chunkBytes, p.credit, p.s.maxBatchBytes())
	out := frame.AppendDeliverPrefix(l.read[:0], frame.OpDeliver, p.id, p.handle, sh.id)
	out, next, end, err := p.st.ReadBatches(out, sh.id, sh.from, limit)
	l.read = out[:0]
	return p.deliver(sh, out, next, end, seen, err)
}

// deliver sends what was read of a shard, if anything.
func (p *subscription) deliver(sh *subShard, out []byte, next uint64, end bool, seen uint64, err error) (int, bool) {
	s := p.s
	n := len(out) - deliverPrefix
	switch {
	case err != nil:
		s.dropSub(p)
		s.write(frame.AppendError(nil, p.id, p.handle, codeOf(err), messageOf(err)))
		return 0, false
	case n > s.maxBatchBytes():
		s.dropSub(p)
		s.write(frame.AppendError(nil, p.id, p.handle, frame.CodeLimitExceeded,
			"the next batch is larger than the client's largest frame"))
		return 0, false
	case n == 0 && !end:
		sh.from = max(sh.from, next, seen)
		return 0, false
	}
	sh.from, sh.ended = next, end
	p.credit -= n
	s.write(frame.EndDeliver(out, 0, next, end))
	return n, true
}

// readCold has a worker read the next batches of a shard, unless the session has enough of such reads under way.
func (p *subscription) readCold(sh *subShard) {
	s := p.s
	if s.cold >= maxColdReads {
		p.stuck = true
		s.loop.addStuck(s)
		return
	}
	s.cold++
	sh.busy = true
	limit := min(chunkBytes, p.credit, s.maxBatchBytes())
	j := s.srv.work.newJob()
	*j = job{kind: jobPush, s: s, sub: p, subShard: sh, st: p.st, level: p.level, shard: sh.id, from: sh.from, limit: limit,
		resolved: true, op: frame.OpDeliver, corr: p.id, handle: p.handle}
	s.srv.work.submit(j)
}

// coldRead takes what a worker has read.
func (p *subscription) coldRead(j *job) {
	j.subShard.busy = false
	if p.s.closed || p.closed {
		return
	}
	p.deliver(j.subShard, j.out, j.next, j.end, j.seen, j.err)
	p.pump()
}

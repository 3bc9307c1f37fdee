package native

import (
	"github.com/valyala/bytebufferpool"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// heldFrame is a PRODUCE frame that the ring had no room for, or that came behind one.
type heldFrame struct {
	h    frame.Header
	buf  *bytebufferpool.ByteBuffer // the body
	next int                        // batches before this one are in the engine
	// checked: batch next has passed its checks and found no room. Checking it again at each attempt would cost more than
	// the attempt.
	checked bool
}

// produce appends a frame's batches. It neither waits nor, once the session has warmed up, allocates.
func (s *session) produce(h *frame.Header, body []byte) {
	p, err := frame.DecodeProduce(body)
	if err == nil {
		err = checkCut(p)
	}
	size := h.Size()
	switch {
	case err != nil:
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	case s.inflight+size > s.credit:
		s.refuse(h.Corr, frame.CodeCreditOverrun, "more PRODUCE bytes in flight than granted")
		return
	}
	s.inflight += size
	next := 0
	if len(s.held) == 0 {
		if next = s.appendBatches(h, p, 0, false); next == p.Count {
			return
		}
	}
	f := heldFrame{h: *h, buf: s.srv.bufs.get(len(body)), next: next, checked: len(s.held) == 0}
	f.buf.B = append(f.buf.B, body...)
	s.held = append(s.held, f)
	s.srv.heldFrames.Add(1)
	s.loop.needAny.Store(true)
	s.loop.addStuck(s)
}

// checkCut walks the batches of a frame, so that none of them is appended where their lengths and count disagree.
func checkCut(p frame.Produce) error {
	for {
		b, err := p.Next()
		if b == nil {
			return err
		}
	}
}

// appendBatches appends a frame's batches from number next on, and queues their answers. It returns the number of the
// batch that found no room, or the count. checked: batch number next needs no check.
func (s *session) appendBatches(h *frame.Header, p frame.Produce, next int, checked bool) int {
	st := s.stream(h.Handle)
	count := p.Count
	for i := 0; i < count; i++ {
		b, err := p.Next()
		if err != nil {
			panic("BUG: batches of a checked frame do not split: " + err.Error())
		}
		if i < next {
			continue
		}
		a := pendingAck{corr: h.Corr, handle: h.Handle, level: engine.LevelMem}
		if i == 0 {
			a.batches, a.size = uint16(count), uint32(h.Size())
		}
		if !s.appendBatch(&a, st, b, engine.Level(p.Level), checked && i == next) {
			return i
		}
		s.acks.push(a)
	}
	return count
}

// appendBatch appends one batch and fills in its answer. False: there is no room now.
func (s *session) appendBatch(a *pendingAck, st *stream, b batch.Batch, level engine.Level, checked bool) bool {
	switch {
	case st == nil:
		a.code = frame.CodeUnknownHandle
		return true
	case s.srv.draining.Load():
		a.code = frame.CodeClosing
		return true
	}
	if !checked {
		if _, err := batch.Check(b, s.maxIn); err != nil {
			a.code = frame.CodeBadBatch
			return true
		}
	}
	t, err := st.st.AppendBatch(b)
	if err != nil {
		a.code = codeOf(err)
		return a.code != frame.CodeThrottled
	}
	// Levels count down from mem to disk: the lower number is the stronger promise.
	a.end, a.position, a.micros, a.level = t.End, t.Position, t.Micros, min(level, st.floor)
	if a.level == engine.LevelDisk {
		s.srv.o.Engine.Want(a.end, a.level)
	}
	return true
}

// retryHeld appends held frames in order until the ring is full again.
func (s *session) retryHeld() {
	done := 0
	for done < len(s.held) {
		f := &s.held[done]
		p, err := frame.DecodeProduce(f.buf.B)
		if err != nil {
			panic("BUG: held frame does not decode: " + err.Error())
		}
		if f.next = s.appendBatches(&f.h, p, f.next, f.checked); f.next < p.Count {
			f.checked = true
			break
		}
		s.srv.bufs.put(f.buf)
		done++
	}
	if done > 0 {
		n := copy(s.held, s.held[done:])
		clear(s.held[n:])
		s.held = s.held[:n]
	}
}

// retry tries again what could not be done for want of room.
func (s *session) retry() {
	if s.state == stateLinger {
		return
	}
	l := s.loop
	l.out = l.out[:0]
	s.retryHeld()
	s.endPass()
	s.serveParked()
	for i := 0; i < len(s.subs) && !s.closed; i++ {
		if s.subs[i].stuck {
			s.subs[i].pump()
		}
	}
	if !s.closed && (len(s.held) > 0 || len(s.parked) > 0 || s.anyStuck()) {
		l.addStuck(s)
	}
}

func (s *session) anyStuck() bool {
	for _, sub := range s.subs {
		if sub.stuck {
			return true
		}
	}
	return false
}

package native

import (
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// pendingAck is one batch whose answer is due.
type pendingAck struct {
	end      uint64 // it is done when the watermark of its level is here; 0 where it was not appended
	position uint64
	micros   int64
	corr     uint32
	handle   uint32
	size     uint32 // of the frame, given back as credit with its ACK
	batches  uint16 // of the frame; on its first batch, 0 on the others
	code     frame.Code
	level    engine.Level
}

// ackQueue is a FIFO in a ring that grows and stays. The session's credit bounds it: each entry stands for at least a
// batch header of a PRODUCE frame in flight.
type ackQueue struct {
	ring []pendingAck // a power of two, or empty
	head int
	n    int
}

func (q *ackQueue) push(p pendingAck) {
	if q.n == len(q.ring) {
		next := make([]pendingAck, max(16, 2*len(q.ring)))
		for i := range q.n {
			next[i] = *q.at(i)
		}
		q.ring, q.head = next, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = p
	q.n++
}

func (q *ackQueue) at(i int) *pendingAck { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *ackQueue) drop(n int) {
	q.head = (q.head + n) & (len(q.ring) - 1)
	q.n -= n
}

// completeAcks appends to out the ACKs of all frames at the head of the queue whose batches have reached their level,
// in order. Where the engine has stopped, what has not reached its level never will: those get that as their result.
func (s *session) completeAcks(out []byte) []byte {
	q, m, stopped := &s.acks, s.loop.marks, s.loop.stopped
	for q.n > 0 {
		first := q.at(0)
		n := int(first.batches)
		if q.n < n {
			return out // the rest of the frame waits for room in the ring
		}
		for i := range n {
			p := q.at(i)
			if p.code != frame.OK || reached(m, p.level, p.end) {
				continue
			}
			if !stopped {
				return out
			}
			p.code, p.position, p.micros = frame.CodeStopped, 0, 0
		}
		out = frame.AppendAckPrefix(out, first.corr, first.handle, first.size, n)
		for i := range n {
			p := q.at(i)
			out = frame.AppendAckResult(out, frame.AckResult{Position: p.position, Micros: p.micros, Code: p.code})
		}
		s.inflight -= int(first.size)
		q.drop(n)
	}
	return out
}

// firstUnacked is the position and level that the first frame of the queue waits for. Without one to wait for, or while
// part of it waits for room in the ring, it is nothing that a commit could reach.
func (s *session) firstUnacked() (end uint64, level engine.Level) {
	q := &s.acks
	if q.n == 0 {
		return 0, engine.LevelMem
	}
	n := int(q.at(0).batches)
	if q.n < n {
		return 0, engine.LevelMem
	}
	for i := range n {
		if p := q.at(i); p.code == frame.OK {
			end, level = max(end, p.end), p.level
		}
	}
	return end, level
}

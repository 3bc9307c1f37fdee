package lane

import (
	"encoding/binary"

	"github.com/shardmill/shardmill/codec/batch"
)

// tailClosed in Lane.tail ends claiming: whoever sees it, or loses its compare-and-swap to it, appends nothing. Positions
// are multiples of 32, so their low bits are free for this and for the two below.
const tailClosed = 1

// Lane.head is the published watermark and, in its low bits, the publisher's role.
const (
	headBusy = 1 // somebody has the role
	headMore = 2 // and is to look again before giving it up
)

// publishBurst is after how many batches a publisher with more to do moves the watermark: readers and the flusher get
// to work while it goes on.
const publishBurst = 64

// appender puts checked batches into the ring. Both kinds give the same log for the same calls.
type appender interface {
	append(shard uint32, b batch.Batch) (Ticket, error)
}

var (
	_ appender = (*lockFreeAppender)(nil)
	_ appender = (*mutexAppender)(nil)
)

// lockFreeAppender appends without waiting for another append: claim, copy, commit, publish.
//
//	claim    move Lane.tail over the batch's range by compare-and-swap, after checking it against Lane.limit
//	copy     fill the range, all but the commit words
//	commit   take the publisher's role and store the commit word, position XOR key; or, where somebody has the role,
//	         store it atomically and ask them to look again
//	publish  with the role: index what is committed, move the watermark in Lane.head over it, give the role up
//
// Writers: any number of appenders write Lane.tail (claim), their own claimed range of the ring, and the low bits of
// Lane.head. The publisher, one at a time, writes the index and the watermark. space.raise writes Lane.cut and Lane.limit.
//
// Readers: the publisher reads commit words and headers; the flusher and readers read the ring below the watermark.
//
// The publishing atomics are the commit word (appender to publisher) and Lane.head (publisher to everybody). Both are
// sequentially consistent, so: payload stores, commit store, publisher's load of the commit, publisher's store of head,
// reader's load of head, reader's loads of the payload happen in this order. A reader sees whole batches. A commit word
// stored with the role need not be atomic: only who has the role looks at it, and the role passes through head.
//
// Ownership of a range of the ring passes by claim to the appender, by commit to the publisher, by the watermark to the
// flusher and the readers, and by limit, which follows the flusher's written and the readers' pins, to the next claim.
//
//  1. Ranges are disjoint. Each successful compare-and-swap moves tail past its own range, and tail only grows.
//
//  2. Nothing still needed is overwritten. A range ends at or below limit <= min(cut, oldest pin) + ring size with
//     cut <= written, see pins.go. What the claim reuses lies a ring size lower: written to its file, and read by nobody.
//
//  3. Full is safe: a claim above limit is not made. Nothing waits inside a claim, so nobody waits for a waiting claimant.
//     Empty is safe: at p == tail the publisher reads whatever word lies there, and it cannot be p XOR key: an earlier
//     lap's commit words are of other positions, memory never written is zero and key is above every position, and
//     payload bytes cannot contain a word made with a random 64-bit key that never leaves the server.
//
//  4. The publisher's word at p is never a torn one. It reads with the role, so everything below p is published and
//     nothing above: a claim on p starts at p, and its first 8 bytes are stored by nobody else without the role other
//     than atomically. And p <= tail <= limit, so the bytes at p are not needed by anyone of an earlier lap.
//
//  5. No batch stays unpublished. Who has the role gives it up by compare-and-swap from a head without headMore. Who
//     commits without the role then finds, or sets, headMore in a busy head, or finds it not busy and takes the role:
//
//     appender A                    publisher B
//     .                             word(p) != p^key: nothing at p
//     word(p) = p^key               .
//     head busy -> busy|more        .
//     .                             busy -> free fails: look again, find p
//
//     Where A finds headMore already set, B has yet to clear it, and looks after clearing it, thus after A's commit. With
//     a plain flag for the role B would have to look after giving it up, at memory that the next lap may have claimed.
//
//  6. The index has one writer at a time: the role passes through head, and each holder sees the index as the one before
//     left it.
//
//  7. Position order is index order, visibility order, and time order. Time: the clock is read after tail is loaded and
//     before the compare-and-swap that succeeds from that very value. Whoever claims higher has loaded a tail stored
//     after that, and reads the clock, which never goes back, later.
//
// A claimant that loses its processor between claim and commit delays the visibility of later batches, not their append.
//
// Appenders that keep meeting each other lose more to the traffic of cache lines than they gain by not waiting. Those of
// small batches then take turns, see crowd. Nothing above depends on it.
type lockFreeAppender struct {
	lane  *Lane
	crowd crowd
}

func (a *lockFreeAppender) append(shard uint32, b batch.Batch) (Ticket, error) {
	l := a.lane
	var c claim
	c.Kind, c.Key, c.Len, c.Shard, c.records = batch.KindData, l.key, uint32(len(b)), shard, b.Records()
	inTurn := a.crowd.enter(len(b))
	err := a.claim(&c)
	if err == nil {
		stress(stressCopy)
		l.fill(&c, b)
		a.publish(&c)
	}
	if inTurn {
		a.crowd.leave()
	}
	if err != nil {
		return Ticket{}, err
	}
	return Ticket{Position: c.Position, End: c.Position + uint64(c.Len), Micros: c.Micros}, nil
}

// claim finds c.Len bytes a place and takes them.
func (a *lockFreeAppender) claim(c *claim) error {
	l := a.lane
	n := uint64(c.Len)
	for {
		c.start = l.tail.Load()
		if c.start&tailClosed != 0 {
			return l.closedError()
		}
		c.Position = l.ring.place(c.start, n)
		if c.Position+n > l.limit.Load() {
			if !l.space.raise(l, c.Position+n) {
				return ErrBusy
			}
			continue // another claim may have been faster
		}
		c.Micros = l.clock.now()
		stress(stressClaim)
		if l.tail.CompareAndSwap(c.start, c.Position+n) {
			return nil
		}
		a.crowd.met()
	}
}

// publish commits c and sees to it that it is, or will be, published.
func (a *lockFreeAppender) publish(c *claim) {
	l := a.lane
	committed := false
	p := l.head.Load()
	for p&headBusy != 0 || !l.head.CompareAndSwap(p, p|headBusy) {
		if p&headBusy != 0 && !committed {
			stress(stressCommit)
			if c.Position > c.start {
				l.ring.word(c.start).Store(batch.CommitWord(c.start, l.key))
			}
			l.ring.word(c.Position).Store(batch.CommitWord(c.Position, l.key))
			committed = true
			a.crowd.met()
		} else if p&headMore != 0 || p&headBusy != 0 && l.head.CompareAndSwap(p, p|headMore) {
			return
		}
		stress(stressAnnounce)
		p = l.head.Load()
	}
	if !committed {
		l.commit(c)
	}
	for {
		stress(stressPublish)
		to, more := l.indexFrom(p, c)
		rolled := l.publishing.takeRolled()
		stress(stressVisible)
		if !more && l.head.CompareAndSwap(p|headBusy, to) {
			l.madeVisible(rolled)
			return
		}
		l.head.Store(to | headBusy) // others can have set headMore only: cleared, and looked for now
		l.madeVisible(rolled)
		stress(stressHandOver)
		p = to
	}
}

// claim is a range of the ring on its way from claimed to published: a pad from start up to the batch's Position where
// those differ, then the batch.
type claim struct {
	batch.Stamped
	start   uint64
	records int
}

// fill writes the claimed range, all but the commit words.
func (l *Lane) fill(c *claim, b batch.Batch) {
	if c.Position > c.start {
		batch.PutPad(l.ring.at(c.start, c.Position-c.start), c.start)
	}
	c.DurableHint = l.durable.Load()
	dst := l.ring.at(c.Position, uint64(len(b)))
	dst[8] = 0 // the memory is on its way to the cache while the header is summed
	copy(dst[batch.HeaderLen:], b[batch.HeaderLen:])
	batch.StampFrom(dst, b, &c.Stamped)
}

// commit stores the commit words. The caller has the publisher's role.
func (l *Lane) commit(c *claim) {
	if c.Position > c.start {
		binary.LittleEndian.PutUint64(l.ring.at(c.start, 8), batch.CommitWord(c.start, l.key))
	}
	binary.LittleEndian.PutUint64(l.ring.at(c.Position, 8), batch.CommitWord(c.Position, l.key))
}

// indexFrom indexes the committed batches from p on, no more than publishBurst, and returns where it stopped and whether
// there may be more. mine, which the caller has at hand, is not read back from the ring. The caller has the role.
func (l *Lane) indexFrom(p uint64, mine *claim) (to uint64, more bool) {
	if p == mine.start {
		p = mine.Position + uint64(mine.Len)
		l.publishing.add(l, mine.Position, uint64(mine.Len), mine.records, mine.Shard, mine.Micros)
	}
	for range publishBurst {
		if l.ring.word(p).Load() != batch.CommitWord(p, l.key) {
			return p, false
		}
		b := batch.Batch(l.ring.at(p, batch.PadHeaderLen))
		n := uint64(b.Len())
		if b.Kind() == batch.KindData {
			b = batch.Batch(l.ring.at(p, batch.HeaderLen))
			l.publishing.add(l, p, n, b.Records(), b.Shard(), b.AppendMicros())
		}
		p += n
	}
	return p, true
}

// madeVisible sees to it that the flusher, and after a new segment the preparer, learn that the watermark has moved.
func (l *Lane) madeVisible(rolled bool) {
	l.flusher.wake()
	if rolled {
		l.preparer.wake()
	}
}

// closedError says why there are no more claims. Whoever closes the tail has said so before.
func (l *Lane) closedError() error {
	if err := l.Err(); err != nil {
		return err
	}
	panic("BUG: lane closed without a reason")
}

package lane

import (
	"github.com/shardmill/shardmill/codec/batch"
)

// tailClosed in Lane.tail ends claiming: whoever sees it, or loses its compare-and-swap to it, appends nothing. Positions
// are multiples of 32, so the bit is free.
const tailClosed = 1

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
//	copy     fill the range, all but the first word, and seal the header
//	commit   store the first word, position XOR key, atomically
//	publish  become the publisher, or leave the batch to whoever is: index what is committed and move Lane.published
//
// Writers: any number of appenders write Lane.tail (claim), their own claimed range of the ring, and Lane.claims. The
// publisher, one at a time, writes the index and Lane.published. space.raise writes Lane.cut and Lane.limit.
//
// Readers: the publisher reads commit words and headers; the flusher and readers read the ring below Lane.published.
//
// The publishing atomics are the commit word (appender to publisher) and Lane.published (publisher to everybody). Both
// are sequentially consistent, so: payload stores, commit store, publisher's load of the commit, publisher's store of
// published, reader's load of published, reader's loads of the payload happen in this order. A reader sees whole batches.
//
// Ownership of a range of the ring passes by claim to the appender, by commit to the publisher, by published to the
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
//  4. The publisher's word at p is never a torn one. All positions below p are published, so a claim on p starts at p, and
//     its first 8 bytes are only ever stored atomically. And p <= tail <= limit, so the bytes at p are not needed by
//     anyone of an earlier lap.
//
//  5. No batch stays unpublished. An appender adds 1 to claims after its commit. Only the one that moves it from 0
//     becomes the publisher; it goes on until it takes away as many as there are, and the subtraction that ends at 0 is
//     later in the order of claims than every addition it took away. So for each addition either its author publishes,
//     or the publisher looks again after it, thus after the commit:
//
//     appender A                    publisher B
//     .                             word(p) != p^key: nothing at p
//     word(p) = p^key               .
//     claims 1 -> 2: B is at it     .
//     .                             claims 2-1 = 1, not 0: look again, find p
//
//     With a plain flag B would have to look after clearing it, without the role, at memory that may by then have been
//     claimed by the next lap. The count needs no such look.
//
//  6. The index has one writer at a time: the role passes through claims, and each holder sees the index as the one before
//     left it.
//
//  7. Position order is index order, visibility order, and time order. Time: the clock is read after tail is loaded and
//     before the compare-and-swap that succeeds from that very value. Whoever claims higher has loaded a tail stored
//     after that, and reads the clock, which never goes back, later.
//
// A claimant that loses its processor between claim and commit delays the visibility of later batches, not their append.
type lockFreeAppender struct {
	lane *Lane
}

func (a *lockFreeAppender) append(shard uint32, b batch.Batch) (Ticket, error) {
	l := a.lane
	n := uint64(len(b))
	var t, s uint64
	var micros int64
	for {
		t = l.tail.Load()
		if t&tailClosed != 0 {
			return Ticket{}, l.closedError()
		}
		s = l.ring.place(t, n)
		if s+n > l.limit.Load() {
			if !l.space.raise(l, s+n) {
				return Ticket{}, ErrBusy
			}
			continue // another claim may have been faster
		}
		micros = l.clock.now()
		stress(stressClaim)
		if l.tail.CompareAndSwap(t, s+n) {
			break
		}
	}
	stress(stressCopy)
	l.fill(t, s, shard, micros, b)
	stress(stressAnnounce)
	if l.claims.Add(1) == 1 { // the publisher's role, until nobody has come in the meantime
		for took := int64(1); took != 0; took = l.claims.Add(-took) {
			l.publish()
			stress(stressHandOver)
		}
	}
	return Ticket{Position: s, End: s + n, Micros: micros}, nil
}

// fill writes the claimed range [t, s+len(b)): a pad up to s if the batch had to skip there, and the batch.
func (l *Lane) fill(t, s uint64, shard uint32, micros int64, b batch.Batch) {
	if s > t {
		batch.PutPad(l.ring.at(t, s-t), t)
		stress(stressCommit)
		l.ring.word(t).Store(batch.CommitWord(t, l.key))
	}
	dst := l.ring.at(s, uint64(len(b)))
	copy(dst[8:], b[8:]) // the first word is the commit's
	batch.Stamp(dst, batch.Stamped{
		Position: s, Key: l.key, Len: uint32(len(b)), Kind: batch.KindData, Shard: shard,
		Micros: micros, DurableHint: l.durable.Load(),
	})
	stress(stressCommit)
	l.ring.word(s).Store(batch.CommitWord(s, l.key))
}

// publish indexes the committed batches from the watermark on and moves it over them. The caller has the publisher's role.
func (l *Lane) publish() {
	p := l.published.Load()
	start := p
	for i := 1; l.ring.word(p).Load() == batch.CommitWord(p, l.key); i++ {
		stress(stressPublish)
		p += l.publishing.add(l, p)
		if i%publishBurst == 0 {
			l.makeVisible(p)
		}
	}
	if p != start {
		l.makeVisible(p)
	}
}

// makeVisible moves the published watermark to p and sees to it that the flusher learns of it.
func (l *Lane) makeVisible(p uint64) {
	stress(stressVisible)
	l.published.Store(p)
	l.flusher.wake()
	if l.publishing.rolled {
		l.publishing.rolled = false
		l.preparer.wake()
	}
}

// closedError says why there are no more claims.
func (l *Lane) closedError() error {
	if err := l.Err(); err != nil {
		return err
	}
	return ErrClosed // stop and Close set the reason before the bit; this is never reached
}

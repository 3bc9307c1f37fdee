package lane

import (
	"fmt"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
)

const (
	// maxWrite is the most that one write to a segment file carries, so that the first of a long group is not kept waiting
	// for the last. Larger writes are not faster.
	maxWrite = 1 << 20
	// lazySync is how long written data nobody waits for stays unsynced at most, as long as the disk keeps up.
	lazySync = time.Second
	// maxUnsealed bounds the segments that are written but not yet sealed: their index is in memory, their data perhaps in
	// the page cache only. The flusher waits for the sealer beyond it.
	maxUnsealed = 16
)

func (l *Lane) initWorkers() {
	for _, w := range []*worker{&l.flusher, &l.syncer, &l.preparer, &l.sealer} {
		w.init()
	}
}

func (l *Lane) startWorkers() {
	if l.opts.FS == nil {
		l.flusher.start(l.announcing)
		return
	}
	l.flusher.start(l.flushing)
	l.syncer.start(l.syncing)
	l.preparer.start(l.preparing)
	l.sealer.start(l.sealing)
}

// flushing is the goroutine that writes the ring to the segment files. While one write runs the next group grows.
//
//	flusher: published > written: write, move written, wake whoever waited, and the syncer if somebody needs it
//	syncer:  written > durable and wanted: sync, move durable, wake whoever waited
//
// The two overlap: the file is written to while it is synced. There is no timer: a group is what came in meanwhile.
func (l *Lane) flushing() {
	var seg *segment // that the next byte goes to
	announced := l.published()
	for !l.broken.Load() {
		quit := l.flusher.quit.Load() // before published: what Close has seen published must be seen here
		stress(stressWork)
		published, written := l.published(), l.written.Load()
		if published == written {
			if published != announced {
				announced = published
				l.waiters.announce(l)
			}
			if quit {
				return
			}
			l.space.free(l)
			l.flusher.sleep(asleep, func() bool {
				return l.published() != announced || l.flusher.quit.Load() || l.broken.Load()
			}, 0)
			continue
		}
		l.clock.follow()
		if seg == nil || written >= seg.end() {
			if !l.awaitSealer(written) {
				return
			}
			seg = l.segs.at(written)
		}
		to, err := l.flush(seg, written, published)
		if err != nil {
			l.stop(fmt.Errorf("write segment %s: %w", seg.name, err))
			return
		}
		l.written.Store(to)
		announced = published
		l.waiters.announce(l)
		l.space.free(l)
		if l.demand.Load() > l.durable.Load() || to == seg.end() || written == l.durable.Load() {
			l.syncer.wake()
		}
	}
}

// flush writes what it may of [from, to) in one go and returns how far it came.
func (l *Lane) flush(seg *segment, from, to uint64) (uint64, error) {
	to = l.wholeBatches(from, min(to, seg.end(), (from|l.ring.mask)+1))
	f, err := l.useFile(seg)
	if err != nil {
		return from, err
	}
	defer l.doneFile(seg)
	if _, err := f.WriteAt(l.ring.at(from, to-from), seg.offset(from)); err != nil {
		return from, err
	}
	return to, nil
}

// wholeBatches is how far one write from from goes: maxWrite at most unless a single batch is longer, and never into the
// middle of a batch. What is written becomes a watermark, and a watermark within a batch would let readers see the whole
// of it, and in the hints of later batches make its torn rest a broken promise. from and to are where batches end.
func (l *Lane) wholeBatches(from, to uint64) uint64 {
	if to-from <= maxWrite {
		return to
	}
	at := from
	for {
		next := at + uint64(batch.Batch(l.ring.at(at, batch.PadHeaderLen)).Len())
		if next > from+maxWrite && at > from {
			return at
		}
		if at = next; at >= to {
			return to
		}
	}
}

// awaitSealer keeps the flusher from running more than maxUnsealed segments ahead of the sealer.
func (l *Lane) awaitSealer(written uint64) bool {
	room := func() bool {
		unsealed := 0
		for _, s := range l.segs.all() {
			if s.foot.Load() == nil && s.base < written {
				unsealed++
			}
		}
		return unsealed < maxUnsealed || l.broken.Load()
	}
	for !room() {
		l.syncer.wake()
		l.flusher.sleep(deaf, room, 0) // the sealer pokes
	}
	return !l.broken.Load()
}

// want asks for durability up to end.
func (l *Lane) want(end uint64) {
	for {
		d := l.demand.Load()
		if d >= end {
			return
		}
		if l.demand.CompareAndSwap(d, end) {
			break
		}
	}
	l.syncer.wake() // of no use before it is written, but then the flusher wakes it
}

// syncing is the goroutine that makes written data durable.
func (l *Lane) syncing() {
	var dirty time.Time // since when there has been something to sync; zero: there is not
	due := func(durable, written uint64) bool {
		return written > durable && (l.demand.Load() > durable || l.rolled(durable, written) || l.syncer.quit.Load())
	}
	for !l.broken.Load() {
		quit := l.syncer.quit.Load() // before written: what the flusher has left must be seen here
		stress(stressWork)
		written, durable := l.written.Load(), l.durable.Load()
		wait := time.Duration(0)
		if written > durable {
			if dirty.IsZero() {
				dirty = time.Now()
			}
			wait = lazySync - time.Since(dirty)
			if due(durable, written) || wait <= 0 {
				if err := l.sync(durable, written); err != nil {
					l.stop(err)
					return
				}
				dirty = time.Time{}
				continue
			}
		} else if quit {
			return
		}
		l.syncer.sleep(asleep, func() bool {
			w := l.written.Load()
			return due(durable, w) || written == durable && w > durable || l.syncer.quit.Load() || l.broken.Load()
		}, wait)
	}
}

// rolled tells whether [durable, written) reaches beyond the segment that durable is in.
func (l *Lane) rolled(durable, written uint64) bool {
	size := uint64(l.opts.SegmentSize)
	return durable/size != written/size
}

// sync makes [durable, written) durable: the files it lies in, oldest first, before the watermark moves.
func (l *Lane) sync(durable, written uint64) error {
	for _, s := range l.segs.from(durable) {
		if s.base >= written {
			break
		}
		f, err := l.useFile(s)
		if err == nil {
			err = f.SyncData()
			l.doneFile(s)
		}
		if err != nil {
			return fmt.Errorf("sync segment %s: %w", s.name, err)
		}
	}
	l.durable.Store(written)
	l.waiters.announce(l)
	if l.rolled(durable, written) {
		l.sealer.wake()
	}
	return nil
}

// announcing stands for flushing in a lane without files: it tells waiters and observers of publications, and sleeps deaf
// while there are none.
func (l *Lane) announcing() {
	announced := uint64(0)
	for !l.flusher.quit.Load() {
		if p := l.published(); p != announced {
			announced = p
			l.clock.follow()
			l.waiters.announce(l)
			l.space.free(l)
		}
		how := uint32(asleep)
		if l.waiters.listening.Load() == 0 && l.space.waiting.Load() == 0 {
			how = deaf
		}
		l.flusher.sleep(how, func() bool {
			return l.flusher.quit.Load() || how == asleep && l.published() != announced ||
				how == deaf && l.waiters.listening.Load() > 0
		}, 0)
	}
	l.waiters.announce(l)
}

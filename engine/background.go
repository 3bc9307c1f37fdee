package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
)

// expireEvery is how often old segments and shards are looked for. Expired records are hidden at once; this only frees
// their space.
const expireEvery = time.Minute

// dueList is the streams on their way to a state, in the order of arrival.
type dueList struct {
	mu    sync.Mutex // guards the following
	list  []due
	woken chan struct{} // capacity 1: the list has changed
}

type due struct {
	at     time.Time
	stream *Stream
	to     catalog.Status // Active, or Deleting for gone
	// consumer, where it has a name, is what is on its way instead of the stream: as it was when it set out.
	consumer ConsumerInfo
}

func (d *dueList) wake() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wakeLocked()
}

func (d *dueList) wakeLocked() chan struct{} {
	if d.woken == nil {
		d.woken = make(chan struct{}, 1)
	}
	return d.woken
}

func (d *dueList) add(at time.Time, s *Stream, to catalog.Status) {
	d.put(due{at: at, stream: s, to: to})
}

func (d *dueList) addConsumer(at time.Time, s *Stream, c ConsumerInfo) {
	d.put(due{at: at, stream: s, consumer: c})
}

func (d *dueList) put(x due) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, x) // all take equally long, so the list stays sorted
	select {
	case d.wakeLocked() <- struct{}{}:
	default: // a wake-up is pending
	}
}

// next returns what is due by now, and when to look again: the zero time if nothing waits.
func (d *dueList) next(now time.Time) (ready []due, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(d.list) && !d.list[n].at.After(now) {
		n++
	}
	ready = slices.Clone(d.list[:n])
	d.list = slices.Delete(d.list, 0, n)
	if len(d.list) > 0 {
		at = d.list[0].at
	}
	return ready, at
}

func (e *Engine) transitionEnd() time.Time { return time.Now().Add(e.o.Transition) }

// background is the engine's one goroutine: it ends transitions and frees what has expired.
func (e *Engine) background() {
	wake := e.due.wake()
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	arrive := time.NewTimer(time.Hour)
	defer arrive.Stop()
	for {
		ready, at := e.due.next(time.Now())
		for _, d := range ready {
			if d.consumer.Name != "" {
				d.stream.arriveConsumer(d.consumer)
			} else {
				d.stream.arrive(d.to)
			}
		}
		wait := time.Hour
		if !at.IsZero() {
			wait = time.Until(at)
		}
		arrive.Reset(wait)
		select {
		case <-e.stop.Done():
			return
		case <-wake:
		case <-arrive.C:
		case <-expire.C:
			if err := e.expire(time.Now()); err != nil {
				e.fail(err)
			}
		}
	}
}

// arrive ends a transition. A failure has made the engine fail, so the next caller hears of it.
func (s *Stream) arrive(to catalog.Status) {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return // deleted meanwhile
	}
	if to == catalog.Deleting {
		_ = s.removeLocked() // has failed the engine
		return
	}
	if info.Status == catalog.Deleting {
		return // the deletion came later and wins
	}
	next := info.Clone()
	next.Status = to
	if err := s.commit(next, nil); err == nil && info.Status == catalog.Creating {
		s.e.limits.created(s.name)
	}
}

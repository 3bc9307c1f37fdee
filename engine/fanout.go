package engine

import (
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/engine/catalog"
)

// fanout knows the active subscriptions and wakes those that may have something to read.
//
// The lane tells one observer of all subscriptions how far it has come. The observer takes no lock: it walks the open
// shards that somebody is subscribed to and compares where their last batch ends with where each subscription has come.
// An append notes that end after its batch may have been published, so a shard with appends inside counts as having news.
// Control operations tell of their changes through revise.
type fanout struct {
	watched atomic.Pointer[[]*watchedShard] // copied on each change; nil where nobody is subscribed
	count   atomic.Int32

	mu     sync.Mutex // guards the following; never taken by the observer
	active map[subscriptionKey]*Subscription
	stop   func() // of the observer; nil while there is none
	closed bool
}

// subscriptionKey is what there may be one active subscription for.
type subscriptionKey struct {
	stream   uint32
	shard    uint32 // index in the stream
	created  int64  // of the consumer
	consumer string
}

// watchedShard is an open shard and its subscriptions.
type watchedShard struct {
	sh            *shard
	subscriptions atomic.Pointer[[]*Subscription] // copied on each change, never empty
}

// observe wakes whoever may have something to read.
func (f *fanout) observe(Watermarks) {
	list := f.watched.Load()
	if list == nil {
		return
	}
	for _, w := range *list {
		// The order matters: an append that has left noted its end before.
		busy := w.sh.word.Load()&(shutBit-1) != 0
		end := w.sh.lastEnd.Load()
		for _, x := range *w.subscriptions.Load() {
			if busy || end > x.next.Load() {
				x.wake()
			}
		}
	}
}

// add makes x the active subscription of its key. One that is younger than takeOverAfter stands in the way, an older one
// is ended.
func (f *fanout) add(x *Subscription) *Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return stoppedError(ErrClosed)
	}
	if old := f.active[x.key]; old != nil {
		inUse := newError(CodeInUse, "Another active subscription exists for this consumer: %s:%s:%s:%s",
			x.s.name.Account, x.s.name.Stream, ShardID(x.key.shard), x.key.consumer)
		if x.started.Sub(old.started) < takeOverAfter {
			return inUse
		}
		f.endLocked(old, inUse)
	}
	if f.active == nil {
		f.active = map[subscriptionKey]*Subscription{}
	}
	f.active[x.key] = x
	f.count.Store(int32(len(f.active)))
	f.watchLocked(x)
	if f.stop == nil {
		f.stop = x.s.e.Observe(f.observe)
	}
	return nil
}

// watchLocked has x woken by appends, where its shard is open.
func (f *fanout) watchLocked(x *Subscription) {
	if x.open == nil {
		return
	}
	var list []*watchedShard
	if old := f.watched.Load(); old != nil {
		list = *old
	}
	for _, w := range list {
		if w.sh == x.open {
			more := append(append([]*Subscription(nil), *w.subscriptions.Load()...), x)
			w.subscriptions.Store(&more)
			return
		}
	}
	w := &watchedShard{sh: x.open}
	w.subscriptions.Store(&[]*Subscription{x})
	list = append(append([]*watchedShard(nil), list...), w)
	f.watched.Store(&list)
}

func (f *fanout) unwatchLocked(x *Subscription) {
	old := f.watched.Load()
	if x.open == nil || old == nil {
		return
	}
	var list []*watchedShard
	for _, w := range *old {
		if w.sh != x.open {
			list = append(list, w)
			continue
		}
		var rest []*Subscription
		for _, y := range *w.subscriptions.Load() {
			if y != x {
				rest = append(rest, y)
			}
		}
		if len(rest) > 0 {
			w.subscriptions.Store(&rest)
			return
		}
	}
	f.watched.Store(&list)
}

// end ends x with err; only the first end counts.
func (f *fanout) end(x *Subscription, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLocked(x, err)
}

func (f *fanout) endLocked(x *Subscription, err error) {
	if x.err != nil {
		return
	}
	x.err = err
	x.finish()
	if f.active[x.key] == x {
		delete(f.active, x.key)
	}
	f.count.Store(int32(len(f.active)))
	f.unwatchLocked(x)
	if len(f.active) == 0 && f.stop != nil {
		f.stop() // waits for observers, who take no lock
		f.stop = nil
	}
}

// revise lets the subscriptions of a stream see its change: those of a stream or consumer that is gone end, the others
// look whether their shard has been closed.
func (f *fanout) revise(s *Stream) {
	if f.count.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	info := s.info.Load()
	for _, x := range f.active {
		if x.s != s {
			continue
		}
		if s.gone.Load() {
			f.endLocked(x, notFound(s.name))
		} else if c := info.Consumer(x.key.consumer); c == nil || c.Created != x.key.created || c.Status != catalog.Active {
			f.endLocked(x, noSuchConsumer(s.name, x.key.consumer))
		} else {
			x.wake()
		}
	}
}

// close ends every subscription, and those to come.
func (f *fanout) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, x := range f.active {
		f.endLocked(x, ErrClosed)
	}
}

package itemstore

import (
	"errors"
	"sync"

	"go.etcd.io/bbolt"
)

// group lets writes that wait for the disk share one transaction of the file, and so its syncs: whoever gets the turn
// does what all that wait had in mind. The queue is as long as there are callers.
type group struct {
	mu    sync.Mutex
	queue []*queued // guarded by mu

	turn sync.Mutex // held while a transaction runs
}

// queued is one caller's write. done and err are guarded by turn.
type queued struct {
	// do decides, and only then changes anything. changed tells that it began to: an error then fails the transaction.
	do   func(*bbolt.Tx) (changed bool, err error)
	done bool
	err  error
}

// shared runs do in a transaction that is on disk once shared returned nil, together with those of other callers.
func (s *Store) shared(do func(*bbolt.Tx) (changed bool, err error)) error {
	q := &queued{do: do}
	g := &s.group
	g.mu.Lock()
	g.queue = append(g.queue, q)
	g.mu.Unlock()
	g.turn.Lock()
	defer g.turn.Unlock()
	if q.done {
		return q.err
	}
	g.mu.Lock()
	all := g.queue
	g.queue = nil
	g.mu.Unlock()
	if err := s.update(func(tx *bbolt.Tx) error { return runAll(tx, all) }); err != nil && !errors.Is(err, errNothing) {
		for _, other := range all {
			if other.err == nil {
				other.err = err
			}
		}
	}
	for _, other := range all {
		other.done = true
	}
	return q.err
}

// errNothing rolls a transaction back in which nothing was changed.
var errNothing = errors.New("nothing to write")

// runAll runs each write on what those before it left.
func runAll(tx *bbolt.Tx, all []*queued) error {
	wrote := false
	for _, q := range all {
		changed, err := q.do(tx)
		if q.err = err; err != nil && changed {
			return err
		}
		wrote = wrote || changed
	}
	if !wrote {
		return errNothing
	}
	return nil
}

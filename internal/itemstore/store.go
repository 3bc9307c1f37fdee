package itemstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Limits of a store.
const (
	MaxTables    = 2500 // per account and region
	MaxIndexes   = 20   // per table
	MaxItemSize  = 400 << 10
	MaxPage      = 1 << 20 // bytes of items that one Query or Scan looks at
	MaxWrites    = 100     // per transaction
	MaxTotal     = 4 << 20 // bytes of items per transaction
	defaultBytes = 4 << 30
	lockTimeout  = time.Second
)

// Options configure a Store. The zero value of each field but Path is its default.
type Options struct {
	Path string // of the file; its folder must exist
	// NoSync leaves it to the operating system when bytes reach the disk: writes survive kill -9, not power loss.
	NoSync bool
	// MaxBytes bounds the file; writes beyond are ErrFull. Default 4 GiB.
	MaxBytes int64
}

// Store is an open file. Its methods may be called concurrently; writers share syncs. An acknowledged write is on disk.
type Store struct {
	db    *bbolt.DB
	max   int64
	group group
	// failed keeps the first error of the disk: what a write after it would promise is unknown.
	failed atomic.Pointer[error]
}

// Scope is the account and region that a table belongs to.
type Scope struct{ Account, Region string }

// Open opens or makes the file. A file that another process has open is an error after a second.
func Open(o Options) (*Store, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultBytes
	}
	db, err := bbolt.Open(o.Path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, NoSync: o.NoSync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, fmt.Errorf("open item store %s: %w", o.Path, err)
	}
	s := &Store{db: db, max: o.MaxBytes}
	if err := s.update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(tablesBucket))
		return err
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare item store %s: %w", o.Path, err), db.Close())
	}
	return s, nil
}

// Close ends the store after the calls under way.
func (s *Store) Close() error { return s.db.Close() }

// Err is the first error of the disk, which also is what every later write gets; nil while all is well.
func (s *Store) Err() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// update runs do in a transaction that is on disk once update returned nil. Errors of do are handed through; errors of
// the disk stick.
func (s *Store) update(do func(*bbolt.Tx) error) error {
	if err := s.Err(); err != nil {
		return err
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		err = fmt.Errorf("write item store: %w", err)
		s.failed.CompareAndSwap(nil, &err)
		return err
	}
	return nil
}

// room is ErrFull where the file may not grow.
func (s *Store) room(tx *bbolt.Tx) error {
	if tx.Size() >= s.max {
		return fmt.Errorf("%d bytes: %w", tx.Size(), ErrFull)
	}
	return nil
}

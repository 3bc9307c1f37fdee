package vfs

import (
	"errors"
	"io/fs"
	"sync/atomic"
)

// Kind is a method of FS or File.
type Kind uint8

// Any stands for every kind in Nth, From and Count; an Op never has it.
const (
	Any Kind = iota
	OpOpen
	OpCreate
	OpRemove
	OpRename
	OpList
	OpMkdirAll
	OpSyncDir
	OpStat
	OpFree
	OpLock
	OpReadAt
	OpWriteAt
	OpSyncData
	OpPreallocate
	OpTruncate
	OpSize
	OpClose
	kinds
)

// Kinds returns every kind of operation, for tests that fail each in turn.
func Kinds() []Kind {
	all := make([]Kind, 0, kinds-1)
	for k := OpOpen; k < kinds; k++ {
		all = append(all, k)
	}
	return all
}

// String is the kind's name as errors show it.
func (k Kind) String() string {
	names := [...]string{
		"any", "open", "create", "remove", "rename", "list", "mkdirall", "syncdir", "stat", "free", "lock",
		"readat", "writeat", "syncdata", "preallocate", "truncate", "size", "close",
	}
	if int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Op is one operation about to happen.
type Op struct {
	Kind Kind
	Name string // of the file or folder; of the old name for a rename
	Seq  uint64 // among all operations, from 1
	Nth  uint64 // among those of its kind, from 1
	Off  int64  // of a read or write
	Size int64  // bytes of a read or write; the argument of Truncate and Preallocate
}

// Partial, returned by an injection for a read or write, lets the first Bytes through before it fails with Err.
type Partial struct {
	Bytes int
	Err   error
}

// Error is Err's text.
func (p *Partial) Error() string { return "partial: " + p.Err.Error() }

// Unwrap returns Err.
func (p *Partial) Unwrap() error { return p.Err }

// Faulty is a disk that fails on request and counts what is done to it. It may be used concurrently; the numbers an
// operation gets are then those of some order.
//
// A failed operation does nothing below, with three exceptions: a *Partial read or write, a Close, which always closes,
// and a failed SyncData over a Mem, which leaves the written blocks marked clean but not durable as Linux does, so that a
// second SyncData succeeds and saves nothing.
type Faulty struct {
	under  FS
	inject atomic.Pointer[func(Op) error]
	seq    atomic.Uint64
	counts [kinds]atomic.Uint64
}

var _ FS = (*Faulty)(nil)

// NewFaulty wraps under; nothing fails before Inject.
func NewFaulty(under FS) *Faulty { return &Faulty{under: under} }

// Inject calls fn before every operation from now on; what it returns, wrapped in an *fs.PathError, is the operation's
// error. fn may be called concurrently and must not use the disk it is injected into. nil ends it.
func (f *Faulty) Inject(fn func(Op) error) {
	if fn == nil {
		f.inject.Store(nil)
		return
	}
	f.inject.Store(&fn)
}

// Count is how many operations of kind k have been asked for, failed ones included.
func (f *Faulty) Count(k Kind) uint64 {
	if k == Any {
		return f.seq.Load()
	}
	return f.counts[k].Load()
}

// Nth is an injection that fails the nth operation of kind k (counted since NewFaulty) and no other.
func Nth(k Kind, n uint64, err error) func(Op) error {
	return func(op Op) error {
		if op.number(k) == n {
			return err
		}
		return nil
	}
}

// From is an injection that sticks: it fails the nth operation of kind k and all operations of that kind after it.
func From(k Kind, n uint64, err error) func(Op) error {
	return func(op Op) error {
		if at := op.number(k); at != 0 && at >= n {
			return err
		}
		return nil
	}
}

// number is op's place among operations of kind k, 0 where it is none.
func (op Op) number(k Kind) uint64 {
	switch k {
	case Any:
		return op.Seq
	case op.Kind:
		return op.Nth
	default:
		return 0
	}
}

// before counts the operation and asks whether it fails.
func (f *Faulty) before(op Op) error {
	op.Seq = f.seq.Add(1)
	op.Nth = f.counts[op.Kind].Add(1)
	fn := f.inject.Load()
	if fn == nil {
		return nil
	}
	if err := (*fn)(op); err != nil {
		return &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: err}
	}
	return nil
}

// Open counts, may fail, and opens below.
func (f *Faulty) Open(name string) (File, error) {
	if err := f.before(Op{Kind: OpOpen, Name: name}); err != nil {
		return nil, err
	}
	file, err := f.under.Open(name)
	return f.wrap(file, name, err)
}

// Create counts, may fail, and creates below.
func (f *Faulty) Create(name string) (File, error) {
	if err := f.before(Op{Kind: OpCreate, Name: name}); err != nil {
		return nil, err
	}
	file, err := f.under.Create(name)
	return f.wrap(file, name, err)
}

func (f *Faulty) wrap(under File, name string, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, under, name}, nil
}

// Remove counts, may fail, and removes below.
func (f *Faulty) Remove(name string) error {
	if err := f.before(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	return f.under.Remove(name)
}

// Rename counts, may fail, and renames below.
func (f *Faulty) Rename(from, to string) error {
	if err := f.before(Op{Kind: OpRename, Name: from}); err != nil {
		return err
	}
	return f.under.Rename(from, to)
}

// List counts, may fail, and lists below.
func (f *Faulty) List(dir string) ([]string, error) {
	if err := f.before(Op{Kind: OpList, Name: dir}); err != nil {
		return nil, err
	}
	return f.under.List(dir)
}

// MkdirAll counts, may fail, and makes folders below.
func (f *Faulty) MkdirAll(dir string) error {
	if err := f.before(Op{Kind: OpMkdirAll, Name: dir}); err != nil {
		return err
	}
	return f.under.MkdirAll(dir)
}

// SyncDir counts, may fail, and syncs below.
func (f *Faulty) SyncDir(dir string) error {
	if err := f.before(Op{Kind: OpSyncDir, Name: dir}); err != nil {
		return err
	}
	return f.under.SyncDir(dir)
}

// Stat counts, may fail, and asks below.
func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	if err := f.before(Op{Kind: OpStat, Name: name}); err != nil {
		return nil, err
	}
	return f.under.Stat(name)
}

// Free counts, may fail, and asks below.
func (f *Faulty) Free(dir string) (uint64, error) {
	if err := f.before(Op{Kind: OpFree, Name: dir}); err != nil {
		return 0, err
	}
	return f.under.Free(dir)
}

// Lock counts, may fail, and locks below.
func (f *Faulty) Lock(name string) (func() error, error) {
	if err := f.before(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	return f.under.Lock(name)
}

// faultyFile is an open file of a Faulty.
type faultyFile struct {
	f     *Faulty
	under File
	name  string
}

var _ File = (*faultyFile)(nil)

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	err := f.f.before(Op{Kind: OpReadAt, Name: f.name, Off: off, Size: int64(len(p))})
	return partly(f.under.ReadAt, p, off, err)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.f.before(Op{Kind: OpWriteAt, Name: f.name, Off: off, Size: int64(len(p))})
	return partly(f.under.WriteAt, p, off, err)
}

// partly does the whole of a read or write where injected is nil, and as much as a *Partial lets through otherwise.
func partly(do func([]byte, int64) (int, error), p []byte, off int64, injected error) (int, error) {
	if injected == nil {
		return do(p, off)
	}
	var part *Partial
	if !errors.As(injected, &part) {
		return 0, injected
	}
	n, err := do(p[:max(min(part.Bytes, len(p)-1), 0)], off) // a short count carries an error, so an error a short count
	if err != nil {
		return n, err
	}
	return n, injected
}

// NextData counts as a read.
func (f *faultyFile) NextData(off int64) (int64, error) {
	if err := f.f.before(Op{Kind: OpReadAt, Name: f.name, Off: off}); err != nil {
		return 0, err
	}
	return f.under.NextData(off)
}

func (f *faultyFile) SyncData() error {
	if err := f.f.before(Op{Kind: OpSyncData, Name: f.name}); err != nil {
		if m, ok := f.under.(*memFile); ok {
			m.syncFailed()
		}
		return err
	}
	return f.under.SyncData()
}

func (f *faultyFile) Preallocate(size int64) error {
	if err := f.f.before(Op{Kind: OpPreallocate, Name: f.name, Size: size}); err != nil {
		return err
	}
	return f.under.Preallocate(size)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.f.before(Op{Kind: OpTruncate, Name: f.name, Size: size}); err != nil {
		return err
	}
	return f.under.Truncate(size)
}

func (f *faultyFile) Size() (int64, error) {
	if err := f.f.before(Op{Kind: OpSize, Name: f.name}); err != nil {
		return 0, err
	}
	return f.under.Size()
}

func (f *faultyFile) Close() error {
	injected := f.f.before(Op{Kind: OpClose, Name: f.name})
	if err := f.under.Close(); injected == nil {
		return err
	}
	return injected
}

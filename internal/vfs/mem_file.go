package vfs

import (
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	blockSize  = 4096 // what a kernel writes back as a whole
	sectorSize = 512  // what a disk writes as a whole

	// maxMemFile bounds a file's size, so that block numbers fit an int everywhere. What a file may allocate is bounded by
	// the disk's limit.
	maxMemFile = 1 << 40
)

// memBlock is one block's bytes. It is written in place only by its owner and only while unsynced; else copied.
type memBlock struct {
	owner *memOwner
	data  [blockSize]byte
}

// memData is the content of a file, as it is now and as it was last synced. Absent blocks (nil or beyond the table's end)
// read as zero.
type memData struct {
	blocks      []*memBlock
	durBlocks   []*memBlock
	size        int64
	durSize     int64
	alloc       int64 // bytes charged to the disk: blocks from 0 to the end of what was ever written or preallocated
	dirty       map[int]struct{}
	sizeChanged bool // since the last sync
	changed     time.Time
}

func (d *memData) touch() { d.changed = time.Now() }

func blockAt(t []*memBlock, i int) *memBlock {
	if i < len(t) {
		return t[i]
	}
	return nil
}

// setBlock stores b as block i of t, making t longer only for a b that is there.
func setBlock(t []*memBlock, i int, b *memBlock) []*memBlock {
	if i >= len(t) {
		if b == nil {
			return t
		}
		t = append(t, make([]*memBlock, i+1-len(t))...)
	}
	t[i] = b
	return t
}

// writable returns block i for writing: the one that is there where only we can see it, a copy otherwise.
func (d *memData) writable(i int, own *memOwner) *memBlock {
	b := blockAt(d.blocks, i)
	if b != nil && b.owner == own && b != blockAt(d.durBlocks, i) {
		d.mark(i)
		return b
	}
	fresh := &memBlock{owner: own}
	if b != nil {
		fresh.data = b.data
	}
	d.blocks = setBlock(d.blocks, i, fresh)
	d.mark(i)
	return fresh
}

func (d *memData) mark(i int) {
	if d.dirty == nil {
		d.dirty = map[int]struct{}{}
	}
	d.dirty[i] = struct{}{}
}

func (d *memData) write(p []byte, off int64, own *memOwner) {
	if end := off + int64(len(p)); end > d.size {
		d.size, d.sizeChanged = end, true
	}
	for len(p) > 0 {
		i, from := int(off/blockSize), int(off%blockSize)
		n := copy(d.writable(i, own).data[from:], p)
		p, off = p[n:], off+int64(n)
	}
}

func (d *memData) read(p []byte, off int64) {
	for len(p) > 0 {
		i, from := int(off/blockSize), int(off%blockSize)
		n := min(len(p), blockSize-from)
		if b := blockAt(d.blocks, i); b != nil {
			copy(p[:n], b.data[from:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+int64(n)
	}
}

// resize sets the size; what is cut off reads as zero when the file grows again.
func (d *memData) resize(size int64, own *memOwner) {
	if size < d.size {
		first := int(roundUp(size) / blockSize)
		for i := first; i < len(d.blocks); i++ {
			if d.blocks[i] != nil {
				d.blocks[i] = nil
				d.mark(i)
			}
		}
		d.blocks = d.blocks[:min(len(d.blocks), first)]
		if tail := size % blockSize; tail != 0 && blockAt(d.blocks, first-1) != nil {
			clear(d.writable(first-1, own).data[tail:])
		}
	}
	d.sizeChanged = d.sizeChanged || size != d.size
	d.size = size
}

// sync makes the current content durable. Blocks that a failed sync forgot (forget) stay as they were.
func (d *memData) sync() {
	for i := range d.dirty {
		d.durBlocks = setBlock(d.durBlocks, i, blockAt(d.blocks, i))
	}
	d.dirty = nil
	if d.sizeChanged {
		d.durSize, d.sizeChanged = d.size, false
	}
}

// forget is what Linux does when writing back fails: the error is reported once, the pages count as clean, and a later
// sync succeeds without having written them.
func (d *memData) forget() {
	d.dirty = nil
	d.sizeChanged = false
}

// memFile is an open file of a Mem.
type memFile struct {
	m      *Mem
	n      *memNode
	name   string
	closed atomic.Bool
}

var _ File = (*memFile)(nil)

func (f *memFile) check(op string, off int64) error {
	if f.closed.Load() {
		return pathError(op, f.name, fs.ErrClosed)
	}
	if off < 0 {
		return pathError(op, f.name, fs.ErrInvalid)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", off); err != nil {
		return 0, err
	}
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	n := int(min(int64(len(p)), max(f.n.size-off, 0)))
	f.n.read(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes what fits where the disk runs full, and says so.
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", off); err != nil {
		return 0, err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off > maxMemFile-int64(len(p)) {
		return 0, pathError("write", f.name, syscall.EFBIG)
	}
	before := f.n.alloc
	short := f.m.reserveLocked(f.n, off+int64(len(p)))
	if short != nil {
		p = p[:min(int64(len(p)), max(f.n.alloc-off, 0))]
		if len(p) == 0 {
			f.m.unreserveLocked(f.n, before)
		}
	}
	if len(p) > 0 {
		f.n.write(p, off, f.m.own)
		f.n.touch()
	}
	if short != nil {
		return len(p), pathError("write", f.name, short)
	}
	return len(p), nil
}

// reserveLocked charges n's blocks up to end, as far as they fit.
func (m *Mem) reserveLocked(n *memNode, end int64) error {
	want := roundUp(end) - n.alloc
	if want <= 0 {
		return nil
	}
	got := min(want, max(m.limit-m.used, 0)/blockSize*blockSize)
	n.alloc += got
	m.used += got
	if got < want {
		return syscall.ENOSPC
	}
	return nil
}

// unreserveLocked gives back what n has beyond alloc.
func (m *Mem) unreserveLocked(n *memNode, alloc int64) {
	if alloc < n.alloc {
		m.used -= n.alloc - alloc
		n.alloc = alloc
	}
}

func (f *memFile) SyncData() error {
	if err := f.check("fdatasync", 0); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.sync()
	return nil
}

// NextData takes everything up to the end for data.
func (f *memFile) NextData(off int64) (int64, error) {
	size, err := f.Size()
	if err == nil && off >= size {
		err = io.EOF
	}
	return off, err
}

// syncFailed is called by Faulty in place of SyncData when the sync is made to fail.
func (f *memFile) syncFailed() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.forget()
}

func (f *memFile) Preallocate(size int64) error {
	if err := f.check("preallocate", size); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if size > maxMemFile {
		return pathError("preallocate", f.name, syscall.EFBIG)
	}
	// Nothing is kept of an allocation that does not fit, unlike a write.
	if before := f.n.alloc; f.m.reserveLocked(f.n, size) != nil {
		f.m.unreserveLocked(f.n, before)
		return pathError("preallocate", f.name, syscall.ENOSPC)
	}
	if size > f.n.size {
		f.n.resize(size, f.m.own)
		f.n.touch()
	}
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", size); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if size > maxMemFile {
		return pathError("truncate", f.name, syscall.EFBIG)
	}
	f.n.resize(size, f.m.own)
	f.n.touch()
	f.m.unreserveLocked(f.n, roundUp(size))
	return nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("size", 0); err != nil {
		return 0, err
	}
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	return f.n.size, nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.opens--
	f.m.releaseLocked(f.n)
	return nil
}

// memInfo is what Stat tells.
type memInfo struct {
	name    string
	size    int64
	folder  bool
	changed time.Time
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return i.changed }
func (i memInfo) IsDir() bool        { return i.folder }
func (i memInfo) Sys() any           { return nil }

func (i memInfo) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | folderMode
	}
	return fileMode
}

var _ fs.FileInfo = memInfo{}

package vfs

import (
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

const (
	// DefaultMemLimit bounds the file bytes of a Mem that was given no limit.
	DefaultMemLimit = 1 << 30
	// maxPendingChanges bounds the unsynced changes a folder remembers. Beyond it the oldest becomes durable, as a kernel
	// writes back by itself sooner or later.
	maxPendingChanges = 4096
)

// Mem is a disk in memory that knows, block by block and folder entry by folder entry, what has been synced. CrashClone
// and KillClone give the disk that a power loss or a kill -9 would leave. It may be used concurrently.
//
// Names are slash paths; "a", "/a" and "./a" are the same file. Files cost their allocated 4 KiB blocks, twice where
// synced content has been overwritten since; clones share blocks until one side writes.
type Mem struct {
	mu    sync.RWMutex
	root  *memNode        // mu guards the tree below it
	locks map[string]bool // by clean name
	own   *memOwner       // blocks with this mark may be written in place
	limit int64           // of used, in bytes
	used  int64           // allocated by files that have a name or are open
	ghost int64           // allocated by files removed since the folders last settled; a crash may bring them back
}

var _ FS = (*Mem)(nil)

// memOwner marks the blocks that one Mem allocated since it was last cloned. It has a size so that each has an address.
type memOwner struct{ _ byte }

// NewMem makes an empty disk that holds up to limit bytes of files; 0 means DefaultMemLimit. Writes beyond it fail with
// ENOSPC.
func NewMem(limit int64) *Mem {
	if limit <= 0 {
		limit = DefaultMemLimit
	}
	return &Mem{root: newFolder(), locks: map[string]bool{}, own: new(memOwner), limit: limit}
}

// memNode is a file or a folder; names point at it, open files hold it.
type memNode struct {
	names int // entries that point here now
	opens int
	memFolder
	memData
}

// memFolder has entries where the node is a folder; a file's map is nil.
type memFolder struct {
	entries map[string]*memNode
	durable map[string]*memNode
	pending []memChange // what leads from durable to entries, oldest first
}

// memChange is one unsynced change of a folder: it happens as a whole or not at all. A nil node is a removal.
type memChange struct {
	name string
	node *memNode
	// gone is the name that a rename within the folder took away, "" for other changes.
	gone string
}

func newFolder() *memNode {
	return &memNode{memFolder: memFolder{entries: map[string]*memNode{}, durable: map[string]*memNode{}}}
}

func (n *memNode) isFolder() bool { return n.entries != nil }

// apply does nothing for a rename of what is not there: in a crash an earlier change was lost, and journals keep order.
func (c memChange) apply(to map[string]*memNode) {
	if c.gone != "" {
		if to[c.gone] != c.node {
			return
		}
		delete(to, c.gone)
	}
	if c.node == nil {
		delete(to, c.name)
		return
	}
	to[c.name] = c.node
}

// change applies c now and remembers it until the folder is synced.
func (f *memFolder) change(c memChange) {
	c.apply(f.entries)
	if len(f.pending) == maxPendingChanges {
		f.pending[0].apply(f.durable)
		f.pending = slices.Delete(f.pending, 0, 1)
	}
	f.pending = append(f.pending, c)
}

// settle makes all changes durable.
func (f *memFolder) settle() {
	for _, c := range f.pending {
		c.apply(f.durable)
	}
	f.pending = nil
}

func memPath(name string) string {
	return path.Clean("/" + filepath.ToSlash(name))
}

// findLocked returns the node at name.
func (m *Mem) findLocked(name string) (*memNode, error) {
	at := m.root
	for rest := memPath(name)[1:]; rest != ""; {
		if !at.isFolder() {
			return nil, syscall.ENOTDIR
		}
		var first string
		first, rest = cutName(rest)
		next := at.entries[first]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		at = next
	}
	return at, nil
}

func cutName(p string) (first, rest string) {
	for i := range len(p) {
		if p[i] == '/' {
			return p[:i], p[i+1:]
		}
	}
	return p, ""
}

// parentLocked returns the folder that name lies or would lie in, and its last element.
func (m *Mem) parentLocked(name string) (*memNode, string, error) {
	dir, base := path.Split(memPath(name))
	if base == "" {
		return nil, "", fs.ErrInvalid // the root itself
	}
	folder, err := m.findLocked(dir)
	if err == nil && !folder.isFolder() {
		err = syscall.ENOTDIR
	}
	return folder, base, err
}

// Open opens an existing file.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked(name)
	if err == nil && n.isFolder() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	n.opens++
	return &memFile{m: m, n: n, name: name}, nil
}

// Create makes a new file and opens it.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	folder, base, err := m.parentLocked(name)
	if err == nil && folder.entries[base] != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return nil, pathError("create", name, err)
	}
	n := &memNode{names: 1, opens: 1}
	n.touch()
	folder.change(memChange{name: base, node: n})
	return &memFile{m: m, n: n, name: name}, nil
}

// Remove removes a file or an empty folder.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	folder, base, err := m.parentLocked(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	n := folder.entries[base]
	switch {
	case n == nil:
		return pathError("remove", name, fs.ErrNotExist)
	case len(n.entries) > 0:
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	folder.change(memChange{name: base})
	m.unnamedLocked(n)
	return nil
}

// Rename gives from's file or folder the name to. Between two folders it is two changes, each durable with its folder:
// sync the one that gains first. A folder that moves between folders is durable at once.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.renameLocked(from, to); err != nil {
		return pathError("rename", from, err)
	}
	return nil
}

func (m *Mem) renameLocked(from, to string) error {
	source, gone, err := m.parentLocked(from)
	if err != nil {
		return err
	}
	target, name, err := m.parentLocked(to)
	if err != nil {
		return err
	}
	n, old := source.entries[gone], target.entries[name]
	switch {
	case n == nil:
		return fs.ErrNotExist
	case n == old:
		return nil
	case n.isFolder() && m.insideLocked(target, n):
		return syscall.EINVAL
	case old != nil && old.isFolder() != n.isFolder():
		return syscall.EISDIR
	case old != nil && len(old.entries) > 0:
		return syscall.ENOTEMPTY
	}
	if source == target {
		source.change(memChange{name: name, node: n, gone: gone})
	} else {
		target.change(memChange{name: name, node: n})
		source.change(memChange{name: gone})
	}
	if n.isFolder() && source != target {
		target.settle() // else a crash could leave one folder in two places, and folders in circles
		source.settle()
	}
	if old != nil {
		m.unnamedLocked(old)
	}
	return nil
}

// insideLocked tells whether n lies in folder's subtree, or is folder.
func (m *Mem) insideLocked(n, folder *memNode) bool {
	if n == folder {
		return true
	}
	for _, child := range folder.entries {
		if child.isFolder() && m.insideLocked(n, child) {
			return true
		}
	}
	return false
}

// unnamedLocked notes that n lost a name.
func (m *Mem) unnamedLocked(n *memNode) {
	n.names--
	m.releaseLocked(n)
}

// releaseLocked gives back n's space once nobody can reach it. Its memory stays until the folder is synced, or until
// such files add up to the limit.
func (m *Mem) releaseLocked(n *memNode) {
	if n.names != 0 || n.opens != 0 {
		return
	}
	m.used -= n.alloc
	m.ghost += n.alloc
	n.alloc = 0
	if m.ghost > m.limit {
		m.ghost = 0
		settleAll(m.root)
	}
}

func settleAll(n *memNode) {
	n.settle()
	for _, child := range n.entries {
		if child.isFolder() {
			settleAll(child)
		}
	}
}

// List returns the names in dir, sorted.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.folderLocked(dir)
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

func (m *Mem) folderLocked(dir string) (*memNode, error) {
	n, err := m.findLocked(dir)
	if err == nil && !n.isFolder() {
		err = syscall.ENOTDIR
	}
	return n, err
}

// MkdirAll makes dir and its parents where absent.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.root
	for rest := memPath(dir)[1:]; rest != ""; {
		var first string
		first, rest = cutName(rest)
		next := at.entries[first]
		if next == nil {
			next = newFolder()
			next.names = 1
			next.touch()
			at.change(memChange{name: first, node: next})
		}
		if !next.isFolder() {
			return pathError("mkdir", dir, syscall.ENOTDIR)
		}
		at = next
	}
	return nil
}

// SyncDir makes the entries of dir durable: not those of its subfolders, and not the contents of its files.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.folderLocked(dir)
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	n.settle()
	return nil
}

// Stat describes the file or folder at name.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.findLocked(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return memInfo{name: path.Base(memPath(name)), size: n.size, folder: n.isFolder(), changed: n.changed}, nil
}

// Free returns what is left of the limit.
func (m *Mem) Free(dir string) (uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, err := m.findLocked(dir); err != nil {
		return 0, pathError("free", dir, err)
	}
	return uint64(max(m.limit-m.used, 0)), nil
}

// SetLimit changes how many bytes of files fit, as a neighbour that fills or leaves the same disk would. Below what is
// used it only stops further allocation.
func (m *Mem) SetLimit(limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = limit
}

// Lock takes the lock of name, creating the file where absent. Clones start without locks: their holders are dead.
func (m *Mem) Lock(name string) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	folder, base, err := m.parentLocked(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	clean := memPath(name)
	if m.locks[clean] {
		return nil, &LockedError{Name: name}
	}
	switch n := folder.entries[base]; {
	case n == nil:
		n = &memNode{names: 1}
		n.touch()
		folder.change(memChange{name: base, node: n})
	case n.isFolder():
		return nil, pathError("lock", name, syscall.EISDIR)
	}
	m.locks[clean] = true
	var once sync.Once
	return func() error {
		err := pathError("unlock", name, fs.ErrClosed)
		once.Do(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.locks, clean)
			err = nil
		})
		return err
	}, nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/internal/vfs"
)

const (
	snapshotPrefix = "snapshot-"
	logPrefix      = "log-"
	tempSuffix     = ".tmp"

	// maxFile bounds what Open reads into memory: 100,000 shards are below 10 MiB.
	maxFile = 1 << 30
	// snapshotShards bounds the shards in one entry of a snapshot.
	snapshotShards = 4096
	// maxSearch bounds the bytes hashed to tell a torn tail from damage.
	maxSearch = 1 << 30
)

// logFile is the log that changes are appended to.
type logFile struct {
	f          vfs.File
	generation uint64
	salt       uint64
	size       int64
}

func (l *logFile) append(b []byte) error {
	if _, err := l.f.WriteAt(b, l.size); err != nil {
		return err
	}
	if err := l.f.SyncData(); err != nil {
		return err
	}
	l.size += int64(len(b))
	return nil
}

func (c *Catalog) path(prefix string, generation uint64) string {
	return filepath.Join(c.o.Dir, fileName(prefix, generation))
}

func fileName(prefix string, generation uint64) string {
	return fmt.Sprintf("%s%016x", prefix, generation)
}

func parseName(name, prefix string) (generation uint64, ok bool) {
	hex, ok := strings.CutPrefix(name, prefix)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	g, err := strconv.ParseUint(hex, 16, 64)
	return g, err == nil && fileName(prefix, g) == name
}

// listing is what a folder holds.
type listing struct {
	snapshots, logs []uint64
	temps           []string
}

func (c *Catalog) list() (l listing, err error) {
	if err := vfs.MkdirSync(c.o.FS, c.o.Dir); err != nil {
		return l, err
	}
	names, err := c.o.FS.List(c.o.Dir)
	for _, n := range names {
		if g, ok := parseName(n, snapshotPrefix); ok {
			l.snapshots = append(l.snapshots, g)
		} else if g, ok := parseName(n, logPrefix); ok {
			l.logs = append(l.logs, g)
		} else if strings.HasSuffix(n, tempSuffix) {
			l.temps = append(l.temps, n)
		}
	}
	return l, err
}

// load brings the state from the folder and opens the log for appending.
func (c *Catalog) load() error {
	l, err := c.list()
	if err != nil {
		return fmt.Errorf("catalog: list: %w", err)
	}
	// A kill may have left the newest snapshot's name unsynced. It must be durable before what it replaces goes.
	if err := c.o.FS.SyncDir(c.o.Dir); err != nil {
		return fmt.Errorf("catalog: sync folder: %w", err)
	}
	generation := uint64(0)
	if n := len(l.snapshots); n > 0 {
		generation = l.snapshots[n-1] // List sorts, and the digits are fixed
		if err := c.loadGeneration(generation); err != nil {
			return err
		}
	} else if err := c.checkFresh(l); err != nil {
		return err
	}
	if err := c.sweep(l, generation); err != nil {
		_ = c.Close() // the failure to sweep is what the caller must hear of
		return fmt.Errorf("catalog: remove leftovers: %w", err)
	}
	if generation > 0 {
		return nil
	}
	if err := c.st.makeSecret(); err != nil {
		return err
	}
	if err := c.beginGeneration(1); err != nil {
		return fmt.Errorf("catalog: make: %w", err)
	}
	return nil
}

// checkFresh makes sure that a folder without a snapshot never had one. The first snapshot is renamed after its log was
// made and before anything is appended, so the first log may be there, but empty.
func (c *Catalog) checkFresh(l listing) error {
	for _, g := range l.logs {
		name := fileName(logPrefix, g)
		b, err := c.readFile(name)
		if err != nil {
			return err
		}
		if g != 1 || len(b) > headerLen {
			return &CorruptionError{name, 0, "its snapshot is missing"}
		}
	}
	return nil
}

// sweep removes what an interrupted compaction left. Only then are names free for the next one.
func (c *Catalog) sweep(l listing, keep uint64) error {
	removed := false
	remove := func(name string) error {
		removed = true
		return c.o.FS.Remove(filepath.Join(c.o.Dir, name))
	}
	for _, g := range l.snapshots {
		if g != keep {
			if err := remove(fileName(snapshotPrefix, g)); err != nil {
				return err
			}
		}
	}
	for _, g := range l.logs {
		if g != keep {
			if err := remove(fileName(logPrefix, g)); err != nil {
				return err
			}
		}
	}
	for _, n := range l.temps {
		if err := remove(n); err != nil {
			return err
		}
	}
	if !removed {
		return nil
	}
	return c.o.FS.SyncDir(c.o.Dir)
}

func (c *Catalog) readFile(name string) ([]byte, error) {
	f, err := c.o.FS.Open(filepath.Join(c.o.Dir, name))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &CorruptionError{name, 0, "the file is missing"}
		}
		return nil, fmt.Errorf("catalog: open %s: %w", name, err)
	}
	b, err := readAll(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("catalog: read %s: %w", name, err)
	}
	return b, nil
}

func readAll(f vfs.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxFile {
		return nil, fmt.Errorf("%d bytes, the limit is %d", size, maxFile)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) && int64(n) == size {
		err = nil
	}
	return b, err
}

func (c *Catalog) loadGeneration(g uint64) error {
	if err := c.loadSnapshot(g); err != nil {
		return err
	}
	name := fileName(logPrefix, g)
	b, err := c.readFile(name)
	if err != nil {
		return err
	}
	h, err := parseHeader(b, name, roleLog)
	if err != nil {
		return err
	}
	if h.generation != g {
		return &CorruptionError{name, 16, fmt.Sprintf("generation %d", h.generation)}
	}
	end, last, err := c.st.replayLog(b, name, h.salt)
	if err != nil {
		return err
	}
	f, err := c.o.FS.Open(c.path(logPrefix, g))
	if err != nil {
		return fmt.Errorf("catalog: open %s: %w", name, err)
	}
	c.log = &logFile{f: f, generation: g, salt: h.salt, size: end}
	if end < int64(len(b)) {
		// What is behind the cut must be gone before anything is written there again.
		err = f.Truncate(end)
	}
	// A kill, or a sync that failed, may have left the last entry in the page cache alone. It counts from now on, so it
	// must stay. After a failed sync its pages count as written: it takes writing them again to have them synced.
	if err == nil && last < end {
		_, err = f.WriteAt(b[last:end], last)
	}
	if err == nil {
		err = f.SyncData()
	}
	if err != nil {
		_ = c.Close() // the failed cut is what the caller must hear of
		return fmt.Errorf("catalog: cut %s: %w", name, err)
	}
	return nil
}

// replay is replayLog for those who do not ask where the last entry begins.
func (st *state) replay(b []byte, name string, salt uint64) (end int64, err error) {
	end, _, err = st.replayLog(b, name, salt)
	return end, err
}

// replayLog applies a log's entries and returns where the last whole one ends, and where it begins. What follows is a torn
// append if no whole entry comes after it: an append begins only once the one before is synced.
func (st *state) replayLog(b []byte, name string, salt uint64) (end, last int64, err error) {
	off := int64(headerLen)
	last = off
	for off < int64(len(b)) {
		payload, next, cause := entryAt(b, off, salt)
		if cause != "" {
			if later := findEntry(b, off, salt); later > 0 {
				return 0, 0, &CorruptionError{name, off, fmt.Sprintf("%s, but a whole entry follows at %d", cause, later)}
			}
			return off, last, nil
		}
		if err := st.apply(payload, name, off); err != nil {
			return 0, 0, err
		}
		last, off = off, next
	}
	return off, last, nil
}

// findEntry returns where behind off a whole entry lies, 0 where there is none.
func findEntry(b []byte, off int64, salt uint64) int64 {
	budget := int64(maxSearch)
	for off += entryAlign - off%entryAlign; off+entryHeader < int64(len(b)) && budget > 0; off += entryAlign {
		switch _, _, cause := entryAt(b, off, salt); cause {
		case "":
			return off
		case badSum:
			budget -= int64(len(b)) - off
		}
	}
	return 0
}

// loadSnapshot reads a snapshot. It was synced before it got its name, so anything wrong with it is damage.
func (c *Catalog) loadSnapshot(g uint64) error {
	name := fileName(snapshotPrefix, g)
	b, err := c.readFile(name)
	if err != nil {
		return err
	}
	h, err := parseHeader(b, name, roleSnapshot)
	if err != nil {
		return err
	}
	if h.generation != g {
		return &CorruptionError{name, 16, fmt.Sprintf("generation %d", h.generation)}
	}
	for off := int64(headerLen); off < int64(len(b)); {
		payload, next, cause := entryAt(b, off, h.salt)
		if cause != "" {
			return &CorruptionError{name, off, cause}
		}
		if err := c.st.apply(payload, name, off); err != nil {
			return err
		}
		off = next
	}
	if !c.st.ended || !c.st.hasSecret {
		return &CorruptionError{name, int64(len(b)), "no end"}
	}
	c.st.ended, c.st.entries = false, 0
	c.snapLen = int64(len(b))
	return nil
}

// appendSnapshot appends a whole snapshot file.
func (st *state) appendSnapshot(dst []byte, h header) (_ []byte, err error) {
	start := len(dst)
	dst = appendHeader(dst, h)
	entries := uint64(0)
	entry := func(body func([]byte) []byte) {
		at := len(dst)
		if err == nil {
			dst, err = endEntry(body(beginEntry(dst)), at, int64(at-start), h.salt)
			entries++
		}
	}
	entry(func(b []byte) []byte {
		b = appendNumber(b, kindCounters, uint64(st.nextStream), uint64(st.nextShard))
		return appendChange(b, kindSecret, func(b []byte) []byte { return append(b, st.secret[:]...) })
	})
	for _, a := range st.sortedAccounts() {
		entry(func(b []byte) []byte { return appendAccount(b, &a) })
	}
	for _, s := range st.sortedStreams() {
		entry(func(b []byte) []byte {
			b = appendTags(appendStream(b, s), s)
			if !s.Settings.equal(&Settings{}) {
				b = appendSettings(b, s.ID, &s.Settings)
			}
			if len(s.Consumers) > 0 {
				b = appendConsumers(b, s)
			}
			return b
		})
		for shards := s.Shards; len(shards) > 0; {
			n := min(len(shards), snapshotShards)
			entry(func(b []byte) []byte { return appendShards(b, s.ID, shards[:n]) })
			shards = shards[n:]
		}
	}
	entry(func(b []byte) []byte { return appendNumber(b, kindEnd, entries) })
	return dst, err
}

// beginGeneration writes snapshot g and an empty log g and makes that log the current one. The rename is the moment at
// which g counts: its log is durable by then, and nothing is appended to it before the rename is.
func (c *Catalog) beginGeneration(g uint64) error {
	salt, err := newSalt()
	if err != nil {
		return err
	}
	snap, err := c.st.appendSnapshot(nil, header{roleSnapshot, g, salt})
	if err != nil {
		return err
	}
	temp := c.path(snapshotPrefix, g) + tempSuffix
	f, err := c.writeFile(temp, snap)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	log, err := c.writeFile(c.path(logPrefix, g), appendHeader(nil, header{roleLog, g, salt}))
	if err != nil {
		return err
	}
	err = c.o.FS.SyncDir(c.o.Dir)
	if err == nil {
		err = c.o.FS.Rename(temp, c.path(snapshotPrefix, g))
	}
	if err == nil {
		err = c.o.FS.SyncDir(c.o.Dir)
	}
	if err != nil {
		_ = log.Close() // why the generation did not begin is what the caller must hear of
		return err
	}
	c.log = &logFile{f: log, generation: g, salt: salt, size: headerLen}
	c.snapLen = int64(len(snap))
	return nil
}

// writeFile makes a file of b, synced. The entry in the folder is not.
func (c *Catalog) writeFile(name string, b []byte) (vfs.File, error) {
	f, err := c.o.FS.Create(name)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.SyncData()
	}
	if err != nil {
		_ = f.Close() // the failed write is what the caller must hear of
		return nil, err
	}
	return f, nil
}

func (c *Catalog) removeGeneration(g uint64) error {
	for _, name := range []string{c.path(logPrefix, g), c.path(snapshotPrefix, g)} {
		if err := c.o.FS.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

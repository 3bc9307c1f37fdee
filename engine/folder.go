package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/internal/vfs"
)

// What lies in a data folder. FORMAT is one line of text, so that a person who finds the folder knows what it is.
const (
	lockFile   = "LOCK"
	formatFile = "FORMAT"
	catalogDir = "catalog"
	laneDir    = "lane-0"

	formatPrefix = "shardmill data folder, format "
	formatLine   = formatPrefix + "1\n"
	maxFormat    = 256 // bytes of FORMAT that are looked at
)

// openFolder makes dir where absent, takes its lock, and makes sure that it is a data folder of this format. The caller
// must call unlock when it is done with the folder.
func openFolder(fsys vfs.FS, dir string) (unlock func() error, err error) {
	if err := vfs.MkdirSync(fsys, dir); err != nil {
		return nil, &FolderError{dir, "cannot be made", "choose a folder that this user may write", err}
	}
	unlock, err = fsys.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, &FolderError{dir, "in use by another process", "stop that process or choose another folder", err}
	}
	if err != nil {
		return nil, &FolderError{dir, "cannot be locked", "choose a folder that this user may write", err}
	}
	if err := checkFormat(fsys, dir); err != nil {
		_ = unlock() // why the folder is refused is what the caller must hear of
		return nil, err
	}
	return unlock, nil
}

func checkFormat(fsys vfs.FS, dir string) error {
	text, err := readFormat(fsys, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeFormat(fsys, dir)
	case err != nil:
		return &FolderError{dir, "cannot be read", "check the disk", err}
	case text == formatLine:
		return nil
	}
	line := strings.TrimSpace(text)
	if v, ok := strings.CutPrefix(line, formatPrefix[:len(formatPrefix)-1]); ok {
		return &FolderError{dir, "has format" + v, "use the build that wrote it; this one reads format 1", nil}
	}
	return &FolderError{dir, fmt.Sprintf("its file %s says %.64q", formatFile, line), "choose another folder", nil}
}

func readFormat(fsys vfs.FS, dir string) (string, error) {
	f, err := fsys.Open(filepath.Join(dir, formatFile))
	if err != nil {
		return "", err
	}
	b := make([]byte, maxFormat)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return string(b[:n]), err
}

// makeFormat makes a data folder of an empty one. FORMAT appears under its name only when it is whole and before
// anything else, so a folder that has something but no FORMAT is somebody else's.
func makeFormat(fsys vfs.FS, dir string) error {
	temp := filepath.Join(dir, formatFile+".tmp")
	names, err := fsys.List(dir)
	if err != nil {
		return &FolderError{dir, "cannot be read", "check the disk", err}
	}
	mine := []string{lockFile, formatFile + ".tmp", "lost+found"}
	for _, n := range names {
		if !slices.Contains(mine, n) {
			return &FolderError{dir, fmt.Sprintf("holds %s but no %s, so it is no data folder", n, formatFile),
				"choose an empty folder", nil}
		}
	}
	if slices.Contains(names, formatFile+".tmp") {
		err = fsys.Remove(temp)
	}
	if err == nil {
		err = writeSynced(fsys, temp, []byte(formatLine))
	}
	if err == nil {
		err = fsys.Rename(temp, filepath.Join(dir, formatFile))
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return &FolderError{dir, "cannot be written", "free some space or choose another folder", err}
	}
	return nil
}

func writeSynced(fsys vfs.FS, name string, b []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.SyncData()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

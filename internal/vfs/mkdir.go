package vfs

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// MkdirSync makes dir and its parents where absent, and makes the new folders durable, each in its parent. The parent of
// dir is synced even where dir is there: whoever made it may have crashed before syncing.
func MkdirSync(fsys FS, dir string) error {
	dir = filepath.Clean(dir)
	parents := []string{filepath.Dir(dir)}
	for at := parents[0]; ; {
		_, err := fsys.Stat(at)
		if err == nil {
			break
		}
		up := filepath.Dir(at)
		if !errors.Is(err, fs.ErrNotExist) || up == at {
			return err
		}
		parents, at = append(parents, up), up
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := fsys.SyncDir(parent); err != nil {
			return err
		}
	}
	return nil
}

package vfs

import (
	"errors"
	"fmt"
)

// ErrLocked is what Lock returns (inside a *LockedError) where another process, or another Lock of this one, holds it.
var ErrLocked = errors.New("file is locked")

// LockedError says which lock is taken and, where known, by whom. errors.Is(err, ErrLocked) holds for it.
type LockedError struct {
	Name string
	PID  int // of the holder; 0 where unknown
}

// Error names the file and its holder.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("lock %s: held by another process", e.Name)
	}
	return fmt.Sprintf("lock %s: held by process %d", e.Name, e.PID)
}

// Is makes a LockedError an ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

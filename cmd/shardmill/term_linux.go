package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal tells whether a person may be watching v.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

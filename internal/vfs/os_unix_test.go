//go:build !windows

package vfs

import (
	"syscall"
	"testing"
)

func allocated(t *testing.T, name string) (int64, bool) {
	var st syscall.Stat_t
	must(t, syscall.Stat(name, &st))
	return st.Blocks * 512, true
}

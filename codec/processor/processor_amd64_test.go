//go:build !purego

package processor

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// TestAgainstXSys compares with golang.org/x/sys/cpu, which the packages here may not import.
func TestAgainstXSys(t *testing.T) {
	f := func(name string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	f("AVX2", AVX2(), cpu.X86.HasAVX2)
	f("AVX512F", AVX512F(), cpu.X86.HasAVX512F)
}

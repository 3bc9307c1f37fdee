//go:build linux && !race

package lane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hugePage is the size from which transparent huge pages are asked for.
const hugePage = 2 << 20

// allocateRing maps anonymous memory and touches all of it now, so that no append faults. It lies outside the heap: the
// garbage collector neither scans nor counts it.
func allocateRing(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map a ring of %d bytes: %w", size, err)
	}
	if size >= hugePage {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // advice: a kernel without it serves small pages
	}
	if unix.Madvise(mem, unix.MADV_POPULATE_WRITE) != nil { // kernels before 5.14
		for i := 0; i < size; i += 4096 {
			mem[i] = 0
		}
	}
	return mem, nil
}

// release gives the memory back. The range itself stays mapped until unmap: a late access reads zeros and does no harm.
func (r *ring) release() { _ = unix.Madvise(r.mem, unix.MADV_DONTNEED) }

// unmap gives the range back. Nothing may refer to the ring any more.
func unmapRing(mem []byte) { _ = unix.Munmap(mem) }

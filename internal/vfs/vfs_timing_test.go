package vfs

import (
	"fmt"
	"path/filepath"
	"testing"
)

func BenchmarkWriteSync(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		for name, fsys := range map[string]FS{"os": OS(), "mem": NewMem(0)} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				dir := b.TempDir()
				if err := fsys.MkdirAll(dir); err != nil {
					b.Fatal(err)
				}
				f, err := fsys.Create(filepath.Join(dir, "a"))
				if err != nil {
					b.Fatal(err)
				}
				const fileSize = 64 << 20
				if err := f.Preallocate(fileSize); err != nil {
					b.Fatal(err)
				}
				p := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				off := int64(0)
				for b.Loop() {
					if _, err := f.WriteAt(p, off); err != nil {
						b.Fatal(err)
					}
					if err := f.SyncData(); err != nil {
						b.Fatal(err)
					}
					off = (off + int64(size)) % fileSize
				}
				b.StopTimer()
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
				if err := fsys.Remove(filepath.Join(dir, "a")); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkCrashClone clones a small tree: 8 files of 256 KiB, a quarter of the blocks unsynced.
func BenchmarkCrashClone(b *testing.B) {
	m := NewMem(0)
	for i := range 8 {
		f, err := m.Create(fmt.Sprintf("/%d", i))
		if err != nil {
			b.Fatal(err)
		}
		p := make([]byte, 256<<10)
		if _, err := f.WriteAt(p, 0); err != nil {
			b.Fatal(err)
		}
		if err := f.SyncData(); err != nil {
			b.Fatal(err)
		}
		if _, err := f.WriteAt(p[:64<<10], 0); err != nil {
			b.Fatal(err)
		}
	}
	if err := m.SyncDir("/"); err != nil {
		b.Fatal(err)
	}
	r := seeded(1)
	b.ReportAllocs()
	for b.Loop() {
		m.CrashClone(r, 0.3)
	}
}

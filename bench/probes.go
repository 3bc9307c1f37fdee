package bench

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/internal/vfs"
)

// ringBytes is the size of the memory that copies go to: larger than the caches, as the lane's ring is.
const ringBytes = 64 << 20

// noise is n bytes that do not compress, the same for each run.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{'s', 'h', 'a', 'r', 'd'}).Read(b) // never fails
	return b
}

// copyInto returns a step that copies blocks of size bytes round and round a ring of its own.
func copyInto(ring []byte, size int) step {
	src, off := noise(size), 0
	const perStep = 64
	return func() (int64, int64, error) {
		for range perStep {
			if off+size > len(ring) {
				off = 0
			}
			off += copy(ring[off:], src)
		}
		return perStep, int64(perStep * size), nil
	}
}

// touched is memory that has been written once, so that no page fault is measured.
func touched(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	return b
}

// hashBlocks returns a step that takes the xxhash of a block.
func hashBlocks(block []byte) step {
	var sink uint64
	return func() (int64, int64, error) {
		for range 16 {
			sink += xxhash.Sum64(block)
		}
		return 16, int64(16 * len(block)), nil
	}
}

func sha256Blocks(block []byte) step {
	return func() (int64, int64, error) {
		_ = sha256.Sum256(block)
		return 1, int64(len(block)), nil
	}
}

func md5Keys(key []byte) step {
	return func() (int64, int64, error) {
		for range 64 {
			_ = md5.Sum(key)
		}
		return 64, int64(64 * len(key)), nil
	}
}

func base64Decode(n int) step {
	text := base64.StdEncoding.EncodeToString(noise(n))
	src, dst := []byte(text), make([]byte, n+4)
	return func() (int64, int64, error) {
		_, err := base64.StdEncoding.Decode(dst, src)
		return 1, int64(n), err
	}
}

func base64Encode(n int) step {
	src := noise(n)
	dst := make([]byte, base64.StdEncoding.EncodedLen(n))
	return func() (int64, int64, error) {
		base64.StdEncoding.Encode(dst, src)
		return 1, int64(n), nil
	}
}

// scratchFile is a new file of size bytes whose blocks are allocated.
func scratchFile(env *environment, size int64) (*os.File, error) {
	f, err := os.CreateTemp(env.dir, "probe")
	if err != nil {
		return nil, err
	}
	zero := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(zero)) {
		if _, err := f.WriteAt(zero, off); err != nil {
			return nil, err
		}
	}
	return f, f.Sync()
}

// writeBlocks returns a step that writes blocks of size bytes through the file, from the start again at its end.
func writeBlocks(f vfs.File, fileSize int64, size int, sync bool) step {
	block, off := noise(size), int64(0)
	return func() (int64, int64, error) {
		if off+int64(size) > fileSize {
			off = 0
		}
		n, err := f.WriteAt(block, off)
		off += int64(n)
		if err == nil && sync {
			err = f.SyncData()
		}
		return 1, int64(n), err
	}
}

// loopback streams blocks of size bytes over one TCP connection on this machine to a reader that throws them away.
func loopback(ctx context.Context, d time.Duration, size int) (sample, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = l.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return sample{}, err
	}
	block := noise(size)
	s, err := timed(ctx, d, func() (int64, int64, error) {
		n, err := c.Write(block)
		return 1, int64(n), err
	})
	_ = c.Close()
	<-done
	return s, err
}

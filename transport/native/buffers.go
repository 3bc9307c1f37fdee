package native

import (
	"math/bits"

	"github.com/valyala/bytebufferpool"
)

const (
	minClassBits = 12 // 4 KiB
	maxClassBits = 24 // 16 MiB, above any frame
)

// buffers lends byte buffers of power-of-two sizes, one pool a size so that small and large ones do not displace each
// other. Safe for concurrent use.
type buffers struct {
	classes [maxClassBits - minClassBits + 1]bytebufferpool.Pool
}

func classOf(n int) int { return max(bits.Len(uint(max(n, 1)-1)), minClassBits) - minClassBits }

// get lends an empty buffer with room for n bytes, n at most 16 MiB.
func (p *buffers) get(n int) *bytebufferpool.ByteBuffer {
	class := classOf(n)
	b := p.classes[class].Get()
	if cap(b.B) < n {
		b.B = make([]byte, 0, 1<<(class+minClassBits))
	}
	b.B = b.B[:0]
	return b
}

// put takes back a buffer. One that has grown beyond the classes is left to the collector.
func (p *buffers) put(b *bytebufferpool.ByteBuffer) {
	class := classOf(cap(b.B))
	if class >= len(p.classes) || cap(b.B) != 1<<(class+minClassBits) {
		return
	}
	// The pool learns from lengths which capacities to keep; here every buffer of a class has the class's size.
	b.B = b.B[:cap(b.B)]
	p.classes[class].Put(b)
}

package hashkey

import (
	"encoding/binary"
	"math/bits"
)

const (
	// lanes is how many keys are hashed at once; with AVX2 alone, in two halves.
	lanes = 16
	// oneBlock is the longest key that fits one MD5 block with its padding.
	oneBlock = 55
	// lengthWord is where a block says how many bits it has; the word behind it is the upper half, zero here.
	lengthWord = 14
	// fewKeys is up to where hashing keys one by one is no slower.
	fewKeys = 2
)

// Many turns many partition keys into hash keys, several at once where the processor has AVX2 or AVX-512: MD5 of one short key is a
// long chain of steps that wait for each other, and many chains side by side take little longer than one. The results
// are those of Routing.Of. The zero value is ready. It is not safe for concurrent use, does not allocate, and keeps
// nothing but the bytes of the last keys.
type Many struct {
	out     []Key
	routing Routing
	vector  bool
	n       int        // lanes in use
	top     int        // words below this may be other than zero, and lengthWord
	at      [lanes]int // by lane: its place in out
	blocks  [16][lanes]uint32
	sums    [4][lanes]uint32
}

// Begin starts a run whose results go to out; those are complete after End. Add must be called at most len(out) times.
func (m *Many) Begin(r Routing, out []Key) {
	m.out, m.routing, m.n = out, r, 0
	m.vector = r == MD5 && len(out) > fewKeys && vectorMD5()
}

// Add hashes a key for out[i], now or later; the key is read before it returns.
func (m *Many) Add(i int, key []byte) {
	if !m.vector || len(key) > oneBlock {
		m.out[i] = m.routing.Of(key)
		return
	}
	lane := m.n & (lanes - 1)
	m.at[lane] = i
	m.blocks[lengthWord][lane] = uint32(len(key)) * 8
	w := 0
	for ; len(key) >= 4; w++ {
		m.blocks[w&15][lane] = binary.LittleEndian.Uint32(key)
		key = key[4:]
	}
	last := uint32(0x80) << (8 * len(key))
	for i, c := range key {
		last |= uint32(c) << (8 * i)
	}
	m.blocks[w&15][lane] = last
	m.top = max(m.top, w+1)
	if m.n = lane + 1; m.n == lanes {
		m.flush()
	}
}

// End completes the results.
func (m *Many) End() {
	if m.n > 0 {
		m.flush()
	}
	m.out = nil
}

// flush hashes the lanes in use.
func (m *Many) flush() {
	md5Lanes(&m.sums, &m.blocks, m.n)
	for lane, i := range m.at[:m.n] {
		m.out[i] = Key{
			Hi: bits.ReverseBytes64(uint64(m.sums[1][lane])<<32 | uint64(m.sums[0][lane])),
			Lo: bits.ReverseBytes64(uint64(m.sums[3][lane])<<32 | uint64(m.sums[2][lane])),
		}
	}
	clear(m.blocks[:min(m.top, lengthWord)])
	m.n, m.top = 0, 0
}

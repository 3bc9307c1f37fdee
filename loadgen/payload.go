package loadgen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sort"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxLines bounds what is kept of a payload file, in bytes; a longer file is replayed up to there.
	maxLines = 64 << 20
	// maxLine is the longest line that still fits a record.
	maxLine = 1<<20 - headerLen
	// poolBytes bounds the prepared requests of one worker: random bytes repeat after that, with new headers. Small enough
	// for a second-level cache, so that stamping and sending do not wait for memory.
	poolBytes = 2 << 20
	// filePool bounds them where a file is replayed, which should come round whole, and where it takes more to send
	// to every shard.
	filePool = 32 << 20
	// perGroup is how many requests to prepare for each shard at least, on average.
	perGroup = 4
	// allPools bounds those of all workers together.
	allPools = 256 << 20
	// maxPool bounds the number of prepared requests of a worker.
	maxPool = 1 << 14
)

// PayloadInfo describes what the records carry after the integrity header.
type PayloadInfo struct {
	Kind      string  `json:"kind"` // random or file
	File      string  `json:"file"`
	Lines     int     `json:"lines"`
	Truncated bool    `json:"truncated"`  // the file is longer than what is kept of it
	ZstdRatio float64 `json:"zstd_ratio"` // raw / compressed of a sample with headers; what a compressing client could save
}

// lines is the payload file in memory. It is only read once loaded.
type lines struct {
	data []byte
	ends []int
	cut  bool
}

func (l *lines) count() int { return len(l.ends) }

func (l *lines) line(i int) []byte {
	start := 0
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.data[start:l.ends[i]]
}

// readLines loads a payload file.
func readLines(path string) (*lines, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	l, err := parseLines(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrPayload, path, err)
	}
	return l, nil
}

func parseLines(r io.Reader) (*lines, error) {
	l := &lines{}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine+2) // a line end may be two bytes
	for n := 1; s.Scan(); n++ {
		b := bytes.TrimSuffix(s.Bytes(), []byte{'\r'})
		if len(b) == 0 {
			continue
		}
		if len(b) > maxLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes", n, maxLine)
		}
		if len(l.data)+len(b) > maxLines {
			l.cut = true
			break
		}
		l.data = append(l.data, b...)
		l.ends = append(l.ends, len(l.data))
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("a line after line %d is longer than %d bytes", len(l.ends), maxLine)
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if len(l.ends) == 0 {
		return nil, errors.New("no line that is not empty")
	}
	return l, nil
}

// filler gives the bytes after the header, record after record. Not for concurrent use.
type filler struct {
	random *rand.ChaCha8
	size   int
	buf    []byte
	lines  *lines
	at     int
}

// newFiller starts workers at different lines of a file, or with different random bytes.
func newFiller(c *Config, l *lines, worker, workers int) *filler {
	if l != nil {
		return &filler{lines: l, at: l.count() * worker / workers}
	}
	var seed [32]byte
	for i, v := range []uint64{c.Seed, uint64(worker)} {
		for j := range 8 {
			seed[i*8+j] = byte(v >> (8 * j))
		}
	}
	return &filler{random: rand.NewChaCha8(seed), size: c.Size - headerLen, buf: make([]byte, c.Size-headerLen)}
}

// next returns the next record's filling, valid until the call after.
func (f *filler) next() []byte {
	if f.lines == nil {
		_, _ = f.random.Read(f.buf) // never fails
		return f.buf
	}
	b := f.lines.line(f.at)
	f.at = (f.at + 1) % f.lines.count()
	return b
}

// keySet is the keys of one worker in groups that may share a request, drawn by weight.
type keySet struct {
	groups  []uint32   // group ids, ascending
	weights []float64  // cumulative over groups
	keys    [][]uint32 // by group
	cums    [][]float64
	rnd     *rand.Rand
	turn    float64 // in [0,1): where the next group is drawn
}

// newKeySet makes n keys of a worker. group says which keys may share a request.
func newKeySet(c *Config, worker uint32, n int, group func(key []byte) uint32) *keySet {
	s := &keySet{rnd: rand.New(rand.NewPCG(c.Seed+1, uint64(worker)))}
	at := make(map[uint32]int)
	var buf [keyLen]byte
	for k := range n {
		g := group(appendKey(buf[:0], worker, uint32(k)))
		i, known := at[g]
		if !known {
			i = len(s.groups)
			at[g] = i
			s.groups = append(s.groups, g)
			s.keys, s.cums = append(s.keys, nil), append(s.cums, nil)
		}
		w := 1.0
		if c.Distribution == Zipf {
			w = zipfWeight(k, c.ZipfS)
		}
		if m := len(s.cums[i]); m > 0 {
			w += s.cums[i][m-1]
		}
		s.keys[i], s.cums[i] = append(s.keys[i], uint32(k)), append(s.cums[i], w)
	}
	total := 0.0
	for _, c := range s.cums {
		total += c[len(c)-1]
		s.weights = append(s.weights, total)
	}
	return s
}

// pickGroup draws a group by the weight of its keys. Steps of the golden ratio spread evenly, so that few draws already
// reach every group in its share.
func (s *keySet) pickGroup() int {
	s.turn = math.Mod(s.turn+math.Phi, 1)
	return find(s.weights, s.turn)
}

// pickKey draws one of a group's keys.
func (s *keySet) pickKey(group int) uint32 {
	return s.keys[group][find(s.cums[group], s.rnd.Float64())]
}

// find returns the index into cumulative weights at a share in [0,1) of their total.
func find(cumulative []float64, share float64) int {
	x := share * cumulative[len(cumulative)-1]
	return min(sort.SearchFloat64s(cumulative, x), len(cumulative)-1)
}

// pool is a worker's prepared requests, sent in turn.
type pool struct {
	requests []*request
	at       int
}

// next returns the request to send next.
func (p *pool) next() *request {
	r := p.requests[p.at]
	if p.at++; p.at == len(p.requests) {
		p.at = 0
	}
	return r
}

// newPool prepares a worker's requests.
func newPool(c *Config, run uint64, worker uint32, workers int, l *lines, w wire) (*pool, error) {
	p := &pool{}
	keys := newKeySet(c, worker, c.keysPerWorker(workers), w.group)
	fill := newFiller(c, l, int(worker), workers)
	most := min(filePool, max(1, allPools/workers))
	budget, atLeast := min(poolBytes, most), perGroup*len(keys.groups)
	size, made := 0, 0
	enough := func() bool {
		if size >= most || len(p.requests) >= maxPool {
			return true
		}
		return len(p.requests) >= atLeast && (size >= budget && l == nil || l != nil && made >= l.count())
	}
	for !enough() {
		r, err := nextRequest(c, run, worker, keys, fill, w)
		if err != nil {
			return nil, err
		}
		p.requests = append(p.requests, r)
		size += len(r.wire)
		made += len(r.marks)
	}
	return p, nil
}

func nextRequest(c *Config, run uint64, worker uint32, keys *keySet, fill *filler, w wire) (*request, error) {
	g := keys.pickGroup()
	w.begin(keys.groups[g])
	var key [keyLen]byte
	data := make([]byte, 0, 1024)
	rests := make([]uint64, 0, 64)
	for len(rests) < c.BatchRecords {
		at := fill.at
		k := keys.pickKey(g)
		rest := fill.next()
		data = append(data[:0], make([]byte, headerLen)...)
		data = append(data, rest...)
		initHeader(data, run, worker, k)
		fits, err := w.add(appendKey(key[:0], worker, k), data, len(rests) == 0)
		if err != nil {
			return nil, fmt.Errorf("prepare a request: %w", err)
		}
		if !fits {
			fill.at = at // this line begins the next request
			break
		}
		rests = append(rests, xxhash.Sum64(rest))
	}
	r, err := w.finish()
	if err != nil {
		return nil, fmt.Errorf("prepare a request: %w", err)
	}
	for i := range r.marks {
		r.marks[i].rest = rests[i]
	}
	return r, nil
}

// keysPerWorker is how many keys each worker has.
func (c *Config) keysPerWorker(workers int) int { return (c.Keys + workers - 1) / workers }

// describePayload says what will be sent, with the ratio that zstd reaches on a sample of it.
func describePayload(c *Config, l *lines) (PayloadInfo, error) {
	info := PayloadInfo{Kind: "random"}
	if l != nil {
		info = PayloadInfo{Kind: "file", File: c.Payload, Lines: l.count(), Truncated: l.cut}
	}
	const sample = 256 << 10
	fill := newFiller(c, l, 0, 1)
	var raw []byte
	for n := uint64(0); len(raw) < sample; n++ {
		rest := fill.next()
		at := len(raw)
		raw = append(raw, make([]byte, headerLen)...)
		raw = append(raw, rest...)
		initHeader(raw[at:], c.Seed, 0, uint32(n))
		stampHeader(raw[at:], n, int64(n)*1000, xxhash.Sum64(rest))
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return info, fmt.Errorf("measure compression: %w", err)
	}
	info.ZstdRatio = float64(len(raw)) / float64(len(enc.EncodeAll(raw, nil)))
	return info, enc.Close()
}

// zipfWeight is the weight of the k-th key, from 0.
func zipfWeight(k int, s float64) float64 { return math.Pow(float64(k+1), -s) }

package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// chain is the records of one partition key in TestCrash: each carries its number and a hash over all before it, so
// that a record tells where it belongs and whether it is what was sent. One producer extends a chain; mu guards what it
// shares with the consumer and the verifier.
type chain struct {
	key string

	mu     sync.Mutex
	issued uint64 // number of the last record made
	tip    uint64 // its hash
	acked  []bool // by number
	seen   []bool // a consumer read it before a crash

	// The following are the verifier's.
	read     uint64 // number of the last record verified
	readHash uint64
	present  int
}

func newChain(key string) *chain {
	return &chain{key: key, acked: make([]bool, 1), seen: make([]bool, 1)}
}

// link is the hash of record n after one with hash prev.
func link(prev uint64, key string, n uint64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], prev)
	binary.LittleEndian.PutUint64(b[8:], n)
	return xxhash.Sum64(append(b[:], key...))
}

// next makes the next record.
func (c *chain) next(filler int) (n uint64, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued++
	c.tip = link(c.tip, c.key, c.issued)
	c.acked, c.seen = append(c.acked, false), append(c.seen, false)
	return c.issued, fmt.Appendf(nil, "%s|%d|%016x|%s", c.key, c.issued, c.tip, strings.Repeat("x", filler))
}

func (c *chain) ack(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked[n] = true
}

// parseLink takes a record apart.
func parseLink(data []byte) (key string, n, hash uint64, err error) {
	part := strings.SplitN(string(data), "|", 4)
	if len(part) != 4 || strings.Trim(part[3], "x") != "" {
		return "", 0, 0, fmt.Errorf("foreign record %.60q", data)
	}
	if n, err = strconv.ParseUint(part[1], 10, 64); err != nil {
		return "", 0, 0, fmt.Errorf("foreign record %.60q", data)
	}
	if hash, err = strconv.ParseUint(part[2], 16, 64); err != nil {
		return "", 0, 0, fmt.Errorf("foreign record %.60q", data)
	}
	return part[0], n, hash, nil
}

// see notes that a consumer got a record.
func (c *chain) see(n uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 || n > c.issued {
		return fmt.Errorf("key %s: record %d was never sent", c.key, n)
	}
	c.seen[n] = true
	return nil
}

// verify takes the next record that the log has for this key.
func (c *chain) verify(n, hash uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.issued {
		return fmt.Errorf("key %s: record %d was never sent", c.key, n)
	}
	if n <= c.read {
		return fmt.Errorf("key %s: record %d after record %d: twice, or out of order", c.key, n, c.read)
	}
	if err := c.missing(c.read+1, n); err != nil {
		return err
	}
	want := c.readHash
	for i := c.read + 1; i <= n; i++ {
		want = link(want, c.key, i)
	}
	if hash != want {
		return fmt.Errorf("key %s: record %d has hash %x, want %x", c.key, n, hash, want)
	}
	c.read, c.readHash = n, want
	c.present++
	return nil
}

// missing complains when a record in [from,to) that is not in the log was acknowledged or seen.
func (c *chain) missing(from, to uint64) error {
	for i := from; i < to; i++ {
		if c.acked[i] {
			return fmt.Errorf("key %s: record %d was acknowledged and is lost", c.key, i)
		}
		if c.seen[i] {
			return fmt.Errorf("key %s: record %d was read by a consumer and has vanished", c.key, i)
		}
	}
	return nil
}

// settle ends a verification: nothing that was promised may lie beyond what was read. Records that are still missing
// now were never acknowledged, and must not turn up later, which verify holds by number.
func (c *chain) settle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.missing(c.read+1, c.issued+1); err != nil {
		return err
	}
	for c.read < c.issued {
		c.read++
		c.readHash = link(c.readHash, c.key, c.read)
	}
	return nil
}

// rewind makes the verifier start over, for a second reading of the whole log.
func (c *chain) rewind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.readHash, c.present = 0, 0, 0
}

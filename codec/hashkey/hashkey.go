// Package hashkey is the 128-bit space that shards divide among themselves: keys, ranges, and the two ways a partition
// key becomes a hash key (MD5 for streams made through the AWS API, xxhash for native ones).
package hashkey

import (
	"crypto/md5" //nolint:gosec // the Kinesis API defines routing as MD5; nothing secret depends on it
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Key is an unsigned 128-bit number.
type Key struct{ Hi, Lo uint64 }

// Max is 2^128-1.
func Max() Key { return Key{^uint64(0), ^uint64(0)} }

// Compare returns -1, 0 or 1.
func (k Key) Compare(o Key) int {
	switch {
	case k.Hi < o.Hi || k.Hi == o.Hi && k.Lo < o.Lo:
		return -1
	case k == o:
		return 0
	}
	return 1
}

// Next is k+1; it wraps to zero after Max.
func (k Key) Next() Key {
	lo, carry := bits.Add64(k.Lo, 1, 0)
	return Key{k.Hi + carry, lo}
}

// Range is an inclusive run of keys.
type Range struct{ First, Last Key }

// Contains tells whether k lies in r.
func (r Range) Contains(k Key) bool { return r.First.Compare(k) <= 0 && k.Compare(r.Last) <= 0 }

// Routing is how a stream turns partition keys into hash keys. It never changes during a stream's life.
type Routing uint8

const (
	// MD5 is what the Kinesis API defines: MD5 of the partition key as a big-endian number.
	MD5 Routing = 0
	// XXH64 puts the 64-bit xxhash of the partition key in the upper half of the space, so that ranges, splits and
	// merges are the same for both.
	XXH64 Routing = 1
)

// Of is the hash key of a partition key. It does not allocate.
func (r Routing) Of(partitionKey []byte) Key {
	if r == XXH64 {
		return Key{Hi: xxhash.Sum64(partitionKey)}
	}
	sum := md5.Sum(partitionKey) //nolint:gosec // see the import
	return Key{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

package engine

import (
	"math/bits"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// routeMap says which open shard takes which hash key. It is immutable but for superseded, which is closed when the
// stream has a newer map or is gone.
type routeMap struct {
	epoch      uint16
	firsts     []hashkey.Key // where each shard's range begins, ascending; firsts[0] is 0
	shards     []*shard      // in the same order
	guess      []uint32      // by the top bits of a key: the shard that takes the lowest key with those bits
	shift      uint          // 64 - how many top bits
	superseded chan struct{}
}

// newRouteMap makes the map of a stream's open shards; at finds the shard with an id. The guess table has two to four
// entries per shard: with equal ranges the first guess is right or one off.
func newRouteMap(info *StreamInfo, at func(id uint32) *shard) *routeMap {
	m := &routeMap{epoch: info.RouteEpoch, superseded: make(chan struct{})}
	open := openByRange(info)
	for _, sh := range open {
		m.firsts = append(m.firsts, sh.Range.First)
		m.shards = append(m.shards, at(sh.ID))
	}
	if len(open) == 0 {
		return m
	}
	n := bits.Len(uint(len(open))) + 1
	m.shift = uint(64 - n)
	m.guess = make([]uint32, 1<<n)
	i := 0
	for top := range m.guess {
		lowest := hashkey.Key{Hi: uint64(top) << m.shift}
		for i+1 < len(open) && !lowest.Less(m.firsts[i+1]) {
			i++
		}
		m.guess[top] = uint32(i)
	}
	return m
}

// find returns the place in shards of the shard that takes k. The map must not be empty.
func (m *routeMap) find(k hashkey.Key) int {
	top := k.Hi >> m.shift
	lo, hi := int(m.guess[top]), len(m.firsts)-1
	if int(top)+1 < len(m.guess) {
		hi = int(m.guess[top+1]) // takes the next bucket's lowest key, so it or one before takes k
	}
	if hi-lo <= 2 {
		for lo < hi && !k.Less(m.firsts[lo+1]) {
			lo++
		}
		return lo
	}
	for lo < hi { // uneven ranges: the last shard that begins at or below k
		mid := (lo + hi + 1) / 2
		if k.Less(m.firsts[mid]) {
			hi = mid - 1
		} else {
			lo = mid
		}
	}
	return lo
}

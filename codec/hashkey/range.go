package hashkey

import (
	"fmt"
	"math/bits"
)

// Add is k+o; it wraps at 2^128.
func (k Key) Add(o Key) Key {
	lo, c := bits.Add64(k.Lo, o.Lo, 0)
	hi, _ := bits.Add64(k.Hi, o.Hi, c)
	return Key{hi, lo}
}

// Sub is k-o; it wraps below zero.
func (k Key) Sub(o Key) Key {
	lo, b := bits.Sub64(k.Lo, o.Lo, 0)
	hi, _ := bits.Sub64(k.Hi, o.Hi, b)
	return Key{hi, lo}
}

// Less tells whether k comes before o.
func (k Key) Less(o Key) bool { return k.Compare(o) < 0 }

// Prev is k-1; it wraps to Max before zero.
func (k Key) Prev() Key { return k.Sub(Key{Lo: 1}) }

// Full is the whole space.
func Full() Range { return Range{Last: Max()} }

// Even divides the space among n shards exactly as the Kinesis API does: shard i starts at i*floor(2^128/n) and the
// last one takes the remainder. n below 1 gives nil. The result is the caller's.
func Even(n int) []Range {
	if n < 1 {
		return nil
	}
	out := make([]Range, n)
	out[0] = Full()
	if n == 1 {
		return out
	}
	width, rest := Max().divide(uint64(n))
	if rest == uint64(n)-1 { // n divides 2^128
		width = width.Next()
	}
	first := Key{}
	for i := range out {
		next := first.Add(width)
		out[i] = Range{first, next.Prev()}
		first = next
	}
	out[n-1].Last = Max()
	return out
}

// Width is how many keys r holds, less one: the whole space has no 128-bit size.
func (r Range) Width() Key { return r.Last.Sub(r.First) }

// Mid is the key at which r splits into halves, the larger one first where they differ. Only ranges that CanSplit have
// one.
func (r Range) Mid() Key {
	w := r.Width()
	half := Key{w.Hi >> 1, w.Lo>>1 | w.Hi<<63}
	return r.First.Add(half).Next()
}

// CanSplit tells whether at leaves keys on both sides: First < at <= Last.
func (r Range) CanSplit(at Key) bool { return r.First.Less(at) && !r.Last.Less(at) }

// Split cuts r into [First, at-1] and [at, Last]. It panics where r cannot be split there: ask CanSplit first.
func (r Range) Split(at Key) (left, right Range) {
	if !r.CanSplit(at) {
		panic(fmt.Sprintf("BUG: split of %v at %v", r, at))
	}
	return Range{r.First, at.Prev()}, Range{at, r.Last}
}

// Adjacent tells whether o begins where r ends or the other way round.
func (r Range) Adjacent(o Range) bool { return r.before(o) || o.before(r) }

// before tells whether o begins right after r. The order test keeps Max from being followed by zero.
func (r Range) before(o Range) bool { return r.Last.Less(o.First) && r.Last.Next() == o.First }

// Merge is the one range that two adjacent ranges cover, in either order. It panics where they are not adjacent.
func (r Range) Merge(o Range) Range {
	switch {
	case r.before(o):
		return Range{r.First, o.Last}
	case o.before(r):
		return Range{o.First, r.Last}
	}
	panic(fmt.Sprintf("BUG: merge of %v with %v, which are not adjacent", r, o))
}

// Intersect is the run of keys in both, and whether there is one.
func (r Range) Intersect(o Range) (Range, bool) {
	if r.First.Less(o.First) {
		r.First = o.First
	}
	if o.Last.Less(r.Last) {
		r.Last = o.Last
	}
	return r, !r.Last.Less(r.First)
}

// String is the range as "first-last" in decimal.
func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

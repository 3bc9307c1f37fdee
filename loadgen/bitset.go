package loadgen

import "math/bits"

// pageSpan is how many numbers one page of a bitset covers.
const pageSpan = 1 << 16

// page is one stretch of a bitset.
type page struct {
	words [pageSpan / 64]uint64
	count int // bits set
}

func fullPage() *page {
	p := &page{count: pageSpan}
	for i := range p.words {
		p.words[i] = ^uint64(0)
	}
	return p
}

// bitset is a set of numbers that mostly fills up from below: a page that is complete is replaced by a shared one, so
// that memory is one bit per number between the lowest hole and the highest number at worst, and near nothing otherwise.
type bitset struct {
	full  *page   // shared, never written
	pages []*page // nil: empty
	spare *page   // the last page that was replaced, zeroed when used again
}

func (s *bitset) page(i uint64) *page {
	for uint64(len(s.pages)) <= i {
		s.pages = append(s.pages, nil)
	}
	p := s.pages[i]
	if p == nil {
		if p = s.spare; p != nil {
			*p, s.spare = page{}, nil
		} else {
			p = new(page)
		}
		s.pages[i] = p
	}
	return p
}

// set adds n and tells whether it was new. The caller bounds n.
func (s *bitset) set(n uint64) bool {
	p := s.page(n / pageSpan)
	w, bit := &p.words[n%pageSpan/64], uint64(1)<<(n%64)
	if *w&bit != 0 {
		return false
	}
	*w |= bit
	p.count++
	s.settle(n/pageSpan, p)
	return true
}

// setRange adds [first, first+n).
func (s *bitset) setRange(first uint64, n int) {
	for n > 0 {
		at := first % pageSpan
		take := min(n, int(pageSpan-at))
		if p := s.page(first / pageSpan); p != s.full {
			p.fill(int(at), int(at)+take)
			s.settle(first/pageSpan, p)
		}
		first += uint64(take)
		n -= take
	}
}

func (p *page) fill(from, to int) {
	for from < to {
		next := min(to, (from|63)+1)
		mask := ^uint64(0) << (from % 64)
		if next%64 != 0 {
			mask &= 1<<(next%64) - 1
		}
		w := &p.words[from/64]
		p.count += bits.OnesCount64(mask &^ *w)
		*w |= mask
		from = next
	}
}

func (s *bitset) settle(i uint64, p *page) {
	if p.count == pageSpan && p != s.full {
		s.pages[i], s.spare = s.full, p
	}
}

// difference counts the numbers in s only and in o only.
func (s *bitset) difference(o *bitset) (onlyS, onlyO int64) {
	var empty page
	at := func(b *bitset, i int) *page {
		if i >= len(b.pages) || b.pages[i] == nil {
			return &empty
		}
		return b.pages[i]
	}
	for i := range max(len(s.pages), len(o.pages)) {
		a, b := at(s, i), at(o, i)
		if a == b {
			continue
		}
		for w := range a.words {
			onlyS += int64(bits.OnesCount64(a.words[w] &^ b.words[w]))
			onlyO += int64(bits.OnesCount64(b.words[w] &^ a.words[w]))
		}
	}
	return onlyS, onlyO
}

// gaps counts the runs of absent numbers below the highest present one.
func (s *bitset) gaps() int64 {
	var n, open int64 // open: 1 while in a run of absent numbers whose end is not known yet
	for _, p := range s.pages {
		switch {
		case p == nil:
			open = 1
			continue
		case p == s.full:
			n += open
			open = 0
			continue
		}
		for _, w := range p.words {
			for left := 64; left > 0; {
				if w&1 == 0 {
					open = 1
					zeros := min(left, bits.TrailingZeros64(w))
					w >>= zeros
					left -= zeros
					continue
				}
				n += open
				open = 0
				ones := bits.TrailingZeros64(^w)
				w >>= ones
				left -= ones
			}
		}
	}
	return n
}

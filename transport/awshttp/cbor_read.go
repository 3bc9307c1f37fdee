package awshttp

import (
	"encoding/binary"
	"unicode/utf8"
)

// CBORScanner walks a CBOR document that need not be well-formed, for readers that know what they look for and leave
// anything else to CBOR. It allocates nothing. Methods return ok false to decline; the scanner is of no use afterwards.
type CBORScanner struct {
	In []byte
	at int
}

// head reads a head of one major type with its shortest or any other length, or an indefinite one.
func (s *CBORScanner) head(major byte) (n uint64, open, ok bool) {
	if s.at >= len(s.In) || s.In[s.at]&cborMajor != major {
		return 0, false, false
	}
	info := s.In[s.at] &^ cborMajor
	s.at++
	rest := s.In[s.at:]
	switch {
	case info < 24:
		return uint64(info), false, true
	case info == cborIndefinite:
		return 0, true, true
	case info > 27 || len(rest) < 1<<(info-24):
		return 0, false, false
	}
	s.at += 1 << (info - 24)
	switch info {
	case 24:
		n = uint64(rest[0])
	case 25:
		n = uint64(binary.BigEndian.Uint16(rest))
	case 26:
		n = uint64(binary.BigEndian.Uint32(rest))
	case 27:
		n = binary.BigEndian.Uint64(rest)
	}
	return n, false, true
}

// CBORItems counts through a map or list.
type CBORItems struct {
	left uint64
	open bool
}

// Map begins a map, List a list.
func (s *CBORScanner) Map() (items CBORItems, ok bool) { return s.items(cborMap) }

// List begins a list.
func (s *CBORScanner) List() (items CBORItems, ok bool) { return s.items(cborList) }

func (s *CBORScanner) items(major byte) (items CBORItems, ok bool) {
	n, open, ok := s.head(major)
	return CBORItems{left: n, open: open}, ok && n <= uint64(len(s.In))
}

// Next tells whether there is another item, and takes the end where there is none. What follows must be read.
func (s *CBORScanner) Next(items *CBORItems) (more, ok bool) {
	if !items.open {
		if items.left == 0 {
			return false, true
		}
		items.left--
		return true, true
	}
	if s.at >= len(s.In) {
		return false, false
	}
	if s.In[s.at] != cborBreak {
		return true, true
	}
	s.at++
	return false, true
}

// Text reads a text string of definite length, valid UTF-8. It aliases In.
func (s *CBORScanner) Text() (text []byte, ok bool) {
	text, ok = s.str(cborText)
	if !ok {
		return nil, false
	}
	high := byte(0)
	for _, c := range text {
		high |= c
	}
	return text, high < utf8.RuneSelf || utf8.Valid(text)
}

// Bytes reads a byte string of definite length. It aliases In.
func (s *CBORScanner) Bytes() (b []byte, ok bool) { return s.str(cborBytes) }

func (s *CBORScanner) str(major byte) ([]byte, bool) {
	n, open, ok := s.head(major)
	if !ok || open || n > uint64(len(s.In)-s.at) {
		return nil, false
	}
	s.at += int(n)
	return s.In[s.at-int(n) : s.at : s.at], true
}

// End tells whether nothing is left.
func (s *CBORScanner) End() bool { return s.at == len(s.In) }

package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
)

// errJSON is a reply that is not the JSON it should be.
var errJSON = errors.New("malformed reply")

// maxDepth bounds nested values in a reply.
const maxDepth = 32

// scanner walks a JSON text without building anything. Values are given as slices of the text. It accepts a little more
// than JSON (it does not look into the escapes of strings it skips) and never reads beyond the text.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// is consumes c if it is next.
func (s *scanner) is(c byte) bool {
	s.space()
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text consumes a string and returns it unquoted. It aliases the text unless that has escapes.
func (s *scanner) text() ([]byte, error) {
	raw, err := s.quoted()
	if err != nil || bytes.IndexByte(raw, '\\') < 0 {
		if err == nil {
			raw = raw[1 : len(raw)-1]
		}
		return raw, err
	}
	var out string
	if json.Unmarshal(raw, &out) != nil {
		return nil, errJSON
	}
	return []byte(out), nil
}

// quoted consumes a string and returns it with its quotes.
func (s *scanner) quoted() ([]byte, error) {
	s.space()
	if s.at >= len(s.b) || s.b[s.at] != '"' {
		return nil, errJSON
	}
	for from := s.at + 1; ; {
		i := bytes.IndexByte(s.b[from:], '"')
		if i < 0 {
			return nil, errJSON
		}
		end := from + i
		slashes := 0
		for end-1-slashes > s.at && s.b[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			raw := s.b[s.at : end+1]
			s.at = end + 1
			return raw, nil
		}
		from = end + 1
	}
}

// object calls field for each member; field consumes the value.
func (s *scanner) object(field func(name []byte) error) error {
	if !s.is('{') {
		return errJSON
	}
	if s.is('}') {
		return nil
	}
	for {
		name, err := s.text()
		if err != nil || !s.is(':') {
			return errJSON
		}
		if err := field(name); err != nil {
			return err
		}
		if s.is('}') {
			return nil
		}
		if !s.is(',') {
			return errJSON
		}
	}
}

// array calls element for each; element consumes it. null is an empty array.
func (s *scanner) array(element func() error) error {
	if s.null() {
		return nil
	}
	if !s.is('[') {
		return errJSON
	}
	if s.is(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.is(']') {
			return nil
		}
		if !s.is(',') {
			return errJSON
		}
	}
}

// null consumes null if it is next.
func (s *scanner) null() bool {
	s.space()
	if bytes.HasPrefix(s.b[s.at:], []byte("null")) {
		s.at += 4
		return true
	}
	return false
}

// optional consumes a string or null.
func (s *scanner) optional() ([]byte, error) {
	if s.null() {
		return nil, nil
	}
	return s.text()
}

// number consumes a whole number of at most 18 digits; a fraction or exponent is cut off.
func (s *scanner) number() (int64, error) {
	raw := s.scalar()
	negative := len(raw) > 0 && raw[0] == '-'
	if negative {
		raw = raw[1:]
	}
	var n int64
	digits := 0
	for digits < len(raw) && raw[digits] >= '0' && raw[digits] <= '9' {
		n = n*10 + int64(raw[digits]-'0')
		if digits++; digits > 18 {
			return 0, errJSON
		}
	}
	if digits == 0 {
		return 0, errJSON
	}
	if negative {
		n = -n
	}
	return n, nil
}

// scalar consumes what is neither string, object nor array.
func (s *scanner) scalar() []byte {
	s.space()
	from := s.at
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ',', '}', ']', ' ', '\t', '\n', '\r', '"', '{', '[', ':':
			return s.b[from:s.at]
		}
		s.at++
	}
	return s.b[from:s.at]
}

// skip consumes any value.
func (s *scanner) skip(depth int) error {
	s.space()
	if s.at >= len(s.b) || depth > maxDepth {
		return errJSON
	}
	switch s.b[s.at] {
	case '"':
		_, err := s.quoted()
		return err
	case '{':
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		return s.array(func() error { return s.skip(depth + 1) })
	}
	if len(s.scalar()) == 0 {
		return errJSON
	}
	return nil
}

// end tells whether nothing but space is left.
func (s *scanner) end() error {
	s.space()
	if s.at != len(s.b) {
		return errJSON
	}
	return nil
}

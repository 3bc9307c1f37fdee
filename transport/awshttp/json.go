package awshttp

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of a JSON document. A PutRecords request of 500 records has about 2,000 values.
const (
	maxDepth  = 32
	maxValues = 100_000
)

// Codec is one wire form of documents. Implementations hold no state and may be called concurrently.
type Codec interface {
	// ContentType is what requests carry and replies repeat.
	ContentType() string
	// Parse reads a whole document. The value shares no memory with body.
	Parse(body []byte) (Value, error)
	// Append writes v to dst and returns it.
	Append(dst []byte, v Value) []byte
}

// JSON is the JSON 1.1 wire form: binary data as base64 strings, times as seconds with milliseconds after the point.
type JSON struct{}

var _ Codec = JSON{}

// ContentType is application/x-amz-json-1.1.
func (JSON) ContentType() string { return "application/x-amz-json-1.1" }

// Parse reads a JSON document as RFC 8259 has it; invalid UTF-8 and lone surrogates become U+FFFD. Errors are
// errSyntax or errTooBig.
func (JSON) Parse(body []byte) (Value, error) {
	p := jsonParser{in: body}
	v, err := p.value(0)
	if err != nil {
		return Value{}, err
	}
	if p.skipSpace(); p.at != len(p.in) {
		return Value{}, errSyntax
	}
	return v, nil
}

// jsonParser walks one document. at is the next byte to read.
type jsonParser struct {
	in     []byte
	at     int
	values int
}

func (p *jsonParser) skipSpace() {
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// next skips space and returns the byte there without taking it, 0 at the end.
func (p *jsonParser) next() byte {
	if p.skipSpace(); p.at < len(p.in) {
		return p.in[p.at]
	}
	return 0
}

func (p *jsonParser) value(depth int) (Value, error) {
	if p.values++; p.values > maxValues || depth > maxDepth {
		return Value{}, errTooBig
	}
	switch c := p.next(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.str()
		return Value{Kind: String, Str: s}, err
	case c == '-' || c >= '0' && c <= '9':
		return p.num()
	case c == 't':
		return Value{Kind: Bool, Bool: true}, p.word("true")
	case c == 'f':
		return Value{Kind: Bool}, p.word("false")
	case c == 'n':
		return Value{}, p.word("null")
	}
	return Value{}, errSyntax
}

func (p *jsonParser) word(w string) error {
	if len(p.in)-p.at < len(w) || string(p.in[p.at:p.at+len(w)]) != w {
		return errSyntax
	}
	p.at += len(w)
	return nil
}

func (p *jsonParser) object(depth int) (Value, error) {
	v := Value{Kind: Map}
	p.at++
	if p.next() == '}' {
		p.at++
		return v, nil
	}
	for {
		if p.next() != '"' {
			return v, errSyntax
		}
		key, err := p.str()
		if err != nil {
			return v, err
		}
		if p.next() != ':' {
			return v, errSyntax
		}
		p.at++
		m, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.Put(key, m)
		switch p.next() {
		case ',':
			p.at++
		case '}':
			p.at++
			return v, nil
		default:
			return v, errSyntax
		}
	}
}

func (p *jsonParser) array(depth int) (Value, error) {
	v := Value{Kind: List}
	p.at++
	if p.next() == ']' {
		p.at++
		return v, nil
	}
	for {
		m, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.List = append(v.List, m)
		switch p.next() {
		case ',':
			p.at++
		case ']':
			p.at++
			return v, nil
		default:
			return v, errSyntax
		}
	}
}

// num reads a number; one without fraction and exponent that fits becomes an Int.
func (p *jsonParser) num() (Value, error) {
	start, integer := p.at, true
	if p.in[p.at] == '-' {
		p.at++
	}
	digits := func() bool {
		from := p.at
		for p.at < len(p.in) && p.in[p.at] >= '0' && p.in[p.at] <= '9' {
			p.at++
		}
		return p.at > from
	}
	first := p.at
	if !digits() || p.in[first] == '0' && p.at > first+1 {
		return Value{}, errSyntax
	}
	if p.at < len(p.in) && p.in[p.at] == '.' {
		integer = false
		if p.at++; !digits() {
			return Value{}, errSyntax
		}
	}
	if p.at < len(p.in) && p.in[p.at]|0x20 == 'e' {
		integer = false
		if p.at++; p.at < len(p.in) && (p.in[p.at] == '+' || p.in[p.at] == '-') {
			p.at++
		}
		if !digits() {
			return Value{}, errSyntax
		}
	}
	text := string(p.in[start:p.at])
	if integer {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Value{Kind: Int, Int: n}, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil { // out of range: keep the infinity, it saturates
		return Value{Kind: Float, Float: f}, nil
	}
	return Value{Kind: Float, Float: f}, nil
}

// str reads a string whose opening quote is at p.at.
func (p *jsonParser) str() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case c == '"':
			s := string(p.in[start:p.at])
			p.at++
			return s, nil
		case c == '\\' || c >= utf8.RuneSelf:
			return p.strSlow(start)
		case c < 0x20:
			return "", errSyntax
		}
		p.at++
	}
	return "", errSyntax
}

// AppendUnquoted appends what the inside of a JSON string stands for, escapes and all. It fails where the text has a bare
// quote or a control character, or an escape is wrong.
func AppendUnquoted(dst, text []byte) ([]byte, bool) {
	p := jsonParser{in: text}
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case c < 0x20 || c == '"':
			return dst, false
		case c == '\\':
			var ok bool
			if dst, ok = p.escape(dst); !ok {
				return dst, false
			}
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			p.at++
		default:
			r, n := utf8.DecodeRune(p.in[p.at:])
			dst = utf8.AppendRune(dst, r)
			p.at += n
		}
	}
	return dst, true
}

// strSlow goes on where str met an escape or a byte outside ASCII.
func (p *jsonParser) strSlow(start int) (string, error) {
	b := append([]byte(nil), p.in[start:p.at]...)
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case c == '"':
			p.at++
			return string(b), nil
		case c < 0x20:
			return "", errSyntax
		case c == '\\':
			var ok bool
			if b, ok = p.escape(b); !ok {
				return "", errSyntax
			}
		case c < utf8.RuneSelf:
			b = append(b, c)
			p.at++
		default:
			r, n := utf8.DecodeRune(p.in[p.at:])
			b = utf8.AppendRune(b, r)
			p.at += n
		}
	}
	return "", errSyntax
}

// escape reads one escape, or a pair of them that makes one rune, and appends what it stands for.
func (p *jsonParser) escape(b []byte) ([]byte, bool) {
	if p.at+1 >= len(p.in) {
		return b, false
	}
	c := p.in[p.at+1]
	p.at += 2
	switch c {
	case '"', '\\', '/':
		return append(b, c), true
	case 'b':
		return append(b, '\b'), true
	case 'f':
		return append(b, '\f'), true
	case 'n':
		return append(b, '\n'), true
	case 'r':
		return append(b, '\r'), true
	case 't':
		return append(b, '\t'), true
	case 'u':
	default:
		return b, false
	}
	r, ok := hex4(p.in[p.at:])
	if !ok {
		return b, false
	}
	p.at += 4
	if utf16.IsSurrogate(r) {
		if len(p.in)-p.at >= 6 && p.in[p.at] == '\\' && p.in[p.at+1] == 'u' {
			if low, ok := hex4(p.in[p.at+2:]); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					p.at += 6
					return utf8.AppendRune(b, pair), true
				}
			}
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(b, r), true
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

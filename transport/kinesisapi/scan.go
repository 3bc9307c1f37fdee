package kinesisapi

import (
	"bytes"
	"math/bits"
	"unicode/utf8"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// The scanners read the bodies that clients usually send, straight into records, without a document in between. They
// accept a subset of what the generated path accepts, with the same meaning; at anything else (an unknown or repeated
// member, a null, a length or a character that may be wrong) they decline and the generated path decides.

// putTarget says which stream a request names.
type putTarget struct{ name, arn string }

// scanner walks one body. Methods return false to decline.
type scanner struct {
	in []byte
	at int
}

func (s *scanner) space() {
	for s.at < len(s.in) {
		if c := s.in[s.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		s.at++
	}
}

// take skips space and then c, where it is there.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.in) && s.in[s.at] == c {
		s.at++
		return true
	}
	s.space()
	if s.at < len(s.in) && s.in[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text reads a string and returns its inside, and whether that has escapes. The inside may hold control characters.
func (s *scanner) text() (inside []byte, escaped, ok bool) {
	if !s.take('"') {
		return nil, false, false
	}
	start := s.at
	for {
		n := bytes.IndexByte(s.in[s.at:], '"')
		if n < 0 {
			return nil, false, false
		}
		end := s.at + n
		escaped = escaped || bytes.IndexByte(s.in[s.at:end], '\\') >= 0
		s.at = end + 1
		if !escaped || !backslashed(s.in[start:end]) {
			return s.in[start:end], escaped, true
		}
	}
}

// shortText is text for values of some tens of bytes: one look at each byte of plain text, all else goes to text.
func (s *scanner) shortText() (inside []byte, escaped, ok bool) {
	if s.at < len(s.in) && s.in[s.at] == '"' {
		rest := s.in[s.at+1:]
		for i, c := range rest[:min(len(rest), 64)] {
			if c == '"' {
				s.at += i + 2
				return rest[:i], false, true
			}
			if c == '\\' {
				break
			}
		}
	}
	return s.text()
}

// backslashed tells whether text ends in a backslash that escapes what follows.
func backslashed(text []byte) bool {
	n := 0
	for n < len(text) && text[len(text)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// field reads a member's name and the colon.
func (s *scanner) field() (name []byte, ok bool) {
	name, escaped, ok := s.text()
	return name, ok && !escaped && s.take(':')
}

// recordName is field for the members of a record, the usual ones at once.
func (s *scanner) recordName() (name []byte, ok bool) {
	const data, key = `"Data":`, `"PartitionKey":`
	rest := s.in[s.at:]
	if len(rest) > len(data) && string(rest[:len(data)]) == data {
		s.at += len(data)
		return rest[1 : len(data)-2], true
	}
	if len(rest) > len(key) && string(rest[:len(key)]) == key {
		s.at += len(key)
		return rest[1 : len(key)-2], true
	}
	return s.field()
}

// more tells whether an object or list goes on after an element.
func (s *scanner) more(end byte) (more, ok bool) {
	if s.take(',') {
		return true, true
	}
	return false, s.take(end)
}

// end tells whether nothing but space is left.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.in)
}

// scanPutRecord reads a PutRecord body into the buffer's only record.
func (a *API) scanPutRecord(body []byte, b *putBuffer) (t putTarget, ok bool) {
	s := scanner{in: body}
	if !s.take('{') {
		return t, false
	}
	b.reserve(len(body))
	var r recordScan
	for more := true; more; {
		name, ok := s.field()
		if !ok {
			return t, false
		}
		if known, ok := a.recordField(&s, b, name, &r); known {
			if !ok {
				return t, false
			}
		} else if !t.field(&s, name) {
			return t, false
		}
		if more, ok = s.more('}'); !ok {
			return t, false
		}
	}
	return t, s.end() && t.complete() && b.add(&r)
}

// scanPutRecords reads a PutRecords body into the buffer's records.
func (a *API) scanPutRecords(body []byte, b *putBuffer) (t putTarget, ok bool) {
	s := scanner{in: body}
	if !s.take('{') {
		return t, false
	}
	b.reserve(len(body))
	for more := true; more; {
		name, ok := s.field()
		if !ok {
			return t, false
		}
		if string(name) == "Records" {
			if len(b.recs) > 0 || !a.scanRecords(&s, b) {
				return t, false
			}
		} else if !t.field(&s, name) {
			return t, false
		}
		if more, ok = s.more('}'); !ok {
			return t, false
		}
	}
	return t, s.end() && t.complete() && len(b.recs) > 0
}

func (a *API) scanRecords(s *scanner, b *putBuffer) bool {
	if !s.take('[') {
		return false
	}
	for more := true; more; {
		if len(b.recs) == maxPutRecords {
			return false
		}
		if a.usualRecord(s, b) {
			if s.at < len(s.in) && s.in[s.at] == ',' {
				s.at++
				continue
			}
			var ok bool
			if more, ok = s.more(']'); !ok {
				return false
			}
			continue
		}
		if !s.take('{') {
			return false
		}
		var r recordScan
		for inner := true; inner; {
			name, ok := s.recordName()
			if !ok {
				return false
			}
			if known, ok := a.recordField(s, b, name, &r); !known || !ok {
				return false
			}
			if inner, ok = s.more('}'); !ok {
				return false
			}
		}
		if !b.add(&r) {
			return false
		}
		var ok bool
		if more, ok = s.more(']'); !ok {
			return false
		}
	}
	return true
}

// field reads a member that names the stream.
func (t *putTarget) field(s *scanner, name []byte) bool {
	switch string(name) {
	case "StreamName":
		v, escaped, ok := s.text()
		if !ok || escaped || t.name != "" || !streamNameText(v) {
			return false
		}
		t.name = string(v)
		return true
	case "StreamARN":
		v, escaped, ok := s.text()
		if !ok || escaped || t.arn != "" || !arnText(v) {
			return false
		}
		t.arn = string(v)
		return true
	}
	return false
}

func (t *putTarget) complete() bool { return t.name != "" || t.arn != "" }

func streamNameText(v []byte) bool {
	if len(v) == 0 || len(v) > 128 {
		return false
	}
	for _, c := range v {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// arnText accepts the form that this server writes; others take the general path, whose pattern allows more.
func arnText(v []byte) bool {
	const head = "arn:aws:kinesis:"
	if len(v) > 512 || !bytes.HasPrefix(v, []byte(head)) {
		return false
	}
	region, rest, _ := bytes.Cut(v[len(head):], []byte(":"))
	account, resource, _ := bytes.Cut(rest, []byte(":"))
	name, isStream := bytes.CutPrefix(resource, []byte("stream/"))
	if len(account) != 12 || !isStream || !streamNameText(name) || !streamNameText(region) {
		return false
	}
	for _, c := range account {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// recordScan is one record while its members are read.
type recordScan struct {
	key, data, explicit          []byte
	hasKey, hasData, explicitHas bool
}

// recordField reads a member of a record: known tells whether it is one, ok whether it was read.
func (a *API) recordField(s *scanner, b *putBuffer, name []byte, r *recordScan) (known, ok bool) {
	switch string(name) {
	case "Data":
		return true, !r.hasData && a.data(s, b, r)
	case "PartitionKey":
		v, escaped, ok := s.shortText()
		if !ok || r.hasKey {
			return true, false
		}
		if escaped {
			if v, ok = awshttp.AppendUnquoted(nil, v); !ok {
				return true, false
			}
		} else if !plainText(v) {
			return true, false
		}
		r.key, r.hasKey = v, true
		return true, len(v) > 0 && len(v) <= 256 // bytes: no more characters than that
	case "ExplicitHashKey":
		v, escaped, ok := s.text()
		if !ok || escaped || r.explicitHas {
			return true, false
		}
		r.explicit, r.explicitHas = v, true
		return true, decimalText(v)
	}
	return false, false
}

// data reads the value of Data. Escapes are no letters of base64, so looking for them can wait until decoding fails.
func (a *API) data(s *scanner, b *putBuffer, r *recordScan) (ok bool) {
	if !s.take('"') {
		return false
	}
	n := bytes.IndexByte(s.in[s.at:], '"')
	if n < 0 {
		return false
	}
	r.hasData = true
	if r.data, ok = a.decode(b, s.in[s.at:s.at+n]); ok {
		s.at += n + 1
		return true
	}
	s.at--
	v, escaped, ok := s.text()
	if !ok || !escaped {
		return false
	}
	if v, ok = awshttp.AppendUnquoted(nil, v); ok {
		r.data, ok = a.decode(b, v)
	}
	return ok
}

// plainText tells whether text is valid UTF-8 without control characters.
func plainText(v []byte) bool {
	high := byte(0)
	for _, c := range v {
		if c < 0x20 {
			return false
		}
		high |= c
	}
	return high < utf8.RuneSelf || utf8.Valid(v)
}

// decimalKey is hashkey.Parse for bytes that passed decimalText, without making a string.
func decimalKey(v []byte) (k hashkey.Key, ok bool) {
	for _, c := range v {
		over, hi := bits.Mul64(k.Hi, 10)
		carry, lo := bits.Mul64(k.Lo, 10)
		var c1, c2 uint64
		lo, c1 = bits.Add64(lo, uint64(c-'0'), 0)
		hi, c2 = bits.Add64(hi, carry, c1)
		if over != 0 || c2 != 0 {
			return k, false
		}
		k = hashkey.Key{Hi: hi, Lo: lo}
	}
	return k, true
}

func decimalText(v []byte) bool {
	if len(v) == 0 || len(v) > 39 || v[0] == '0' && len(v) > 1 {
		return false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// decode reads base64 into the arena.
func (a *API) decode(b *putBuffer, v []byte) ([]byte, bool) {
	start := len(b.arena)
	n, ok := decodeBase64(a.base64, b.arena[start:start+len(v)/4*3], v)
	if !ok || n > smallestRecord {
		return nil, false
	}
	b.arena = b.arena[:start+n]
	return b.arena[start : start+n : start+n], true
}

// reserve makes the arena large enough for a body, so that decoded data never moves.
func (b *putBuffer) reserve(body int) {
	if n := body/4*3 + 3; cap(b.arena) < n {
		b.arena = make([]byte, 0, n)
	}
}

// add takes a record whose members are complete.
func (b *putBuffer) add(r *recordScan) bool {
	if !r.hasKey || !r.hasData {
		return false
	}
	rec := engine.Record{Key: r.key, Data: r.data}
	if r.explicitHas {
		k, ok := decimalKey(r.explicit)
		if !ok {
			return false
		}
		b.keys = append(b.keys, k)
		rec.Explicit = &b.keys[len(b.keys)-1]
	}
	b.recs = append(b.recs, rec)
	return true
}

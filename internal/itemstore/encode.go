package itemstore

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// Format of a stored item: a version byte, then the item as the inside of a map. A map is the number of members and each
// member's name and value, sorted by name; a value is its type's letter and: a text for S, N and B, one byte for BOOL,
// nothing for NULL, the number of members and their texts for sets, the number and values for L, the inside for M. A text
// is its length and its bytes. Lengths and numbers are unsigned varints.
const itemVersion = 1

// MaxDepth bounds the nesting of values.
const MaxDepth = 32

func encodeItem(i Item) []byte { return appendMap([]byte{itemVersion}, i) }

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendMap(dst []byte, m map[string]Value) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		dst = appendValue(appendText(dst, k), m[k])
	}
	return dst
}

func appendValue(dst []byte, v Value) []byte {
	dst = append(dst, byte(v.Type))
	switch v.Type {
	case Bool:
		if v.Bool {
			return append(dst, 1)
		}
		return append(dst, 0)
	case Null:
		return dst
	case StringSet, NumberSet, BinarySet:
		dst = binary.AppendUvarint(dst, uint64(len(v.Set)))
		for _, m := range v.Set {
			dst = appendText(dst, m)
		}
		return dst
	case List:
		dst = binary.AppendUvarint(dst, uint64(len(v.List)))
		for _, m := range v.List {
			dst = appendValue(dst, m)
		}
		return dst
	case Map:
		return appendMap(dst, v.Map)
	}
	return appendText(dst, v.Text)
}

// decodeItem reads what encodeItem wrote. The item shares no memory with b.
func decodeItem(b []byte) (Item, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("item of no bytes: %w", ErrCorrupt)
	}
	if b[0] != itemVersion {
		return nil, fmt.Errorf("item version %d: %w", b[0], ErrVersion)
	}
	d := decoder{in: b[1:]}
	m := d.mapping(0)
	if d.bad || len(d.in) != 0 {
		return nil, fmt.Errorf("item of %d bytes: %w", len(b), ErrCorrupt)
	}
	return m, nil
}

// decoder reads from the front of in; once bad, it yields zero values.
type decoder struct {
	in  []byte
	bad bool
}

// count reads a number that can not be larger than the bytes left, as each thing counted takes one at least.
func (d *decoder) count() int {
	n, used := binary.Uvarint(d.in)
	if used <= 0 || n > uint64(len(d.in)-used) {
		d.bad, d.in = true, nil
		return 0
	}
	d.in = d.in[used:]
	return int(n)
}

func (d *decoder) text() string {
	n := d.count()
	s := string(d.in[:n])
	d.in = d.in[n:]
	return s
}

func (d *decoder) octet() byte {
	if len(d.in) == 0 {
		d.bad = true
		return 0
	}
	b := d.in[0]
	d.in = d.in[1:]
	return b
}

func (d *decoder) mapping(depth int) map[string]Value {
	if depth > MaxDepth {
		d.bad, d.in = true, nil
		return nil
	}
	m := make(map[string]Value)
	for range d.count() {
		if d.bad {
			break
		}
		k := d.text()
		m[k] = d.value(depth + 1)
	}
	return m
}

func (d *decoder) value(depth int) Value {
	v := Value{Type: Type(d.octet())}
	if depth > MaxDepth {
		d.bad, d.in = true, nil
	}
	switch v.Type {
	case String, Number, Binary:
		v.Text = d.text()
	case Bool:
		v.Bool = d.octet() == 1
	case Null:
	case StringSet, NumberSet, BinarySet:
		for n := d.count(); n > 0 && !d.bad; n-- {
			v.Set = append(v.Set, d.text())
		}
	case List:
		for n := d.count(); n > 0 && !d.bad; n-- {
			v.List = append(v.List, d.value(depth+1))
		}
	case Map:
		v.Map = d.mapping(depth + 1)
	default:
		d.bad = true
	}
	return v
}

package itemstore

import (
	"maps"
	"slices"
)

// Type is the type of a Value. The letters are those of the format on disk.
type Type byte

// Types of values, in DynamoDB's names: S, N, B, BOOL, NULL, SS, NS, BS, L and M.
const (
	String    Type = 'S'
	Number    Type = 'N'
	Binary    Type = 'B'
	Bool      Type = 'O'
	Null      Type = 'Z'
	StringSet Type = 's'
	NumberSet Type = 'n'
	BinarySet Type = 'b'
	List      Type = 'L'
	Map       Type = 'M'
)

// IsSet tells whether values of the type have members in Set.
func (t Type) IsSet() bool { return t == StringSet || t == NumberSet || t == BinarySet }

// Value is one attribute's value. It is not changed after it was made; items share values.
type Value struct {
	Type Type
	Bool bool
	Text string   // String; Binary as raw bytes; Number as ParseNumber gives it
	Set  []string // sets, sorted, each member as in Text
	List []Value
	Map  map[string]Value
}

// Item is a set of named values.
type Item map[string]Value

// Equal compares deeply.
func (v Value) Equal(w Value) bool {
	return v.Type == w.Type && v.Bool == w.Bool && v.Text == w.Text && slices.Equal(v.Set, w.Set) &&
		slices.EqualFunc(v.List, w.List, Value.Equal) && maps.EqualFunc(v.Map, w.Map, Value.Equal)
}

// Size is what a value counts against MaxItemSize, in bytes.
func (v Value) Size() int {
	n := 1 + len(v.Text)
	for _, m := range v.Set {
		n += len(m)
	}
	for _, m := range v.List {
		n += 1 + m.Size()
	}
	for k, m := range v.Map {
		n += 1 + len(k) + m.Size()
	}
	return n
}

// Size is what an item counts against MaxItemSize, in bytes.
func (i Item) Size() int {
	n := 0
	for k, v := range i {
		n += len(k) + v.Size()
	}
	return n
}

// pick is the named part of an item.
func (i Item) pick(names ...string) Item {
	out := make(Item, len(names))
	for _, name := range names {
		if v, ok := i[name]; ok {
			out[name] = v
		}
	}
	return out
}

package awshttp

import (
	"math"
	"strconv"
	"time"
)

// Kind tells what a Value holds.
type Kind uint8

// Kinds of values. Bytes and Time occur where the wire form has them (CBOR) or where a Shape asked for them.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	Bytes
	Time
	List
	Map
)

// Value is one node of a request or reply document, independent of the wire form. The zero value is Null.
type Value struct {
	Kind  Kind
	Bool  bool
	Int   int64 // Int; Time as milliseconds since 1970
	Float float64
	Str   string   // String; Bytes as raw bytes
	List  []Value  // List; Map: the values, Keys[i] names List[i]
	Keys  []string // Map
}

// Get returns the member of a map, Null where it is absent. The last of several equal keys counts.
func (v *Value) Get(key string) Value {
	for i := len(v.Keys) - 1; i >= 0; i-- {
		if v.Keys[i] == key {
			return v.List[i]
		}
	}
	return Value{}
}

// Put appends a member to a map value.
func (v *Value) Put(key string, m Value) {
	v.Kind = Map
	v.Keys = append(v.Keys, key)
	v.List = append(v.List, m)
}

// StringValue, IntValue, BoolValue, TimeValue, BytesValue and ListValue build leaves of a reply.
func StringValue(s string) Value  { return Value{Kind: String, Str: s} }
func IntValue(n int64) Value      { return Value{Kind: Int, Int: n} }
func BoolValue(b bool) Value      { return Value{Kind: Bool, Bool: b} }
func TimeValue(t time.Time) Value { return Value{Kind: Time, Int: t.UnixMilli()} }
func BytesValue(b []byte) Value   { return Value{Kind: Bytes, Str: string(b)} }
func ListValue(l []Value) Value   { return Value{Kind: List, List: l} }

// AsTime is the instant a Time value holds.
func (v *Value) AsTime() time.Time { return time.UnixMilli(v.Int) }

// number tells whether v is a number, and which; the integer saturates.
func (v *Value) number() (n int64, f float64, ok bool) {
	switch v.Kind {
	case Int:
		return v.Int, float64(v.Int), true
	case Float:
		f := math.Floor(v.Float)
		switch {
		case f >= math.MaxInt64:
			return math.MaxInt64, v.Float, true
		case f <= math.MinInt64 || f != f:
			return math.MinInt64, v.Float, true
		}
		return int64(f), v.Float, true
	}
	return 0, 0, false
}

// text prints v the way AWS quotes a wrong value in a constraint message.
func (v *Value) text(member string) string {
	switch v.Kind {
	case Null:
		return "null"
	case Bool:
		return strconv.FormatBool(v.Bool)
	case Int, Time:
		return strconv.FormatInt(v.Int, 10)
	case Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case String:
		return v.Str
	case Bytes:
		n := strconv.Itoa(len(v.Str))
		return "java.nio.HeapByteBuffer[pos=0 lim=" + n + " cap=" + n + "]"
	}
	open, end := "[", "]"
	if v.Kind == Map {
		open, end = "{", "}"
	}
	b := []byte(open)
	for i := range v.List {
		if i > 0 {
			b = append(b, ", "...)
		}
		if v.Kind == Map {
			b = append(append(b, v.Keys[i]...), '=')
		}
		if member != "" {
			b = append(b, member...)
		} else {
			b = append(b, v.List[i].text("")...)
		}
	}
	return string(append(b, end...))
}

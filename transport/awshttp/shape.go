package awshttp

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ShapeType is the type of a Shape, in the words of the service models.
type ShapeType uint8

// Types of shapes.
const (
	StringShape ShapeType = iota
	IntegerShape
	LongShape
	DoubleShape
	BooleanShape
	BlobShape
	TimestampShape
	ListShape
	MapShape
	StructureShape
)

// Shape describes one value of a request: its type and constraints. A tree of shapes is built once when an API starts
// and only read afterwards.
type Shape struct {
	Type    ShapeType
	Min     *int64 // least value, or least length
	Max     *int64
	Pattern string // must match the whole string
	Enum    []string
	Members []Member // StructureShape, in the order constraints are checked
	Elem    *Shape   // element of a list, value of a map
	Key     *Shape   // key of a map
	// MemberText stands for each element where a list is quoted in a message; empty means the element itself.
	MemberText string

	match *regexp.Regexp
}

// Member is one field of a structure.
type Member struct {
	Name     string
	Required bool
	// Unless names a sibling whose presence makes a required member optional.
	Unless string
	Shape  *Shape
}

// Compile prepares a tree of shapes for use. It must be called once, before the first request; a pattern that is no
// regular expression is an error.
func (s *Shape) Compile() error {
	if s == nil || s.match != nil {
		return nil
	}
	if s.Pattern != "" {
		m, err := regexp.Compile(`\A(?:` + s.Pattern + `)\z`)
		if err != nil {
			return err
		}
		s.match = m
	}
	for i := range s.Members {
		if err := s.Members[i].Shape.Compile(); err != nil {
			return err
		}
	}
	if err := s.Elem.Compile(); err != nil {
		return err
	}
	return s.Key.Compile()
}

// Convert brings a document into the form s describes: unknown members and nulls go, numbers become integers, base64
// becomes bytes, numbers become times. The error is the SerializationException AWS answers, or nil.
func (s *Shape) Convert(v Value) (Value, *Error) {
	if v.Kind == Null {
		return v, nil
	}
	switch s.Type {
	case StringShape:
		return s.convertString(v)
	case IntegerShape, LongShape, DoubleShape:
		return s.convertNumber(v)
	case BooleanShape:
		return convertBool(v)
	case BlobShape:
		return convertBlob(v)
	case TimestampShape:
		return convertTime(v)
	case ListShape:
		return s.convertList(v)
	case MapShape:
		return s.convertMap(v)
	}
	return s.convertStructure(v)
}

// nested is the error for a list or a map where a scalar is expected, nil for scalars.
func nested(v Value) *Error {
	switch v.Kind {
	case List:
		return Serialization("Start of list found where not expected")
	case Map:
		return Serialization("Start of structure or map found where not expected.")
	}
	return nil
}

// class is the Java class AWS names in a type error.
func class(v Value) string {
	switch v.Kind {
	case Bool:
		return "class java.lang.Boolean"
	case Int, Float:
		return "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
	case String:
		return "class java.lang.String"
	case Bytes:
		return "class java.nio.HeapByteBuffer"
	}
	return "class java.util.Date"
}

func wrongClass(v Value, to string) *Error {
	if err := nested(v); err != nil {
		return err
	}
	return Serialization(class(v) + " can not be converted to " + to)
}

func (s *Shape) convertString(v Value) (Value, *Error) {
	if v.Kind != String {
		return v, wrongClass(v, "an String")
	}
	return v, nil
}

func (s *Shape) convertNumber(v Value) (Value, *Error) {
	n, f, ok := v.number()
	switch s.Type {
	case IntegerShape:
		if !ok {
			return v, wrongClass(v, "an Integer")
		}
		return IntValue(max(min(n, 1<<31-1), -1<<31)), nil
	case LongShape:
		if !ok {
			return v, wrongClass(v, "an Long")
		}
		return IntValue(n), nil
	}
	if !ok {
		return v, wrongClass(v, "an Double")
	}
	return Value{Kind: Float, Float: f}, nil
}

func convertBool(v Value) (Value, *Error) {
	switch v.Kind {
	case Bool:
		return v, nil
	case String:
		return v, Serialization("'" + strings.ToUpper(v.Str) + "' can not be converted to an Boolean")
	}
	return v, wrongClass(v, "an Boolean")
}

// Times are kept within the years 1 to 9999, which is what RFC 3339 can write.
const (
	firstMillis = -62_135_596_800_000
	lastMillis  = 253_402_300_799_999
)

func convertTime(v Value) (Value, *Error) {
	if v.Kind == Time {
		return v, nil
	}
	_, f, ok := v.number()
	if !ok {
		return v, wrongClass(v, "milliseconds since epoch")
	}
	ms := Value{Kind: Float, Float: f*1000 + 0.5} // number() floors
	n, _, _ := ms.number()
	return Value{Kind: Time, Int: max(min(n, lastMillis), firstMillis)}, nil
}

func convertBlob(v Value) (Value, *Error) {
	switch v.Kind {
	case Bytes:
		return v, nil
	case String:
	default:
		return v, wrongClass(v, "a Blob")
	}
	bad := func(why string) (Value, *Error) {
		return v, Serialization("'" + v.Str + "' can not be converted to a Blob: " + why)
	}
	if n := utf16Len(v.Str); n%4 != 0 {
		return bad("Base64 encoded length is expected a multiple of 4 bytes but found: " + strconv.Itoa(n))
	}
	for i, c := range v.Str {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
		if letter || c == '=' && (i+1 == len(v.Str) || v.Str[i+1] == '=') {
			continue
		}
		return bad("Invalid Base64 character: '" + string(c) + "'")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(v.Str)
	if err != nil {
		return bad("Invalid last non-pad Base64 character dectected")
	}
	return Value{Kind: Bytes, Str: string(b)}, nil
}

func (s *Shape) convertList(v Value) (Value, *Error) {
	switch v.Kind {
	case List:
	case Map:
		return v, nested(v)
	default:
		return v, Serialization("Expected list or null")
	}
	out := Value{Kind: List, List: make([]Value, len(v.List))}
	for i := range v.List {
		m, err := s.Elem.Convert(v.List[i])
		if err != nil {
			return v, err
		}
		out.List[i] = m
	}
	return out, nil
}

func (s *Shape) convertMap(v Value) (Value, *Error) {
	switch v.Kind {
	case Map:
	case List:
		return v, nested(v)
	default:
		return v, Serialization("Expected map or null")
	}
	out := Value{Kind: Map}
	seen := make(map[string]int, min(len(v.Keys), maxValues))
	for i, k := range v.Keys {
		m, err := s.Elem.Convert(v.List[i])
		if err != nil {
			return v, err
		}
		if at, twice := seen[k]; twice {
			out.List[at] = m
			continue
		}
		seen[k] = len(out.List)
		out.Put(k, m)
	}
	return out, nil
}

func (s *Shape) convertStructure(v Value) (Value, *Error) {
	switch v.Kind {
	case Map:
	case List:
		return v, nested(v)
	default:
		return v, Serialization("Expected null")
	}
	out := Value{Kind: Map}
	for i := range s.Members {
		m, err := s.Members[i].Shape.Convert(v.Get(s.Members[i].Name))
		if err != nil {
			return v, err
		}
		if m.Kind != Null {
			out.Put(s.Members[i].Name, m)
		}
	}
	return out, nil
}

// utf16Len is the length of s as Java counts it.
func utf16Len(s string) int {
	n := utf8.RuneCountInString(s)
	for i := 0; i < len(s); i++ {
		if s[i] >= 0xF0 && s[i] < 0xF8 { // first byte of a rune outside the basic plane
			n++
		}
	}
	return n
}

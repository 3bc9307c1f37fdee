package awshttp

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// maxCBORDepth bounds how deeply a CBOR document is nested. Java clients nest as JSON ones do: four levels.
const maxCBORDepth = 32

// Major types of CBOR data items, in the top three bits of their first byte, and what the other five may say instead of a
// length.
const (
	cborUint  = 0 << 5
	cborNeg   = 1 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborList  = 4 << 5
	cborMap   = 5 << 5
	cborTag   = 6 << 5
	cborOther = 7 << 5

	cborMajor      = 7 << 5
	cborIndefinite = 31
	cborBreak      = cborOther | 31
	cborFalse      = cborOther | 20
	cborTrue       = cborOther | 21
	cborNull       = cborOther | 22
	cborUndefined  = cborOther | 23
	cborHalf       = cborOther | 25
	cborSingle     = cborOther | 26
	cborDouble     = cborOther | 27
	cborEpoch      = 1 // tag of a time
)

// CBOR is the CBOR 1.1 wire form, RFC 8949 but for times: a tag 1 holds milliseconds since 1970, not seconds, and always
// an integer in replies. Binary data are byte strings. Requests may use indefinite lengths; replies do not.
type CBOR struct{ check cbor.DecMode }

var _ Codec = CBOR{}

// NewCBOR makes the codec.
func NewCBOR() (CBOR, error) {
	m, err := cbor.DecOptions{
		MaxNestedLevels: maxCBORDepth, MaxArrayElements: maxValues, MaxMapPairs: maxValues, IndefLength: cbor.IndefLengthAllowed,
		TagsMd: cbor.TagsAllowed,
	}.DecMode()
	return CBOR{check: m}, err
}

// ContentType is application/x-amz-cbor-1.1.
func (CBOR) ContentType() string { return cborType }

// Parse reads a CBOR document. Errors are errSyntax or errTooBig. Tags other than 1 are passed over, as are simple values
// (null); text must be UTF-8.
func (c CBOR) Parse(body []byte) (Value, error) {
	// What is well-formed keeps the walk below inside the body and ends it.
	if err := c.check.Wellformed(body); err != nil {
		return Value{}, errSyntax
	}
	p := cborParser{in: body}
	return p.value(0)
}

// cborParser walks a well-formed document. at is the next byte to read.
type cborParser struct {
	in     []byte
	at     int
	values int
}

// head reads the first byte of an item and the number that belongs to it. open tells that the length is indefinite.
func (p *cborParser) head() (first byte, n uint64, open bool) {
	first = p.in[p.at]
	p.at++
	switch info := first &^ cborMajor; info {
	case 24:
		n = uint64(p.in[p.at])
		p.at++
	case 25:
		n = uint64(binary.BigEndian.Uint16(p.in[p.at:]))
		p.at += 2
	case 26:
		n = uint64(binary.BigEndian.Uint32(p.in[p.at:]))
		p.at += 4
	case 27:
		n = binary.BigEndian.Uint64(p.in[p.at:])
		p.at += 8
	case cborIndefinite:
		open = true
	default:
		n = uint64(info)
	}
	return first, n, open
}

// ended takes the break at the end of an item of indefinite length.
func (p *cborParser) ended() bool {
	if p.in[p.at] != cborBreak {
		return false
	}
	p.at++
	return true
}

func (p *cborParser) value(depth int) (Value, error) {
	if p.values++; p.values > maxValues || depth > maxCBORDepth {
		return Value{}, errTooBig
	}
	first, n, open := p.head()
	switch first & cborMajor {
	case cborUint:
		if n > math.MaxInt64 {
			return Value{Kind: Float, Float: float64(n)}, nil
		}
		return Value{Kind: Int, Int: int64(n)}, nil
	case cborNeg:
		if n > math.MaxInt64 {
			return Value{Kind: Float, Float: -1 - float64(n)}, nil
		}
		return Value{Kind: Int, Int: -1 - int64(n)}, nil
	case cborBytes:
		return Value{Kind: Bytes, Str: string(p.chunks(n, open))}, nil
	case cborText:
		return p.text(n, open)
	case cborList:
		return p.list(n, open, depth)
	case cborMap:
		return p.mapping(n, open, depth)
	case cborTag:
		v, err := p.value(depth + 1)
		if err != nil || n != cborEpoch {
			return v, err
		}
		millis, _, ok := v.number()
		if !ok {
			return v, nil // a wrong type for whatever it is meant to be
		}
		return Value{Kind: Time, Int: max(min(millis, lastMillis), firstMillis)}, nil
	}
	return simple(first, n), nil
}

// simple is what an item of major type 7 means.
func simple(first byte, n uint64) Value {
	switch first {
	case cborFalse, cborTrue:
		return Value{Kind: Bool, Bool: first == cborTrue}
	case cborHalf:
		return Value{Kind: Float, Float: half(uint16(n))}
	case cborSingle:
		return Value{Kind: Float, Float: float64(math.Float32frombits(uint32(n)))}
	case cborDouble:
		return Value{Kind: Float, Float: math.Float64frombits(n)}
	}
	return Value{} // null, undefined and what nobody has given a meaning
}

// half is the value of a half-precision number.
func half(bits uint16) float64 {
	exponent, mantissa := int(bits>>10&31), float64(bits&1023)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(mantissa, -24)
	case 31:
		v = math.Inf(1)
		if mantissa != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(mantissa+1024, exponent-25)
	}
	if bits>>15 != 0 {
		v = -v
	}
	return v
}

// chunks reads the inside of a byte or text string. A definite one aliases the body.
func (p *cborParser) chunks(n uint64, open bool) []byte {
	if !open {
		p.at += int(n)
		return p.in[p.at-int(n) : p.at]
	}
	var b []byte
	for !p.ended() {
		_, n, _ := p.head()
		b = append(b, p.in[p.at:p.at+int(n)]...)
		p.at += int(n)
	}
	return b
}

func (p *cborParser) text(n uint64, open bool) (Value, error) {
	b := p.chunks(n, open)
	if !utf8.Valid(b) {
		return Value{}, errSyntax
	}
	return Value{Kind: String, Str: string(b)}, nil
}

func (p *cborParser) list(n uint64, open bool, depth int) (Value, error) {
	v := Value{Kind: List}
	for i := uint64(0); open || i < n; i++ {
		if open && p.ended() {
			break
		}
		m, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.List = append(v.List, m)
	}
	return v, nil
}

// mapping reads a map. Keys that are no text name no member; they are passed over with their values.
func (p *cborParser) mapping(n uint64, open bool, depth int) (Value, error) {
	v := Value{Kind: Map}
	for i := uint64(0); open || i < n; i++ {
		if open && p.ended() {
			break
		}
		key, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		m, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		if key.Kind == String {
			v.Put(key.Str, m)
		}
	}
	return v, nil
}

// Append writes v as CBOR.
func (c CBOR) Append(dst []byte, v Value) []byte {
	switch v.Kind {
	case Null:
		return append(dst, cborNull)
	case Bool:
		if v.Bool {
			return append(dst, cborTrue)
		}
		return append(dst, cborFalse)
	case Int:
		return AppendCBORInt(dst, v.Int)
	case Float:
		return binary.BigEndian.AppendUint64(append(dst, cborDouble), math.Float64bits(v.Float))
	case String:
		return AppendCBORText(dst, v.Str)
	case Bytes:
		return AppendCBORBytes(dst, v.Str)
	case Time:
		return AppendCBORTime(dst, v.Int)
	case List:
		dst = AppendCBORList(dst, len(v.List))
		for i := range v.List {
			dst = c.Append(dst, v.List[i])
		}
		return dst
	case Map:
	}
	dst = AppendCBORMap(dst, len(v.List))
	for i := range v.List {
		dst = c.Append(AppendCBORText(dst, v.Keys[i]), v.List[i])
	}
	return dst
}

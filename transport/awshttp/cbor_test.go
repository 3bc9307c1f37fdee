package awshttp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func newTestCBOR(t testing.TB) CBOR {
	t.Helper()
	c, err := NewCBOR()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCBORParse(t *testing.T) {
	c := newTestCBOR(t)
	str := StringValue
	member := func(v Value) Value {
		var m Value
		m.Put("a", v)
		return m
	}
	for in, want := range map[string]Value{
		"00":                            IntValue(0),
		"1818":                          IntValue(24),
		"190100":                        IntValue(256),
		"1a00010000":                    IntValue(65536),
		"1b7fffffffffffffff":            IntValue(math.MaxInt64),
		"1bffffffffffffffff":            {Kind: Float, Float: 1 << 64},
		"3bffffffffffffffff":            {Kind: Float, Float: -1 << 64},
		"3b7fffffffffffffff":            IntValue(math.MinInt64),
		"20":                            IntValue(-1),
		"f4":                            BoolValue(false),
		"f5":                            BoolValue(true),
		"f6":                            {},
		"f7":                            {},
		"f93c00":                        {Kind: Float, Float: 1},
		"f90001":                        {Kind: Float, Float: math.Ldexp(1, -24)},
		"f9fc00":                        {Kind: Float, Float: math.Inf(-1)},
		"fa3fc00000":                    {Kind: Float, Float: 1.5},
		"fbc004000000000000":            {Kind: Float, Float: -2.5},
		"43010203":                      BytesValue([]byte{1, 2, 3}),
		"5f42010241 03ff":               BytesValue([]byte{1, 2, 3}),
		"626869":                        str("hi"),
		"7f61686169ff":                  str("hi"),
		"c11b0000018bcfe5687b":          {Kind: Time, Int: 1_700_000_000_123}, // milliseconds
		"c1fb41d95465c0000000":          {Kind: Time, Int: 1_699_845_888},
		"c06161":                        str("a"), // a tag nobody asked for
		"820102":                        ListValue([]Value{IntValue(1), IntValue(2)}),
		"9f0102ff":                      ListValue([]Value{IntValue(1), IntValue(2)}),
		"a1616101":                      member(IntValue(1)),
		"bf6161bf6161f5ffff":            member(member(BoolValue(true))),
		"a20101616102":                  member(IntValue(2)), // a key that is no text
		"bf7f6161ff9f420102ffff":        member(ListValue([]Value{BytesValue([]byte{1, 2})})),
		"a1" + "6161" + "a0":            member(Value{Kind: Map}),
		strings.Repeat("81", 30) + "01": nest(IntValue(1), 30),
	} {
		got, err := c.Parse(unhex(t, in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "18", "19", "ff", "a1", "a161", "8201", "9f01", "bf6161", "bf6161ff", "41", "5fff0", "5f6161ff", "7f4161ff", "61ff", "1c", "fc", "0000",
		"9bffffffffffffffff", "bbffffffffffffffff", "5bffffffffffffffff01", "7bffffffffffffffff01", "9a00200000", "c1",
		strings.Repeat("81", 40) + "01", strings.Repeat("9f", 1000), strings.Repeat("a10", 0) + strings.Repeat("c1", 1000) + "01",
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			b = []byte(in)
		}
		if v, err := c.Parse(b); err == nil {
			t.Errorf("%.80s: %+v", in, v)
		}
	}
	many := append([]byte{0x9f}, bytes.Repeat([]byte{0x82, 1, 2}, maxValues/2)...)
	if _, err := c.Parse(append(many, 0xff)); !errors.Is(err, errTooBig) {
		t.Errorf("%d values: %v", maxValues, err)
	}
}

func nest(v Value, n int) Value {
	for range n {
		v = ListValue([]Value{v})
	}
	return v
}

// TestCBORAppend reads what is written, here and with a foreign decoder.
func TestCBORAppend(t *testing.T) {
	c := newTestCBOR(t)
	var v Value
	for k, m := range map[string]Value{
		"null": {}, "true": BoolValue(true), "false": BoolValue(false), "float": {Kind: Float, Float: 1.25},
		"text": StringValue(strings.Repeat("\u00e9", 40)), "bytes": BytesValue(bytes.Repeat([]byte{0xff}, 70_000)),
		"time": {Kind: Time, Int: 1_700_000_000_123}, "early": {Kind: Time, Int: -5},
	} {
		v.Put(k, m)
	}
	var ints []Value
	for _, n := range []int64{0, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64, -1, -24, -25, -256, -257, math.MinInt64} {
		ints = append(ints, IntValue(n))
	}
	v.Put("ints", ListValue(ints))
	b := c.Append([]byte("x"), v)[1:]
	got, err := c.Parse(b)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Fatalf("%+v %v, want %+v", got, err, v)
	}
	var foreign map[string]any
	if err := cbor.Unmarshal(b, &foreign); err != nil || len(foreign) != len(v.Keys) {
		t.Fatal(err, foreign)
	}
	if got := string(AppendCBORText(nil, "a\xffb")); got != "\x65a\uFFFDb" {
		t.Errorf("%q", got)
	}
}

// FuzzCBOR: no input makes the parser panic or hang; what it accepts is well-formed and is written and read alike.
func FuzzCBOR(f *testing.F) {
	c := newTestCBOR(f)
	for _, s := range []string{"bf6161bf6161f5ffff", "c11b0000018bcfe5687b", "5f42010241 03ff", "9f01ff", "f93c00", "a20101616102", "bbffffffffffffffff"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := c.Parse(b)
		if err != nil {
			return
		}
		if err := cbor.Wellformed(b); err != nil {
			t.Fatalf("%x is taken: %v", b, err)
		}
		again, err := c.Parse(c.Append(nil, v))
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if x, y := (JSON{}).Append(nil, v), (JSON{}).Append(nil, again); !bytes.Equal(x, y) {
			t.Fatalf("%x: %s, then %s", b, x, y)
		}
	})
}

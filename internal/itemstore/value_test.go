package itemstore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := ParseNumber(in)
		if _, refused := errors.AsType[*InputError](err); refused {
			got = "refused"
		}
		if got != want {
			t.Errorf("ParseNumber(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	f("0", "0")
	f("-0.00", "0")
	f("+007.50", "7.5")
	f("1e3", "1000")
	f("-12.5E-2", "-0.125")
	f(".5", "0.5")
	f("5.", "5")
	f(strings.Repeat("9", 38), strings.Repeat("9", 38))
	f(strings.Repeat("9", 39), "refused")
	f("1"+strings.Repeat("0", 125), "1"+strings.Repeat("0", 125))
	f("1e126", "refused")
	f("1e-130", "0."+strings.Repeat("0", 129)+"1")
	f("1e-131", "refused")
	for _, bad := range []string{"", "-", "1e", "1e+", "abc", "1.2.3", "0x10", "NaN", "1 ", "1e99999", strings.Repeat("1", 600)} {
		f(bad, "refused")
	}
}

func TestAddNumbers(t *testing.T) {
	f := func(a, b, want string) {
		t.Helper()
		if got, err := addNumbers(a, b); err != nil || got != want {
			t.Errorf("%s + %s = %s, %v, want %s", a, b, got, err, want)
		}
	}
	f("1", "1", "2")
	f("99", "1", "100")
	f("0.1", "0.2", "0.3")
	f("-5", "5", "0")
	f("1", "-1.5", "-0.5")
	f("0", "0", "0")
	f("0", "-7.25", "-7.25")
	if _, err := addNumbers("1"+strings.Repeat("0", 100), "1"); err == nil {
		t.Error("a sum of 101 digits is taken")
	}
}

// orderedNumbers are in order, with all the ways of being near each other.
func orderedNumbers() []string {
	return []string{"-1000", "-12", "-11.5", "-11", "-1", "-0.5", "-0.05", "0", "0.001", "0.01", "0.1", "0.11", "0.2", "1", "1.5", "2", "10", "12", "100"}
}

func TestNumbersKeepTheirOrder(t *testing.T) {
	all := orderedNumbers()
	for i := range all {
		for j := range all {
			got := bytes.Compare(appendOrdered(nil, all[i]), appendOrdered(nil, all[j]))
			if want := new(big.Int).SetInt64(int64(i)).Cmp(big.NewInt(int64(j))); got != want {
				t.Errorf("%s and %s compare %d, want %d", all[i], all[j], got, want)
			}
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range append(orderedNumbers(), "1e125", "-1.5E-7", "1e", "٣") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := ParseNumber(in)
		if err != nil {
			return
		}
		if again, err := ParseNumber(out); err != nil || again != out {
			t.Fatalf("%q became %q, then %q, %v", in, out, again, err)
		}
		want, ok := new(big.Rat).SetString(in)
		got, ok2 := new(big.Rat).SetString(out)
		if ok && ok2 && want.Cmp(got) != 0 {
			t.Fatalf("%q became %q", in, out)
		}
		if appendOrdered(nil, out) == nil {
			t.Fatal("no order")
		}
	})
}

// specimen has every type.
func specimen() Item {
	return Item{
		"s": {Type: String, Text: "text"}, "e": {Type: String}, "n": {Type: Number, Text: "-12.5"},
		"b": {Type: Binary, Text: "\x00\xff"}, "t": {Type: Bool, Bool: true}, "f": {Type: Bool}, "z": {Type: Null},
		"ss": {Type: StringSet, Set: []string{"a", "b"}}, "ns": {Type: NumberSet, Set: []string{"1"}}, "bs": {Type: BinarySet, Set: []string{"\x00"}},
		"l": {Type: List, List: []Value{{Type: Number, Text: "1"}, {Type: List}}},
		"m": {Type: Map, Map: map[string]Value{"k": {Type: Map, Map: map[string]Value{}}}},
	}
}

func TestItemFormat(t *testing.T) {
	got := hex.EncodeToString(encodeItem(specimen()))
	golden := filepath.Join("testdata", "item-v1.hex")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Errorf("an item is written as\n%s\nwant\n%s", got, want)
	}
	back, err := decodeItem(encodeItem(specimen()))
	if err != nil || !maps.EqualFunc(back, specimen(), Value.Equal) {
		t.Errorf("read back as %v, %v", back, err)
	}
}

func TestDamagedItems(t *testing.T) {
	whole := encodeItem(specimen())
	for n := range whole {
		if _, err := decodeItem(whole[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("the first %d bytes of an item: %v", n, err)
		}
	}
	if _, err := decodeItem(append(slices.Clone(whole), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte too many: %v", err)
	}
	whole[0] = 2
	if _, err := decodeItem(whole); !errors.Is(err, ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
	deep := []byte{itemVersion}
	for range MaxDepth * 2 {
		deep = append(deep, 1, 1, 'k', 'M')
	}
	if _, err := decodeItem(append(deep, 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("nested too deeply: %v", err)
	}
}

func FuzzDecodeItem(f *testing.F) {
	f.Add(encodeItem(specimen()))
	f.Add(encodeItem(nil))
	f.Add([]byte{itemVersion, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := decodeItem(b)
		if err != nil {
			return
		}
		back, err := decodeItem(encodeItem(i))
		if err != nil || !maps.EqualFunc(i, back, Value.Equal) {
			t.Fatalf("%v became %v, %v", i, back, err)
		}
	})
}

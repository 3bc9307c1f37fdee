package sequence

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference writes n from the drawing in the package comment, digit by digit.
func reference(t interface{ Fatalf(string, ...any) }, n Number) string {
	hex := fmt.Sprintf("2%09x%x%016x00%09x%08x2", n.ShardCreated, n.Shard&15, n.Position, n.Seconds, n.Shard)
	return decimal(t, hex)
}

func decimal(t interface{ Fatalf(string, ...any) }, hex string) string {
	v, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		t.Fatalf("bad hex %q", hex)
	}
	return v.String()
}

func drawNumber(t *rapid.T) Number {
	return Number{
		ShardCreated: rapid.Int64Range(0, MaxSeconds).Draw(t, "created"),
		Shard:        rapid.Uint32Range(0, maxShard).Draw(t, "shard"),
		Position:     rapid.Uint64Range(0, endPosition).Draw(t, "position"),
		Seconds:      rapid.Int64Range(0, MaxSeconds).Draw(t, "seconds"),
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNumber(t)
		got := string(Append([]byte("x"), n))
		if want := "x" + reference(t, n); got != want || len(got) != 1+Digits {
			t.Fatalf("%#v: %s, want %s", n, got, want)
		}
		if back, err := Parse(got[1:]); err != nil || back != n || back.Legacy() || back.Version() != 2 {
			t.Fatalf("%#v came back as %#v, %v", n, back, err)
		}
		if back, err := Parse([]byte(got[1:])); err != nil || back != n {
			t.Fatalf("%#v came back as %#v, %v", n, back, err)
		}
		if Canonical(got[1:]) != got[1:] {
			t.Fatalf("%s is canonical, not %s", got[1:], Canonical(got[1:]))
		}
	})
}

func TestOrderIsPositionOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawNumber(t)
		b := a
		b.Position = rapid.Uint64Range(0, endPosition).Draw(t, "other position")
		b.Seconds = rapid.Int64Range(0, MaxSeconds).Draw(t, "other seconds")
		if a.Position == b.Position {
			return
		}
		if (a.String() < b.String()) != (a.Position < b.Position) {
			t.Fatalf("%#v and %#v are not in order", a, b)
		}
		child := Number{ShardCreated: a.ShardCreated + 1, Shard: b.Shard ^ 1, Position: 0, Seconds: 0}
		if child.ShardCreated <= MaxSeconds && child.String() <= End(a.ShardCreated, a.Shard, a.Seconds).String() {
			t.Fatalf("a child of %#v is not above its end", a)
		}
	})
}

func TestStartAndEnd(t *testing.T) {
	start, end := Start(1_700_000_000, 5), End(1_700_000_000, 5, 1_700_001_000)
	if want := decimal(t, "2"+"06553f100"+"5"+"0000000000000000"+"00"+"06553f100"+"00000005"+"2"); start.String() != want {
		t.Errorf("start %v, want %s", start, want)
	}
	if want := decimal(t, "2"+"06553f100"+"5"+"7fffffffffffffff"+"00"+"06553f4e8"+"00000005"+"2"); end.String() != want {
		t.Errorf("end %v, want %s", end, want)
	}
	if start.IsEnd() || !end.IsEnd() {
		t.Error("IsEnd")
	}
	last := Number{ShardCreated: 1_700_000_000, Shard: 5, Position: MaxPosition, Seconds: MaxSeconds}
	if last.String() >= end.String() || last.IsEnd() {
		t.Error("the last record is not below the end")
	}
}

// Start numbers of neighbouring shards differ by one in the nibble and in the index: public client suites pin this.
func TestNeighbourPin(t *testing.T) {
	a, _ := new(big.Int).SetString(Start(1_700_000_000, 0).String(), 10)
	b, _ := new(big.Int).SetString(Start(1_700_000_000, 1).String(), 10)
	if got := b.Sub(b, a).String(); got != "22300745198530623141535718272648361505980432" {
		t.Fatalf("start numbers of neighbours differ by %s", got)
	}
}

func TestParseOldVersions(t *testing.T) {
	f := func(s string, version int, shard uint32, created, seconds int64) {
		t.Helper()
		n, err := Parse(s)
		if err != nil || !n.Legacy() || n.Version() != version || n.Shard != shard || n.ShardCreated != created || n.Seconds != seconds {
			t.Errorf("Parse(%s) = %#v, %v", s, n, err)
		}
		if !strings.HasPrefix(n.String(), "version ") {
			t.Errorf("legacy number prints as %s", n)
		}
	}
	f(decimal(t, "2"+"06553f100"+"3"+"ab"+"06553f4e8"+"0123456789abcd"+"07"+"00000013"+"1"), 1, 0x13, 1_700_000_000, 1_700_001_000)
	f(decimal(t, "1"+"06553f100"+"ab"+"0123456789abcdef"+"0013"), 0, 0x13, 1_700_000_000, 1_700_000_000)
	f(decimal(t, "06553f100"+"ab"+"0123456789abcdef"+"0013"), 0, 0x13, 1_700_000_000, 1_700_000_000)
	f("0", 0, 0, 0, 0)
	f("5", 0, 5, 0, 0)
	f(decimal(t, "f"+"06553f100"+"ab"+"0123456789abcdef"+"0013"), 0, 0x13, 1_700_000_000, 1_700_000_000)
	f(decimal(t, "1"+"06553f100"+"ab"+"0123456789abcdef"+"0013"+"7"), 0, 0x13, 1_700_000_000, 1_700_000_000)
}

func TestCanonical(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := Canonical(s); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", s, got, want)
		}
	}
	full := decimal(t, "1"+"06553f100"+"ab"+"0123456789abcdef"+"0013")
	f("0", "21267647932558653966460912964485513216") // 2^124
	f("5", "21267647932558653966460912964485513221")
	f(decimal(t, "06553f100"+"ab"+"0123456789abcdef"+"0013"), full)
	f(full, full)
	f(decimal(t, "f"+"06553f100"+"ab"+"0123456789abcdef"+"0013"), full)
	f(decimal(t, "1"+"06553f100"+"ab"+"0123456789abcdef"+"0013"+"7"), full)
	f("", "")
	f("x", "x")
	f("01", "01")
	f(decimal(t, "1"+"fffffffff"+"0000000000000000000000"), decimal(t, "1"+"fffffffff"+"0000000000000000000000"))
	f(strings.Repeat("9", 100), strings.Repeat("9", 100))
}

func TestParseRefuses(t *testing.T) {
	f := func(s string) {
		t.Helper()
		if n, err := Parse(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %#v, %v", s, n, err)
		}
	}
	f("")
	f("-1")
	f("01")
	f("1x")
	f(" 1")
	f(strings.Repeat("9", 56))
	f(strings.Repeat("1", 57))
	f(strings.Repeat("1", 1<<16))
	good := "2" + "06553f100" + "5" + "0000000000000001" + "00" + "06553f100" + "00000005"
	for _, version := range []string{"0", "3", "4", "9", "f"} {
		f(decimal(t, good+version))
	}
	f(decimal(t, "1"+good[1:]+"2"))
	f(decimal(t, "3"+good[1:]+"2"))
	f(decimal(t, "2"+"06553f100"+"5"+"8000000000000000"+"00"+"06553f100"+"00000005"+"2")) // counter too high
	f(decimal(t, "2"+"06553f100"+"5"+"0000000000000001"+"00"+"06553f100"+"80000005"+"2")) // shard too high
	f(decimal(t, "1"+"fffffffff"+"0000000000000000000000"))                               // version 0, time too high
	f(decimal(t, "20000000000000000000000000000000000000000000000"))                      // 2^185
	f(decimal(t, "200000000000000000000000000000000"))                                    // 2^129
}

// What servers write in one way only is not looked at: the nibble and the 00.
func TestParseIsLenient(t *testing.T) {
	n, err := Parse(decimal(t, "2"+"06553f100"+"f"+"0000000000000001"+"ab"+"06553f100"+"00000005"+"2"))
	if want := (Number{1_700_000_000, 5, 1, 1_700_000_000}); err != nil || n != want {
		t.Errorf("%#v, %v", n, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	f := func(n Number) {
		t.Helper()
		defer func() {
			if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "BUG:") {
				t.Errorf("%#v: recovered %v", n, s)
			}
		}()
		Append(nil, n)
	}
	f(Number{ShardCreated: -1})
	f(Number{ShardCreated: MaxSeconds + 1})
	f(Number{Seconds: -1})
	f(Number{Seconds: MaxSeconds + 1})
	f(Number{Position: endPosition + 1})
	f(Number{Shard: maxShard + 1})
}

func TestNoAllocations(t *testing.T) {
	n := Number{1_700_000_000, 17, 1 << 40, 1_700_000_100}
	dst := make([]byte, 0, Digits)
	s := n.String()
	text := []byte(s)
	check := func(what string, f func()) {
		t.Helper()
		if a := testing.AllocsPerRun(100, f); a != 0 {
			t.Errorf("%s: %v allocations", what, a)
		}
	}
	check("Append", func() { dst = Append(dst[:0], n) })
	check("Parse of a string", func() { n, _ = Parse(s) })
	check("Parse of bytes", func() { n, _ = Parse(text) })
}

func FuzzParse(f *testing.F) {
	f.Add("0")
	f.Add("49590338271490256608559692538361571095921575989136588898")
	f.Add(Start(1_700_000_000, 5).String())
	f.Add(End(1_700_000_000, 5, 1_700_000_001).String())
	f.Add("21267647932558653966460912964485513216")
	f.Add(strings.Repeat("9", 56))
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrSyntax) || n != (Number{}) {
				t.Fatalf("Parse(%q) = %#v, %v", s, n, err)
			}
			return
		}
		v, ok := new(big.Int).SetString(s, 10)
		if !ok || v.String() != s {
			t.Fatalf("%q is no number", s)
		}
		if !n.Legacy() {
			if again, err := Parse(n.String()); err != nil || again != n {
				t.Fatalf("%q says %#v, which comes back as %#v, %v", s, n, again, err)
			}
		}
		if c := Canonical(s); Canonical(c) != c {
			t.Fatalf("%q becomes %q and then %q", s, c, Canonical(c))
		}
	})
}

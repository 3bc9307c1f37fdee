package hashkey

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

func toBig(k Key) *big.Int {
	v := new(big.Int).SetUint64(k.Hi)
	return v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(k.Lo))
}

func fromBig(v *big.Int) Key {
	mask := new(big.Int).SetUint64(^uint64(0))
	return Key{new(big.Int).Rsh(v, 64).Uint64(), new(big.Int).And(v, mask).Uint64()}
}

func space() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 128) }

// drawKey favours the edges: few bits set, and neighbours of powers of two.
func drawKey(t *rapid.T, label string) Key {
	k := Key{rapid.Uint64().Draw(t, label+" hi"), rapid.Uint64().Draw(t, label+" lo")}
	switch rapid.IntRange(0, 3).Draw(t, label+" form") {
	case 0:
		k.Hi = 0
	case 1:
		k = fromBig(new(big.Int).Lsh(big.NewInt(1), uint(k.Lo%128)))
		k = k.Add(Key{Lo: uint64(rapid.IntRange(0, 1).Draw(t, label+" plus"))}).Prev()
	}
	return k
}

func TestDecimalAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKey(t, "k")
		want := toBig(k).String()
		if k.String() != want {
			t.Fatalf("String of %x: %s, want %s", toBig(k), k, want)
		}
		if got, err := Parse(want); err != nil || got != k {
			t.Fatalf("Parse(%s) = %v, %v", want, got, err)
		}
	})
}

func TestParse(t *testing.T) {
	good := func(s string, want Key) {
		t.Helper()
		if k, err := Parse(s); err != nil || k != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", s, k, err, want)
		}
	}
	bad := func(s string) {
		t.Helper()
		if k, err := Parse(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %v, %v, want ErrSyntax", s, k, err)
		}
	}
	good("0", Key{})
	good("1", Key{Lo: 1})
	good("18446744073709551616", Key{Hi: 1})
	good("340282366920938463463374607431768211455", Max())
	bad("340282366920938463463374607431768211456")
	bad("999999999999999999999999999999999999999")
	bad("1000000000000000000000000000000000000000")
	bad("")
	bad("00")
	bad("01")
	bad("-1")
	bad("+1")
	bad(" 1")
	bad("1 ")
	bad("0x1")
	bad("1e3")
	bad("12345678901234567890:2345678901234567")
	bad(strings.Repeat("9", 1<<16))
}

func TestEven(t *testing.T) {
	if got := Even(0); got != nil {
		t.Errorf("Even(0) = %v", got)
	}
	if got := Even(-1); got != nil {
		t.Errorf("Even(-1) = %v", got)
	}
	// What the Kinesis API gives for three shards.
	want := []string{
		"0-113427455640312821154458202477256070484",
		"113427455640312821154458202477256070485-226854911280625642308916404954512140969",
		"226854911280625642308916404954512140970-340282366920938463463374607431768211455",
	}
	for i, r := range Even(3) {
		if r.String() != want[i] {
			t.Errorf("shard %d of 3 is %v, want %s", i, r, want[i])
		}
	}
	for _, n := range []int{1, 2, 3, 4, 5, 7, 16, 1000, 1024, 4097} {
		checkEven(t, n)
	}
	rapid.Check(t, func(t *rapid.T) { checkEven(t, rapid.IntRange(1, 300).Draw(t, "n")) })
}

func checkEven(t interface{ Fatalf(string, ...any) }, n int) {
	got := Even(n)
	if len(got) != n {
		t.Fatalf("Even(%d) has %d ranges", n, len(got))
	}
	width := new(big.Int).Div(space(), big.NewInt(int64(n)))
	for i, r := range got {
		first := new(big.Int).Mul(width, big.NewInt(int64(i)))
		last := new(big.Int).Add(first, width)
		if i == n-1 {
			last = space()
		}
		last.Sub(last, big.NewInt(1))
		if toBig(r.First).Cmp(first) != 0 || toBig(r.Last).Cmp(last) != 0 {
			t.Fatalf("Even(%d)[%d] = %v, want %v-%v", n, i, r, first, last)
		}
	}
}

func TestArithmeticAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawKey(t, "a"), drawKey(t, "b")
		wrap := func(v *big.Int) Key { return fromBig(v.Mod(v, space())) }
		one := big.NewInt(1)
		eq := func(what string, got, want Key) {
			if got != want {
				t.Fatalf("%s of %v and %v is %v, want %v", what, a, b, got, want)
			}
		}
		eq("sum", a.Add(b), wrap(new(big.Int).Add(toBig(a), toBig(b))))
		eq("difference", a.Sub(b), wrap(new(big.Int).Sub(toBig(a), toBig(b))))
		eq("next", a.Next(), wrap(new(big.Int).Add(toBig(a), one)))
		eq("prev", a.Prev(), wrap(new(big.Int).Sub(toBig(a), one)))
		if a.Compare(b) != toBig(a).Cmp(toBig(b)) || a.Less(b) != (toBig(a).Cmp(toBig(b)) < 0) {
			t.Fatalf("order of %v and %v", a, b)
		}
	})
}

func TestSplitMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, at := drawKey(t, "a"), drawKey(t, "b"), drawKey(t, "at")
		if b.Less(a) {
			a, b = b, a
		}
		r := Range{a, b}
		if can := toBig(at).Cmp(toBig(a)) > 0 && toBig(at).Cmp(toBig(b)) <= 0; r.CanSplit(at) != can {
			t.Fatalf("CanSplit(%v) of %v is %t", at, r, !can)
		}
		if r.Contains(at) != (at == a || r.CanSplit(at)) {
			t.Fatalf("Contains(%v) of %v is %t", at, r, r.Contains(at))
		}
		if r.Width() != fromBig(new(big.Int).Sub(toBig(b), toBig(a))) {
			t.Fatalf("width of %v is %v", r, r.Width())
		}
		if !r.CanSplit(at) {
			at = r.Mid()
		}
		if a == b {
			return
		}
		if mid := r.Mid(); !r.CanSplit(mid) {
			t.Fatalf("%v cannot be split at its middle %v", r, mid)
		} else if l, h := r.Split(mid); l.Width() != h.Width() && l.Width() != h.Width().Next() {
			t.Fatalf("halves %v and %v", l, h)
		}
		left, right := r.Split(at)
		if left.First != a || right.Last != b || right.First != at || left.Last.Next() != at {
			t.Fatalf("split of %v at %v: %v, %v", r, at, left, right)
		}
		if !left.Adjacent(right) || !right.Adjacent(left) || left.Adjacent(left) || left.Merge(right) != r || right.Merge(left) != r {
			t.Fatalf("%v and %v do not merge to %v", left, right, r)
		}
		if _, ok := left.Intersect(right); ok {
			t.Fatalf("%v and %v intersect", left, right)
		}
		if both, ok := r.Intersect(right); !ok || both != right {
			t.Fatalf("%v and %v have %v in common", r, right, both)
		}
	})
	if (Range{Key{Lo: 5}, Max()}).Adjacent(Range{Key{}, Key{Lo: 3}}) {
		t.Error("the end of the space is adjacent to its beginning")
	}
}

func TestSplitAndMergeRefuse(t *testing.T) {
	refuses := func(what string, f func()) {
		t.Helper()
		defer func() {
			if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "BUG:") {
				t.Errorf("%s: recovered %v", what, s)
			}
		}()
		f()
	}
	r := Range{Key{Lo: 5}, Key{Lo: 9}}
	refuses("split at the first key", func() { r.Split(r.First) })
	refuses("split behind the last key", func() { r.Split(Key{Lo: 10}) })
	refuses("merge with a gap", func() { r.Merge(Range{Key{Lo: 11}, Key{Lo: 12}}) })
	refuses("merge with an overlap", func() { r.Merge(Range{Key{Lo: 9}, Key{Lo: 12}}) })
}

func TestJSON(t *testing.T) {
	in := map[string]Range{"r": {Key{}, Max()}}
	text, err := json.Marshal(in)
	if err != nil || string(text) != `{"r":{"First":"0","Last":"340282366920938463463374607431768211455"}}` {
		t.Fatalf("%s, %v", text, err)
	}
	var out map[string]Range
	if err := json.Unmarshal(text, &out); err != nil || out["r"] != in["r"] {
		t.Fatalf("%v, %v", out, err)
	}
	k := Key{Lo: 7}
	if err := json.Unmarshal([]byte(`"01"`), &k); !errors.Is(err, ErrSyntax) || k.Lo != 7 {
		t.Fatalf("%v, %v", k, err)
	}
}

func TestOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		want := fromBig(new(big.Int).SetBytes(md5Bytes(key)))
		if got := MD5.Of(key); got != want {
			t.Fatalf("MD5 of %x: %v, want %v", key, got, want)
		}
		if got := XXH64.Of(key); got != (Key{Hi: xxhash.Sum64(key)}) {
			t.Fatalf("xxh64 of %x: %v", key, got)
		}
	})
}

func md5Bytes(p []byte) []byte { s := md5.Sum(p); return s[:] }

func TestNoAllocations(t *testing.T) {
	var sink Key
	dst := make([]byte, 0, 64)
	key := []byte("partition-key-17")
	check := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	check("Parse", func() { sink, _ = Parse("340282366920938463463374607431768211455") })
	check("AppendText", func() { dst, _ = sink.AppendText(dst[:0]) })
	check("MD5.Of", func() { sink = MD5.Of(key) })
	check("XXH64.Of", func() { sink = XXH64.Of(key) })
}

func FuzzParse(f *testing.F) {
	f.Add("0")
	f.Add("340282366920938463463374607431768211455")
	f.Add("340282366920938463463374607431768211456")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := Parse(s)
		v, ok := new(big.Int).SetString(s, 10)
		valid := ok && v.Sign() >= 0 && v.Cmp(space()) < 0 && v.String() == s
		if valid != (err == nil) {
			t.Fatalf("Parse(%q): %v", s, err)
		}
		if err == nil && k.String() != s {
			t.Fatalf("%q became %v", s, k)
		}
	})
}

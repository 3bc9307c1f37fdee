package kinesisapi

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"

	fast "github.com/emmansun/base64"
)

// strictDecode is what decode promises, in the words of the standard library.
func strictDecode(src []byte) ([]byte, bool) {
	if bytes.ContainsAny(src, "\r\n") {
		return nil, false
	}
	out, err := base64.StdEncoding.Strict().DecodeString(string(src))
	return out, err == nil
}

func compareBase64(t *testing.T, e *fast.Encoding, src []byte) {
	t.Helper()
	want, wantOK := strictDecode(src)
	dst := make([]byte, len(src)/4*3)
	n, ok := decodeBase64(e, dst, src)
	if ok != wantOK || ok && !bytes.Equal(dst[:n], want) {
		t.Fatalf("decode %q: %q %v, want %q %v", src, dst[:n], ok, want, wantOK)
	}
	encoded := base64.StdEncoding.EncodeToString(src)
	got := appendBase64(e, append(make([]byte, 0, len(encoded)+1), 'x'), src)
	if string(got) != "x"+encoded {
		t.Fatalf("encode %q: %q, want %q", src, got, encoded)
	}
	n, ok = decodeBase64(e, make([]byte, len(encoded)/4*3), []byte(encoded))
	if !ok || n != len(src) {
		t.Fatalf("%q does not come back: %d %v", src, n, ok)
	}
}

func TestBase64(t *testing.T) {
	e := strictBase64()
	rnd := rand.New(rand.NewPCG(1, 2))
	for size := range 200 {
		src := make([]byte, size)
		for i := range src {
			src[i] = byte(rnd.Uint32())
		}
		compareBase64(t, e, src)
		text := []byte(base64.StdEncoding.EncodeToString(src))
		compareBase64(t, e, text)
		for i := range text { // every byte wrong in turn
			old := text[i]
			for _, c := range []byte{'=', '\n', '-', 0xff, 'A', '/'} {
				text[i] = c
				compareBase64(t, e, text)
			}
			text[i] = old
		}
	}
}

// TestBase64EveryByte puts every byte value everywhere.
func TestBase64EveryByte(t *testing.T) {
	e := strictBase64()
	text := bytes.Repeat([]byte("AZaz09+/"), 9)
	for i := range text {
		old := text[i]
		for c := range 256 {
			text[i] = byte(c)
			compareBase64(t, e, text)
		}
		text[i] = old
	}
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "AQID", "AQ==", "AQI=", "AR==", "====", "A===", "=AAA", "AQID\n", "AQIDAQIDAQIDAQIDAQIDAQ=="} {
		f.Add([]byte(s))
	}
	e := strictBase64()
	f.Fuzz(func(t *testing.T, src []byte) { compareBase64(t, e, src) })
}

func BenchmarkBase64(b *testing.B) {
	e := strictBase64()
	raw := bytes.Repeat([]byte("0123456789abcdef"), 64)
	text := []byte(base64.StdEncoding.EncodeToString(raw))
	dst := make([]byte, len(text))
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	run("decode/ours", func() {
		if _, ok := decodeBase64(e, dst, text); !ok {
			b.Fatal("refused")
		}
	})
	run("decode/standard", func() {
		if _, err := base64.StdEncoding.Decode(dst, text); err != nil {
			b.Fatal(err)
		}
	})
	run("encode/ours", func() { appendBase64(e, dst[:0], raw) })
	run("encode/standard", func() { base64.StdEncoding.Encode(dst, raw) })
}

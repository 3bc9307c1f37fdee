package engine

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/internal/vfs"
)

// What AWS's tokens look like: base64 in canonical form, a prefix, whole AES blocks.
func TestTokenShape(t *testing.T) {
	e := openTest(t, Options{RingSize: smallRing})
	for n := 1; n <= 128; n++ {
		s := createTest(t, e, strings.Repeat("s", n), 1)
		token, err := s.Iterator("0", Latest, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := base64.StdEncoding.DecodeString(token)
		if err != nil || base64.StdEncoding.EncodeToString(b) != token {
			t.Fatalf("%q: %v", token, err)
		}
		if hex.EncodeToString(b[:8]) != "0000000000000001" || (len(b)-152)%16 != 0 || len(token) > 512 {
			t.Fatalf("name of %d bytes: %d bytes, %x", n, len(b), b[:8])
		}
	}
}

func TestTokenTampered(t *testing.T) {
	e := openTest(t, Options{RingSize: smallRing})
	s := createTest(t, e, "s", 1)
	token, err := s.Iterator("0", TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := func(token string, ok bool) {
		t.Helper()
		p, err := e.Records(context.Background(), token, 1)
		if ok {
			if err != nil {
				t.Fatalf("%q: %v", token, err)
			}
			p.Release()
			return
		}
		wantError(t, err, CodeInvalidArgument, "Invalid ShardIterator.")
	}
	f(token, true)
	f(`"`+token+`"`, true)
	f("", false)
	f(`"`, false)
	f(`""`, false)
	f("AAAA", false)
	f(token[:len(token)-4], false)
	f(token+"AAAA", false)
	f(token+"\n", false)
	f(token[:20]+"\n"+token[20:], false)
	f(strings.Repeat("A", 1<<20), false)
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] ^= 4
		f(base64.StdEncoding.EncodeToString(raw), false)
		raw[i] ^= 4
	}
	for n := range len(raw) {
		f(base64.StdEncoding.EncodeToString(raw[:n]), false)
	}
	// Another data folder's token.
	other := openTest(t, Options{RingSize: smallRing})
	foreign, err := createTest(t, other, "s", 1).Iterator("0", TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	f(foreign, false)
}

// A token survives a restart, and no two are equal.
func TestTokenRestart(t *testing.T) {
	fsys := vfs.NewMem(0)
	e, err := Open(testOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	s := createTest(t, e, "s", 1)
	put(t, s, rec("a", "1"), rec("a", "2"))
	token, err := s.Iterator("0", TrimHorizon, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := readFrom(t, e, token, 1)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openTest(t, testOptions(fsys))
	again, _ := readFrom(t, e, token, 1)
	if len(all) != 2 || len(again) != 2 || all[1] != again[1] {
		t.Fatalf("%v, then %v", all, again)
	}
	seen := map[string]bool{}
	s, err = e.Stream(Name{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		token, err := s.Iterator("0", Latest, "", nil)
		if err != nil || seen[token] {
			t.Fatal("a token twice", err)
		}
		seen[token] = true
	}
}

func FuzzToken(f *testing.F) {
	s, err := newSealer([catalog.SecretLen]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.seal(iterator{made: 1, stream: 2, shard: 3, position: 4, name: Name{Account: "a", Region: "b", Stream: "c"}}), int64(1), uint32(2), uint64(3), "name")
	f.Add(`"AAAAAAAAAAE="`, int64(-1), uint32(1<<31-1), uint64(1<<63), "")
	f.Fuzz(func(t *testing.T, token string, made int64, number uint32, position uint64, name string) {
		s.open(token) // must not panic
		it := iterator{made: made, stream: number, shard: number & (1<<31 - 1), position: position, name: Name{Account: name, Region: "r", Stream: name}}
		got, ok := s.open(s.seal(it))
		cut := name[:min(len(name), maxNamePart)]
		it.name = Name{Account: cut, Region: "r", Stream: cut}
		if !ok || got != it {
			t.Fatalf("%+v became %+v", it, got)
		}
	})
}

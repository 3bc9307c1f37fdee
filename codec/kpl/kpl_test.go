package kpl

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the format's digest
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// userRecord is a line of testdata/*.jsonl, written beside the aggregated record by aws_kinesis_agg 1.2.3 (PyPI).
type userRecord struct {
	Key      string  `json:"key"`
	Explicit *string `json:"explicit"`
	Data     []byte  `json:"data"`
}

func (u *userRecord) explicit() string {
	if u.Explicit == nil {
		return ""
	}
	return *u.Explicit
}

func readGolden(t testing.TB, name string) (records []userRecord, aggregated []byte) {
	t.Helper()
	aggregated, err := os.ReadFile(filepath.Join("testdata", name+".kpl"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(lines) {
		var u userRecord
		if err := json.Unmarshal(line, &u); err != nil {
			t.Fatal(err)
		}
		records = append(records, u)
	}
	if len(records) == 0 {
		t.Fatalf("%s has no records", name)
	}
	return records, aggregated
}

// TestAgainstPython takes apart what Amazon's Python library built, and builds the same bytes.
func TestAgainstPython(t *testing.T) {
	total := 0
	for _, name := range []string{"one", "binary", "keys", "mixed"} {
		records, want := readGolden(t, name)
		var a Aggregated
		if err := a.Reset(want); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a.Len() != len(records) {
			t.Fatalf("%s: %d records, want %d", name, a.Len(), len(records))
		}
		b := NewBuilder(0)
		var r Record
		for i, u := range records {
			if !a.Next(&r) {
				t.Fatalf("%s: ends at record %d", name, i)
			}
			if string(r.Key) != u.Key || string(r.Explicit) != u.explicit() || (r.Explicit == nil) != (u.Explicit == nil) || !bytes.Equal(r.Data, u.Data) {
				t.Fatalf("%s: record %d is %q %q %q, want %q %q %q", name, i, r.Key, r.Explicit, r.Data, u.Key, u.explicit(), u.Data)
			}
			if err := b.Add(u.Key, u.explicit(), u.Data); err != nil {
				t.Fatalf("%s: add record %d: %v", name, i, err)
			}
			total++
		}
		if a.Next(&r) {
			t.Errorf("%s: a record after the last one", name)
		}
		if got := b.Append(nil); !bytes.Equal(got, want) || b.Size() != len(want) {
			t.Errorf("%s: built %d bytes (says %d), want %d:\n%x\n%x", name, len(got), b.Size(), len(want), got, want)
		}
	}
	if total != 561 {
		t.Errorf("%d records compared, want 561", total)
	}
}

// sealed makes data of a message.
func sealed(message []byte) []byte {
	digest := md5.Sum(message) //nolint:gosec // the format's digest
	return append(append([]byte(Magic), message...), digest[:]...)
}

// bytesField and numberField are pieces of hand-made messages.
func bytesField(n protowire.Number, content string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), content))
}

func numberField(n protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v))
}

func TestMessages(t *testing.T) {
	var a Aggregated
	f := func(what, message string, wantErr error, want string) {
		t.Helper()
		err := a.Reset(sealed([]byte(message)))
		if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %v, want %v", what, err, wantErr)
		}
		var got strings.Builder
		var r Record
		for n := 0; a.Next(&r); n++ {
			fmt.Fprintf(&got, "%s/%s/%s ", r.Key, r.Explicit, r.Data)
		}
		if got.String() != want {
			t.Errorf("%s: %q, want %q", what, got.String(), want)
		}
	}
	key, hash := bytesField(fieldKeys, "k"), bytesField(fieldHashes, "7")
	record := func(fields ...string) string { return bytesField(fieldRecords, strings.Join(fields, "")) }
	index, data := numberField(fieldKeyIndex, 0), bytesField(fieldData, "d")
	f("plain", key+record(index, data), nil, "k//d ")
	f("tables last", record(index, numberField(fieldHashIndex, 0), data)+hash+key, nil, "k/7/d ")
	f("fields in any order", key+record(data, index), nil, "k//d ")
	f("the last of a field counts", key+bytesField(fieldKeys, "l")+record(index, numberField(fieldKeyIndex, 1), data, bytesField(fieldData, "e")), nil, "l//e ")
	f("tags are passed over", key+record(index, data, bytesField(4, bytesField(1, "t")+bytesField(2, "v"))), nil, "k//d ")
	f("fields of later versions", key+numberField(9, 1)+record(index, data, bytesField(99, "x")), nil, "k//d ")
	f("no records", key+hash, nil, "")
	f("empty data", key+record(index, bytesField(fieldData, "")), nil, "k// ")

	f("no data", key+record(index), ErrMalformed, "")
	f("no key index", key+record(data), ErrMalformed, "")
	f("the key is not there", record(index, data), ErrMalformed, "")
	f("a key index of 64 bits", key+record(numberField(fieldKeyIndex, 1<<63), data), ErrMalformed, "")
	f("the hash is not there", key+record(index, numberField(fieldHashIndex, 0), data), ErrMalformed, "")
	f("the second record is bad", key+record(index, data)+record(index), ErrMalformed, "")
	f("a number where data belongs", key+record(index, numberField(fieldData, 1)), ErrMalformed, "")
	f("cut short", key+record(index, data)[:4], ErrMalformed, "")
	f("field number 0", "\x00\x00", ErrMalformed, "")
	f("a group without an end", "\x0b\x08\x01", ErrMalformed, "")
	f("a varint without an end", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ErrMalformed, "")
}

func TestPlain(t *testing.T) {
	var a Aggregated
	_, whole := readGolden(t, "mixed")
	f := func(data []byte, want error) {
		t.Helper()
		if err := a.Reset(data); !errors.Is(err, want) || a.Len() != 0 || a.Next(&Record{}) {
			t.Errorf("%.30q: %v, want %v, %d records", data, err, want, a.Len())
		}
	}
	f(nil, ErrPlain)
	f([]byte("hello"), ErrPlain)
	f([]byte(Magic), ErrPlain)
	f(whole[:len(Magic)+digestSize], ErrPlain)
	f(whole[1:], ErrPlain)
	f(whole[:len(whole)-1], ErrDigest)
	f(append([]byte(Magic), make([]byte, 100)...), ErrDigest)
	for i := range whole { // no single damaged bit passes
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1 << (i % 8)
		want := ErrDigest
		if i < len(Magic) {
			want = ErrPlain
		}
		f(damaged, want)
	}
}

func TestWithin(t *testing.T) {
	low, high := hashkey.Even(2)[0], hashkey.Even(2)[1]
	f := func(shard hashkey.Range, want bool, records ...[2]string) {
		t.Helper()
		b := NewBuilder(0)
		for _, r := range records {
			if err := b.Add(r[0], r[1], []byte("d")); err != nil {
				t.Fatal(err)
			}
		}
		var a Aggregated
		if err := a.Reset(b.Append(nil)); err != nil {
			t.Fatal(err)
		}
		if got := a.Within(shard); got != want {
			t.Errorf("%v in %v: %v", records, shard, got)
		}
		n := 0
		for r := (Record{}); a.Next(&r); {
			n++
		}
		if n != len(records) {
			t.Errorf("%d records after Within, want %d", n, len(records))
		}
	}
	const top = "340282366920938463463374607431768211455"
	f(hashkey.Full(), true, [2]string{"any", ""}, [2]string{"other", "0"}, [2]string{"x", top})
	f(low, true, [2]string{"x", "0"}, [2]string{"b", low.Last.String()})
	f(low, false, [2]string{"x", "0"}, [2]string{"b", high.First.String()})
	f(high, true, [2]string{"x", top})
	f(hashkey.Full(), false, [2]string{"x", top + "0"})
	f(hashkey.Full(), false, [2]string{"x", "no number"})
	// 'a' is 0cc175b9..., 'b' is 92eb5ffe... in MD5.
	f(low, true, [2]string{"a", ""})
	f(low, false, [2]string{"a", ""}, [2]string{"b", ""})
	f(high, true, [2]string{"b", ""})
}

func TestBuilderLimits(t *testing.T) {
	f := func(limit, records int, key func(i int) string, size int) {
		t.Helper()
		b := NewBuilder(limit)
		if limit == 0 {
			limit = MaxSize
		}
		data := bytes.Repeat([]byte("x"), size)
		n := 0
		for ; ; n++ {
			before := b.Size()
			err := b.Add(key(n), "", data)
			if errors.Is(err, ErrFull) {
				if b.Size() != before {
					t.Errorf("a refused record changed the size")
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		got := b.Append(nil)
		if len(got) != b.Size() || len(got) > limit || len(got) < limit-size-300 || n < records || b.Len() != n {
			t.Errorf("limit %d: %d records (%d) in %d bytes (%d)", limit, n, b.Len(), len(got), b.Size())
		}
		var a Aggregated
		if err := a.Reset(got); err != nil || a.Len() != n {
			t.Errorf("read back: %d records, %v", a.Len(), err)
		}
	}
	f(0, 9000, func(int) string { return "k" }, 100)
	f(0, 8000, func(i int) string { return fmt.Sprint(i) }, 100)
	f(51200, 400, func(i int) string { return fmt.Sprint(i) }, 100)
	b := NewBuilder(100)
	if err := b.Add("k", "", make([]byte, 200)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record larger than the limit: %v", err)
	}
	if err := b.Add("k", "", make([]byte, 10)); err != nil {
		t.Errorf("a small one after it: %v", err)
	}
	if err := b.Add("k", "", make([]byte, 200)); !errors.Is(err, ErrFull) {
		t.Errorf("a large one after that: %v", err)
	}
}

// TestRoundTrip builds and takes apart whatever rapid thinks of.
func TestRoundTrip(t *testing.T) {
	b := NewBuilder(0)
	var a Aggregated
	rapid.Check(t, func(t *rapid.T) {
		type in struct{ key, explicit, data string }
		one := rapid.Custom(func(t *rapid.T) in {
			return in{
				rapid.StringMatching(`[a-c]{1,3}`).Draw(t, "key"), rapid.StringMatching(`(|[1-9][0-9]{0,3})`).Draw(t, "explicit"),
				string(rapid.SliceOf(rapid.Byte()).Draw(t, "data")),
			}
		})
		records := rapid.SliceOf(one).Draw(t, "records")
		b.Reset()
		for _, r := range records {
			if err := b.Add(r.key, r.explicit, []byte(r.data)); err != nil {
				t.Fatal(err)
			}
		}
		data := b.Append([]byte("prefix"))[len("prefix"):]
		if len(data) != b.Size() {
			t.Fatalf("%d bytes, said %d", len(data), b.Size())
		}
		if err := a.Reset(data); err != nil {
			if len(records) == 0 && errors.Is(err, ErrPlain) {
				return
			}
			t.Fatal(err)
		}
		var r Record
		for i, want := range records {
			if !a.Next(&r) || string(r.Key) != want.key || string(r.Explicit) != want.explicit || string(r.Data) != want.data {
				t.Fatalf("record %d: %q %q %q, want %+v", i, r.Key, r.Explicit, r.Data, want)
			}
		}
		if a.Next(&r) {
			t.Fatal("one record too many")
		}
	})
}

func TestNoAllocations(t *testing.T) {
	var a Aggregated
	for _, name := range []string{"binary", "keys"} {
		_, data := readGolden(t, name)
		read := func() {
			if err := a.Reset(data); err != nil {
				t.Fatal(err)
			}
			var r Record
			for a.Next(&r) {
				_ = r.Data
			}
		}
		read() // the tables get their size
		if n := testing.AllocsPerRun(100, read); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	plain := []byte("nothing aggregated in here at all")
	if n := testing.AllocsPerRun(100, func() { _ = a.Reset(plain) }); n != 0 {
		t.Errorf("plain: %v allocations", n)
	}
}

// FuzzAggregated opens anything, once as it is and once with a digest that is right: nothing may panic, and what opens
// must read in full and stay inside the data.
func FuzzAggregated(f *testing.F) {
	for _, name := range []string{"one", "binary", "keys", "mixed"} {
		_, data := readGolden(f, name)
		f.Add(data)
		f.Add(data[len(Magic) : len(data)-digestSize])
	}
	f.Add([]byte{})
	f.Add([]byte("\x1a\x04\x08\x00\x1a\x00"))
	var a Aggregated
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, d := range [][]byte{data, sealed(data)} {
			before := bytes.Clone(d)
			err := a.Reset(d)
			n, size := 0, 0
			for r := (Record{}); a.Next(&r); n++ {
				size += len(r.Data)
				if len(r.Data) > len(d) || len(r.Key) > len(d) || len(r.Explicit) > len(d) {
					t.Fatal("a slice larger than the input")
				}
			}
			if n != a.Len() || err != nil && n != 0 || size > len(d) {
				t.Fatalf("%d records of %d, %d bytes of %d, %v", n, a.Len(), size, len(d), err)
			}
			a.Within(hashkey.Full())
			if !bytes.Equal(before, d) {
				t.Fatal("the input was written to")
			}
		}
	})
}

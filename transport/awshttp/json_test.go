package awshttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// plain turns a Value into what encoding/json makes of the same document.
func plain(v Value) any {
	switch v.Kind {
	case Bool:
		return v.Bool
	case Int:
		return float64(v.Int)
	case Float:
		return v.Float
	case String:
		return v.Str
	case List:
		l := make([]any, len(v.List))
		for i := range v.List {
			l[i] = plain(v.List[i])
		}
		return l
	case Map:
		m := make(map[string]any, len(v.List))
		for i, k := range v.Keys {
			m[k] = plain(v.List[i])
		}
		return m
	}
	return nil
}

// compareJSON checks that our parser and encoding/json agree on a document, and that writing it again changes nothing.
func compareJSON(t *testing.T, body []byte) {
	t.Helper()
	v, err := JSON{}.Parse(body)
	var want any
	wantErr := json.Unmarshal(body, &want)
	if errors.Is(err, errTooBig) || wantErr != nil && strings.Contains(wantErr.Error(), "cannot unmarshal number") {
		return // limits of ours; encoding/json refuses numbers outside float64
	}
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("parse %q: %v, encoding/json: %v", body, err, wantErr)
	}
	if err != nil {
		return
	}
	if got := plain(v); !reflect.DeepEqual(got, want) {
		t.Fatalf("parse %q: %#v, encoding/json: %#v", body, got, want)
	}
	again, err := JSON{}.Parse(JSON{}.Append(nil, v))
	if err != nil || !reflect.DeepEqual(plain(again), want) {
		t.Fatalf("%q does not survive writing: %v, %#v", body, err, plain(again))
	}
}

var documents = []string{
	`{}`, `[]`, `null`, `true`, `false`, `"x"`, `0`, `-0`, `1.5e3`, `-12`, `01`, `1.`, `.5`, `1e`, `--1`, `9223372036854775807`,
	`9223372036854775808`, `-9223372036854775808`, `1e400`, `{"a":1,"a":2}`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"a":}`, `{"a" 1}`,
	`{a:1}`, `{"a":1,}`, `[1,]`, `[1 2]`, `[`, `{`, `"`, `"\u00e9\n\t\\\/\b\f\r\""`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`,
	`"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\x"`, `"\u12"`, `"\u12G4"`, "\"\x01\"", "\"\xff\"", "\"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
	"\"\xed\xa0\x80\"", ` { "a" : [ 1 , 2 ] } `, "{}x", "\ufeff{}", "", " ", "tru", "nul", "\t{}\r\n", `{"":""}`, "\"\u2028\x7f\"",
}

func TestJSONAgainstStandard(t *testing.T) {
	for _, d := range documents {
		compareJSON(t, []byte(d))
	}
}

func FuzzJSON(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(compareJSON)
}

func TestJSONLimits(t *testing.T) {
	f := func(body string, want error) {
		t.Helper()
		if _, err := (JSON{}).Parse([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%.40q...: %v, want %v", body, err, want)
		}
	}
	f(strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth), nil)
	f(strings.Repeat("[", maxDepth+2)+strings.Repeat("]", maxDepth+2), errTooBig)
	f(strings.Repeat(`{"a":`, maxDepth+2), errTooBig)
	f("["+strings.Repeat("1,", maxValues-2)+"1]", nil)
	f("["+strings.Repeat("1,", maxValues)+"1]", errTooBig)
}

func TestAppendUnquoted(t *testing.T) {
	f := func(text, want string, ok bool) {
		t.Helper()
		got, gotOK := AppendUnquoted([]byte("x"), []byte(text))
		if gotOK != ok || ok && string(got) != "x"+want {
			t.Errorf("%q: %q %v, want %q %v", text, got, gotOK, want, ok)
		}
	}
	f(``, ``, true)
	f(`a\/b\u002b\n`, "a/b+\n", true)
	f("\xff", "\ufffd", true)
	f(`a"b`, "", false)
	f("a\nb", "", false)
	f(`\`, "", false)
	f(`\u00`, "", false)
}

func TestAppendSeconds(t *testing.T) {
	f := func(ms int64, want string) {
		t.Helper()
		if got := string(AppendSeconds(nil, ms)); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
	f(0, "0.000")
	f(1_700_000_000_007, "1700000000.007")
	f(-1500, "-1.500")
	f(1<<53, "9007199254740.992")
}

func TestJSONAppend(t *testing.T) {
	v := Value{}
	v.Put("s", StringValue("a\"b\\\x01é\xff"))
	v.Put("b", BytesValue([]byte{1, 2, 3}))
	v.Put("f", Value{Kind: Float, Float: math.Inf(1)})
	v.Put("t", BoolValue(true))
	v.Put("n", Value{})
	v.Put("l", ListValue([]Value{IntValue(-1), {Kind: Float, Float: 1.25}}))
	const want = `{"s":"a\"b\\\u0001é�","b":"AQID","f":null,"t":true,"n":null,"l":[-1,1.25]}`
	if got := (JSON{}).Append(nil, v); !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s, want %s", got, want)
	}
}

package loadgen

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParsePutRecords(t *testing.T) {
	f := func(in string, n int, wantFailed []int, wantCode string, ok bool) {
		t.Helper()
		failed, why, err := parsePutRecords([]byte(in), n, nil)
		if (err == nil) != ok {
			t.Errorf("%s: error %v", in, err)
			return
		}
		if err != nil {
			if !errors.Is(err, errJSON) {
				t.Errorf("%s: error %v is of no kind", in, err)
			}
			return
		}
		code := ""
		if why != nil {
			code = why.Code
		}
		if !slices.Equal(failed, wantFailed) || code != wantCode {
			t.Errorf("%s: failed %v %q, want %v %q", in, failed, code, wantFailed, wantCode)
		}
	}
	const taken, refused = `{"SequenceNumber":"1","ShardId":"s"}`, `{"ErrorCode":"Slow","ErrorMessage":"too {\"fast\"} [1]"}`
	f(`{"FailedRecordCount":0,"Records":[`+taken+`]}`, 1, nil, "", true)
	f(`{"FailedRecordCount":0,"Records":[`+taken+`,`+taken+`]}`, 2, nil, "", true)
	f(`{"Records":[`+taken+`],"FailedRecordCount":0,"EncryptionType":"NONE"}`, 1, nil, "", true)
	f(" {\n \"FailedRecordCount\" : 0 , \"Records\" : [ "+taken+" ] } ", 1, nil, "", true)
	f(`{"Records":[{"SequenceNumber":"1","ShardId":"s","ErrorCode":null}]}`, 1, nil, "", true)
	f(`{"FailedRecordCount":1,"Records":[`+taken+`,`+refused+`]}`, 2, []int{1}, "Slow", true)
	f(`{"FailedRecordCount":2,"Records":[`+refused+`,`+taken+`,`+refused+`]}`, 3, []int{0, 2}, "Slow", true)
	// Wrong in itself.
	f(`{"FailedRecordCount":0,"Records":[`+taken+`]}`, 2, nil, "", false)
	f(`{"FailedRecordCount":0,"Records":[`+taken+`,`+taken+`]}`, 1, nil, "", false)
	f(`{"FailedRecordCount":1,"Records":[`+taken+`]}`, 1, nil, "", false)
	f(`{"FailedRecordCount":0,"Records":[`+refused+`]}`, 1, nil, "", false)
	f(`{"FailedRecordCount":0,"Records":[{}]}`, 1, nil, "", false)
	f(`{"FailedRecordCount":0}`, 1, nil, "", false)
	f(`{"FailedRecordCount":0,"Records":[`+taken, 1, nil, "", true) // cut short, but every record has its number
	f(`{"FailedRecordCount":1,"Records":[`+refused, 1, nil, "", false)
	f(``, 1, nil, "", false)
	f(`null`, 0, nil, "", false)
	f(`{"FailedRecordCount":1,"Records":`+strings.Repeat(`[`, 1000), 1, nil, "", false)
	f(`{"x":`+strings.Repeat(`[`, 1000)+strings.Repeat(`]`, 1000)+`}`, 0, nil, "", false)
}

func TestParsePutRecord(t *testing.T) {
	f := func(in string, ok bool) {
		t.Helper()
		if err := parsePutRecord([]byte(in)); (err == nil) != ok {
			t.Errorf("%s: error %v", in, err)
		}
	}
	f(`{"ShardId":"s","SequenceNumber":"1"}`, true)
	f(`{"ShardId":"s"}`, false)
	f(`{"SequenceNumber":"1"} x`, false)
	f(``, false)
}

func TestParseGetRecords(t *testing.T) {
	const in = `{"ChildShards":[{"ShardId":"c","ParentShards":["p"],"HashKeyRange":{"StartingHashKey":"0"}}],
		"MillisBehindLatest":1500.7,"NextShardIterator":"AA\/==","Records":[
		{"ApproximateArrivalTimestamp":1.7e9,"Data":"aGVsbG8=","PartitionKey":"k\u00e9","SequenceNumber":"49"},
		{"PartitionKey":"k","Data":"","SequenceNumber":"50","EncryptionType":null}]}`
	var got []string
	page, _, err := parseGetRecords([]byte(in), nil, func(key, data []byte) { got = append(got, string(key)+"="+string(data)) })
	if err != nil || page != (gotRecords{next: "AA/==", last: "50", behind: 1500, records: 2}) {
		t.Fatalf("%+v, %v", page, err)
	}
	if !slices.Equal(got, []string{"ké=hello", "k="}) {
		t.Fatalf("%q", got)
	}
	page, _, err = parseGetRecords([]byte(`{"NextShardIterator":null,"Records":[],"MillisBehindLatest":null}`), nil, nil)
	if err != nil || page != (gotRecords{}) {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, bad := range []string{``, `{`, `[]`, `{"Records":[{"Data":"%"}]}`, `{"Records":[{"Data":"a"`, `{"Records":{}}`, `{} {}`,
		`{"MillisBehindLatest":99999999999999999999}`, `{"MillisBehindLatest":x}`} {
		if _, _, err := parseGetRecords([]byte(bad), nil, func(_, _ []byte) {}); !errors.Is(err, errJSON) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func TestParseError(t *testing.T) {
	f := func(in, code, message string) {
		t.Helper()
		if got := parseError(400, []byte(in)); got.Code != code || got.Message != message {
			t.Errorf("%s: %q %q", in, got.Code, got.Message)
		}
	}
	f(`{"__type":"LimitExceededException","message":"too many"}`, "LimitExceededException", "too many")
	f(`{"__type":"com.amazonaws.kinesis#ResourceNotFoundException"}`, "ResourceNotFoundException", "")
	f(`{"message":null,"__type":"X"}`, "X", "")
	f(`<html>`, "HTTP 400", "")
	f(``, "HTTP 400", "")
}

// Whatever comes, the parser must not panic; and what encoding/json reads, it must read the same.
func FuzzParsePutRecords(f *testing.F) {
	f.Add([]byte(`{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"}]}`), 1)
	f.Add([]byte(`{"FailedRecordCount":1,"Records":[{"ErrorCode":"E","ErrorMessage":"m"}]}`), 1)
	f.Add([]byte(`{"Records":null,"x":[{"a":[1,"\"",{}]}]}`), 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		failed, why, err := parsePutRecords(b, n, nil)
		if err != nil {
			return
		}
		if len(failed) > n && n >= 0 || (why == nil) != (len(failed) == 0) {
			t.Fatalf("%d failed of %d, why %v", len(failed), n, why)
		}
		var want struct {
			Records []struct{ ErrorCode, SequenceNumber *string }
		}
		if wholly(b, n) || !plain(b) || json.Unmarshal(b, &want) != nil {
			return
		}
		if len(want.Records) != n {
			t.Fatalf("%d records, encoding/json sees %d", n, len(want.Records))
		}
		for i, r := range want.Records {
			if refused := r.ErrorCode != nil && *r.ErrorCode != ""; refused != slices.Contains(failed, i) {
				t.Fatalf("record %d: encoding/json says refused %v", i, refused)
			}
		}
	})
}

// plain tells whether encoding/json reads b by the same rules: it takes names in any case, and merges repeated ones.
func plain(b []byte) bool {
	var names map[string]json.RawMessage
	if json.Unmarshal(b, &names) != nil {
		return false
	}
	for name := range names {
		if strings.EqualFold(name, "Records") && name != "Records" {
			return false
		}
	}
	return strings.Count(string(b), "Records\"") <= 1 && strings.Count(strings.ToLower(string(b)), "errorcode") ==
		strings.Count(string(b), "\"ErrorCode\"") && !strings.Contains(string(b), "\\") && !repeated(names["Records"])
}

// repeated tells whether an element has a name more than once.
func repeated(records json.RawMessage) bool {
	var elements []json.RawMessage
	if json.Unmarshal(records, &elements) != nil {
		return true
	}
	for _, e := range elements {
		if strings.Count(string(e), "\"ErrorCode\"") > 1 {
			return true
		}
	}
	return false
}

func FuzzParseGetRecords(f *testing.F) {
	f.Add([]byte(`{"NextShardIterator":"a","MillisBehindLatest":0,"Records":[{"Data":"aGk=","PartitionKey":"k","SequenceNumber":"1"}]}`))
	f.Add([]byte(`{"Records":[{"Data":"aGk","PartitionKey":"\u0041"}]}`))
	f.Add([]byte(`{"a":[[[{"b":"\\\""}]]],"Records":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var data []string
		got, _, err := parseGetRecords(b, nil, func(_, d []byte) { data = append(data, string(d)) })
		if err != nil {
			return
		}
		if got.records != len(data) {
			t.Fatalf("%d records, %d visited", got.records, len(data))
		}
		var want struct{ Records []struct{ Data []byte } }
		if strings.Count(string(b), "Data") != len(data) || strings.Count(string(b), "Records") != 1 || !json.Valid(b) ||
			strings.Contains(string(b), "\\") || json.Unmarshal(b, &want) != nil || len(want.Records) != len(data) {
			return
		}
		for i, r := range want.Records {
			if string(r.Data) != data[i] {
				t.Fatalf("record %d is %q, encoding/json says %q", i, data[i], r.Data)
			}
		}
	})
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte(`{"__type":"a#b","message":"c"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if parseError(500, b).Code == "" {
			t.Fatal("an error without a code")
		}
	})
}

func FuzzParseTarget(f *testing.F) {
	f.Add("native://127.0.0.1:4568")
	f.Add("kinesis+https://[::1]/path")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseTarget(s)
		if err != nil {
			if !errors.Is(err, ErrConfig) {
				t.Fatalf("error %v is of no kind", err)
			}
			return
		}
		again, err := ParseTarget(string(e.Scheme) + "://" + e.Addr + e.Path)
		if e.Scheme == SchemeNative {
			again, err = ParseTarget("native://" + e.Addr)
		}
		if err != nil || again.Addr != e.Addr {
			t.Fatalf("%q is %+v, which is %+v, %v", s, e, again, err)
		}
	})
}

func TestParseTarget(t *testing.T) {
	f := func(in string, want Endpoint) {
		t.Helper()
		if got, err := ParseTarget(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	f("native://127.0.0.1:4568", Endpoint{SchemeNative, "127.0.0.1:4568", "/"})
	f("kinesis+http://localhost:4566", Endpoint{SchemeHTTP, "localhost:4566", "/"})
	f("kinesis+http://h", Endpoint{SchemeHTTP, "h:80", "/"})
	f("kinesis+https://kinesis.eu-west-1.amazonaws.com/", Endpoint{SchemeHTTPS, "kinesis.eu-west-1.amazonaws.com:443", "/"})
	f("kinesis+http://[::1]:9/a/b", Endpoint{SchemeHTTP, "[::1]:9", "/a/b"})
}

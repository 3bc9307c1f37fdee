package kinesisapi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// bareAPI has no engine: for tests of reading and writing only.
func bareAPI(t testing.TB) *API {
	t.Helper()
	a, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range a.shapes {
		if err := s.Compile(); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// general reads a body on the generated path.
func (a *API) general(action string, body []byte) (awshttp.Value, error) {
	v, err := awshttp.JSON{}.Parse(body)
	if err != nil {
		return v, err
	}
	v, e := a.shapes[action].Convert(v)
	if e == nil {
		e = a.shapes[action].Check(v)
	}
	if e != nil {
		return v, e
	}
	return v, nil
}

func sameRecord(got *engine.Record, want PutRecordsRequestEntry) error {
	if string(got.Key) != want.PartitionKey || !bytes.Equal(got.Data, want.Data) || (got.Explicit != nil) != (want.ExplicitHashKey != "") {
		return fmt.Errorf("record %q %q %v, want %+v", got.Key, got.Data, got.Explicit, want)
	}
	if got.Explicit != nil {
		k, err := hashkey.Parse(want.ExplicitHashKey)
		if err != nil {
			return err
		}
		if k != *got.Explicit {
			return fmt.Errorf("hash key %v, want %v", got.Explicit, k)
		}
	}
	return nil
}

// compareScan checks that whatever the scanners accept, the generated path accepts with the same meaning. It tells
// whether either scanner accepted.
func compareScan(t *testing.T, a *API, body []byte) bool {
	t.Helper()
	before := bytes.Clone(body)
	b := a.takePut()
	b.grow(maxPutRecords)
	many, manyOK := a.scanPutRecords(body, b)
	if manyOK {
		v, err := a.general("PutRecords", body)
		if err != nil {
			t.Fatalf("%q is scanned but refused: %v", body, err)
		}
		in := decodePutRecordsInput(v)
		if many.name != in.StreamName || many.arn != in.StreamARN || len(in.Records) != len(b.recs) {
			t.Fatalf("%q: %+v %d records, want %+v", body, many, len(b.recs), in)
		}
		for i := range in.Records {
			if err := sameRecord(&b.recs[i], in.Records[i]); err != nil {
				t.Fatalf("%q record %d: %v", body, i, err)
			}
		}
	}
	a.givePut(b)
	b = a.takePut()
	b.grow(maxPutRecords)
	one, oneOK := a.scanPutRecord(body, b)
	if oneOK {
		v, err := a.general("PutRecord", body)
		if err != nil {
			t.Fatalf("%q is scanned but refused: %v", body, err)
		}
		in := decodePutRecordInput(v)
		if one.name != in.StreamName || one.arn != in.StreamARN || in.SequenceNumberForOrdering != "" {
			t.Fatalf("%q: %+v, want %+v", body, one, in)
		}
		err = sameRecord(&b.recs[0], PutRecordsRequestEntry{Data: in.Data, PartitionKey: in.PartitionKey, ExplicitHashKey: in.ExplicitHashKey})
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
	}
	a.givePut(b)
	if !bytes.Equal(body, before) {
		t.Fatalf("scanning changed %q to %q", before, body)
	}
	return manyOK || oneOK
}

const record = `"Data":"AQID","PartitionKey":"k"`

// scanned are bodies the scanners must take, declined ones they must leave to the general path.
var (
	scanned = []string{
		`{"StreamName":"s",` + record + `}`,
		` { "PartitionKey" : "k" , "Data" : "" , "StreamName" : "s" } `,
		`{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s",` + record + `}`,
		`{"StreamName":"s","ExplicitHashKey":"340282366920938463463374607431768211455",` + record + `}`,
		`{"StreamName":"s","ExplicitHashKey":"0",` + record + `}`,
		`{"StreamName":"s","Data":"\u0041Q\/w","PartitionKey":"a\"\\\u00e9\ud83d\ude00"}`,
		"{\"StreamName\":\"s\",\"Data\":\"AQI=\",\"PartitionKey\":\"\xc3\xa9\"}",
		`{"StreamName":"s","Records":[{` + record + `}]}`,
		`{"Records":[{` + record + `},{"PartitionKey":"l","ExplicitHashKey":"12","Data":"` + strings.Repeat("AQIDAQID", 10) + `"}],"StreamName":"s"}`,
	}
	declined = []string{
		``, `{`, `{}`, `[]`, `{"StreamName":"s"}`, `{"StreamName":"s","Records":[]}`, `{"StreamName":"s","Records":null}`,
		`{` + record + `}`, `{"StreamName":"s","Data":"AQID"}`, `{"StreamName":"s","PartitionKey":"k"}`,
		`{"StreamName":"s","StreamName":"t",` + record + `}`, `{"StreamName":"s",` + record + `,"Data":"AQID"}`,
		`{"StreamName":"s","PartitionKey":"",` + `"Data":""}`, `{"StreamName":"","Data":"","PartitionKey":"k"}`,
		`{"StreamName":"s!","Data":"","PartitionKey":"k"}`, `{"StreamName":"s","Data":"A","PartitionKey":"k"}`,
		`{"StreamName":"s","Data":"AR==","PartitionKey":"k"}`, "{\"StreamName\":\"s\",\"Data\":\"AQID\n\",\"PartitionKey\":\"k\"}",
		"{\"StreamName\":\"s\",\"Data\":\"AQID\",\"PartitionKey\":\"k\n\"}", "{\"StreamName\":\"s\",\"Data\":\"AQID\",\"PartitionKey\":\"\xff\"}",
		`{"StreamName":"s","SequenceNumberForOrdering":"1",` + record + `}`, `{"StreamName":"s","Unknown":1,` + record + `}`,
		`{"StreamName":"s","ExplicitHashKey":"340282366920938463463374607431768211456",` + record + `}`,
		`{"StreamName":"s","ExplicitHashKey":"00",` + record + `}`, `{"StreamName":"s","ExplicitHashKey":null,` + record + `}`,
		`{"StreamName":"s",` + record + `}x`, `{"StreamName":"s",` + record + `,}`, `{"StreamName":"s" ` + record + `}`,
		`{"StreamName":"s","Records":[{` + record + `}],"Records":[{` + record + `}]}`,
		`{"StreamName":"s","Records":[{` + record + `},]}`, `{"StreamName":"s","Records":[{` + record + `,"x":1}]}`,
		`{"StreamName":"s","Records":[{` + record + `}` + strings.Repeat(`,{`+record+`}`, 500) + `]}`,
		`{"StreamName":"s","Data":"AQID","PartitionKey":"` + strings.Repeat("k", 257) + `"}`,
		`{"StreamName":"s","Data":"` + strings.Repeat("AAAA", 349526) + `","PartitionKey":"k"}`,
	}
)

func TestScan(t *testing.T) {
	a := bareAPI(t)
	for _, s := range scanned {
		if !compareScan(t, a, []byte(s)) {
			t.Errorf("%s is declined", s)
		}
	}
	for _, s := range declined {
		if compareScan(t, a, []byte(s)) {
			t.Errorf("%.200s is taken", s)
		}
	}
	full := `{"StreamName":"s","Records":[{` + record + `}` + strings.Repeat(`,{`+record+`}`, 499) + `]}`
	if !compareScan(t, a, []byte(full)) {
		t.Error("500 records are declined")
	}
	for i := range full[:200] { // cut anywhere: declined, never a panic
		if compareScan(t, a, []byte(full[:i])) {
			t.Errorf("%s is taken", full[:i])
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range append(scanned, declined...) {
		if len(s) < 4096 {
			f.Add([]byte(s))
		}
	}
	a := bareAPI(f)
	f.Fuzz(func(t *testing.T, body []byte) { compareScan(t, a, body) })
}

// TestScanAllocations wants nothing per record: one for the stream's name.
func TestScanAllocations(t *testing.T) {
	a := bareAPI(t)
	body := putBody(500, 100)
	n := testing.AllocsPerRun(20, func() {
		b := a.takePut()
		b.grow(maxPutRecords)
		if _, ok := a.scanPutRecords(body, b); !ok {
			t.Fatal("declined")
		}
		a.givePut(b)
	})
	if n > 3 && !raceEnabled {
		t.Errorf("%v allocations for 500 records", n)
	}
}

func BenchmarkScan(b *testing.B) {
	a := bareAPI(b)
	for _, size := range []int{100, 1024} {
		body := putBody(500, size)
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				buf := a.takePut()
				buf.grow(maxPutRecords)
				if _, ok := a.scanPutRecords(body, buf); !ok {
					b.Fatal("declined")
				}
				a.givePut(buf)
			}
		})
	}
}

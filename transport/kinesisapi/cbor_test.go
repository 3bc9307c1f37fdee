package kinesisapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// callCBOR is call in CBOR, read by a foreign decoder.
func callCBOR(t testing.TB, h http.Handler, action string, body []byte) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-amz-cbor-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+action)
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Authorization", anyCredentials)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "application/x-amz-cbor-1.1" {
		t.Fatalf("%s: the reply is %s", action, got)
	}
	if w.Body.Len() == 0 {
		return w.Code, nil
	}
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := mode.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%s %x: %v in %x", action, body, err, w.Body.Bytes())
	}
	return w.Code, doc
}

// asCBOR is a document as a Java client writes it: maps and lists of indefinite length, blobs as byte strings, tagged
// times. What does not fit the shape is written as it is.
func asCBOR(s *awshttp.Shape, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		out := []byte{0xbf}
		for k, m := range v {
			inner := &awshttp.Shape{Type: awshttp.StringShape}
			if s.Elem != nil {
				inner = s.Elem
			}
			for i := range s.Members {
				if s.Members[i].Name == k {
					inner = s.Members[i].Shape
				}
			}
			out = append(awshttp.AppendCBORText(out, k), asCBOR(inner, m)...)
		}
		return append(out, 0xff)
	case []any:
		inner := s.Elem
		if inner == nil {
			inner = &awshttp.Shape{}
		}
		out := []byte{0x9f}
		for _, m := range v {
			out = append(out, asCBOR(inner, m)...)
		}
		return append(out, 0xff)
	case string:
		if b, err := base64.StdEncoding.DecodeString(v); err == nil && s.Type == awshttp.BlobShape {
			return awshttp.AppendCBORBytes(nil, b)
		}
		return awshttp.AppendCBORText(nil, v)
	case int:
		return asCBOR(s, int64(v))
	case int64:
		if s.Type == awshttp.TimestampShape {
			return awshttp.AppendCBORTime(nil, v*1000)
		}
		return awshttp.AppendCBORInt(nil, v)
	case bool:
		if v {
			return []byte{0xf5}
		}
		return []byte{0xf4}
	}
	return []byte{0xf6}
}

// cborBody is a PutRecords body as a Java client writes it.
func cborBody(n, size int) []byte {
	var records []any
	for i := range n {
		records = append(records, map[string]any{
			"PartitionKey": fmt.Sprintf("key-%d", i), "Data": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i)}, size)),
		})
	}
	return asCBOR(inputShapes()["PutRecords"], map[string]any{"StreamName": "bench", "Records": records})
}

// compareScanCBOR checks that whatever the CBOR scanners accept, the generated path accepts with the same meaning. It
// tells whether either accepted.
func compareScanCBOR(t *testing.T, a *API, codec awshttp.CBOR, body []byte) bool {
	t.Helper()
	before := bytes.Clone(body)
	general := func(action string) awshttp.Value {
		v, err := codec.Parse(body)
		if err != nil {
			t.Fatalf("%x is scanned but refused: %v", body, err)
		}
		v, e := a.shapes[action].Convert(v)
		if e == nil {
			e = a.shapes[action].Check(v)
		}
		if e != nil {
			t.Fatalf("%x is scanned but refused: %v", body, e)
		}
		return v
	}
	b := a.takePut()
	b.grow(maxPutRecords)
	many, manyOK := scanPutRecordsCBOR(body, b)
	if manyOK {
		in := decodePutRecordsInput(general("PutRecords"))
		if many.name != in.StreamName || many.arn != in.StreamARN || len(in.Records) != len(b.recs) {
			t.Fatalf("%x: %+v %d records, want %+v", body, many, len(b.recs), in)
		}
		for i := range in.Records {
			if err := sameRecord(&b.recs[i], in.Records[i]); err != nil {
				t.Fatalf("%x record %d: %v", body, i, err)
			}
		}
	}
	a.givePut(b)
	b = a.takePut()
	b.grow(maxPutRecords)
	one, oneOK := scanPutRecordCBOR(body, b)
	if oneOK {
		in := decodePutRecordInput(general("PutRecord"))
		if one.name != in.StreamName || one.arn != in.StreamARN || in.SequenceNumberForOrdering != "" {
			t.Fatalf("%x: %+v, want %+v", body, one, in)
		}
		err := sameRecord(&b.recs[0], PutRecordsRequestEntry{Data: in.Data, PartitionKey: in.PartitionKey, ExplicitHashKey: in.ExplicitHashKey})
		if err != nil {
			t.Fatalf("%x: %v", body, err)
		}
	}
	a.givePut(b)
	if !bytes.Equal(body, before) {
		t.Fatalf("scanning changed %x to %x", before, body)
	}
	return manyOK || oneOK
}

// CBOR of a record's members, and bodies that the scanners must take and must leave to the general path.
const (
	cName   = "\x6aStreamName\x61s"
	cData   = "\x64Data\x43\x01\x02\x03"
	cKey    = "\x6cPartitionKey\x61k"
	cHash   = "\x6fExplicitHashKey\x62\x31\x32"
	cRecord = cData + cKey
)

func scannedCBOR() []string {
	return []string{
		"\xbf" + cName + cRecord + "\xff", "\xa3" + cKey + cData + cName, "\xa4" + cKey + cHash + cData + cName,
		"\xb9\x00\x03" + cRecord + cName, "\xbb\x00\x00\x00\x00\x00\x00\x00\x03" + cRecord + cName,
		"\xa3" + cName + cData + "\x6cPartitionKey\x78\x02\xc3\xa9", "\xa3" + cName + "\x64Data\x40" + cKey,
		"\xbf" + cName + "\x67Records\x9f\xbf" + cRecord + "\xff\xff\xff", "\xa2\x67Records\x82\xa2" + cRecord + "\xa3" + cRecord + cHash + cName,
		"\xa3\x69StreamARN\x78\x33arn:aws:kinesis:us-east-1:000000000000:stream/abcde" + cRecord,
	}
}

func declinedCBOR() []string {
	return []string{
		"", "\xbf", "\xa0", "\x80", "\xff", "\xbf\xff", "\xa1" + cName, "\xa2" + cName + "\x67Records\x80", "\xa2" + cName + "\x67Records\xf6",
		"\xa2" + cRecord, "\xa2" + cName + cData, "\xa2" + cName + cKey, "\xa4" + cName + cName + cRecord, "\xa4" + cName + cRecord + cData,
		"\xa4" + cName + cRecord + cKey, "\xa3" + cName + "\x64Data\x64AQID" + cKey, "\xa3" + cName + cData + "\x6cPartitionKey\x60",
		"\xa3" + cName + cData + "\x6cPartitionKey\x61\xff", "\xa3" + cName + cData + "\x6cPartitionKey\x41k",
		"\xa3" + cName + "\x64Data\x5f\x41\x01\xff" + cKey, "\xa3" + cName + cData + "\x6cPartitionKey\x7f\x61k\xff",
		"\xa4" + cName + cRecord + "\x67Unknown\x01", "\xa4" + cName + cRecord + "\x6fExplicitHashKey\x6200",
		"\xa3" + cName + cRecord + "\x00", "\xa4" + cName + cRecord, "\xa2" + cName + cRecord, "\xbf" + cName + cRecord,
		"\xa2" + cName + "\x67Records\x81\xa3" + cRecord + "\x61x\x01", "\xa2" + cName + "\x67Records\x9b\xff\xff\xff\xff\xff\xff\xff\xff\xa2" + cRecord,
		"\xa3" + cName + "\x64Data\x5b\xff\xff\xff\xff\xff\xff\xff\xff" + cKey, "\xa3" + cName + "\x64Data\x5a\x00\x10\x00\x01" + strings.Repeat("x", 1<<20+1) + cKey,
		"\xa3" + cName + cData + "\x6cPartitionKey\x79\x01\x01" + strings.Repeat("k", 257),
		"\xa2" + cName + "\x67Records\x9f" + strings.Repeat("\xa2"+cRecord, 501) + "\xff",
	}
}

func TestScanCBOR(t *testing.T) {
	a := bareAPI(t)
	codec, err := awshttp.NewCBOR()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scannedCBOR() {
		if !compareScanCBOR(t, a, codec, []byte(s)) {
			t.Errorf("%q is declined", s)
		}
		for i := range s { // cut anywhere: declined, never a panic
			if compareScanCBOR(t, a, codec, []byte(s[:i])) {
				t.Errorf("%q is taken", s[:i])
			}
		}
	}
	for _, s := range declinedCBOR() {
		if compareScanCBOR(t, a, codec, []byte(s)) {
			t.Errorf("%.200q is taken", s)
		}
	}
	if !compareScanCBOR(t, a, codec, cborBody(500, 100)) {
		t.Error("500 records are declined")
	}
}

func FuzzScanCBOR(f *testing.F) {
	for _, s := range append(scannedCBOR(), declinedCBOR()...) {
		if len(s) < 4096 {
			f.Add([]byte(s))
		}
	}
	a := bareAPI(f)
	codec, err := awshttp.NewCBOR()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) { compareScanCBOR(t, a, codec, body) })
}

// sameCBOR compares a written reply with a document, as the codec reads both.
func sameCBOR(t *testing.T, got []byte, want awshttp.Value) {
	t.Helper()
	codec, err := awshttp.NewCBOR()
	if err != nil {
		t.Fatal(err)
	}
	v, err := codec.Parse(got)
	if err != nil {
		t.Fatalf("%x: %v", got, err)
	}
	sameJSON(t, awshttp.JSON{}.Append(nil, v), want)
}

func TestWritersCBOR(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	seq := func(n uint64) engine.Sequence {
		return engine.Sequence{ShardCreated: 1_700_000_000, Shard: 7, Position: n, Seconds: 1_700_000_001}
	}
	for _, p := range []*engine.Page{
		{Next: "next", MillisBehind: 1200},
		{Next: "n", Records: []engine.ReadRecord{
			{Sequence: seq(1), Key: []byte("a\u00e9\u2028\n"), Data: []byte{0, 1, 2, 255}, Arrival: at, Encrypted: true},
			{Sequence: seq(2), Data: make([]byte, 300), Arrival: at}, {Sequence: seq(3), Key: []byte("bad\xff"), Arrival: at},
		}},
		{Children: []engine.ShardInfo{
			{Index: 3, Range: hashkey.Full(), Parent: 1, AdjacentParent: 2}, {Index: 4, Range: hashkey.Full(), Parent: 1, AdjacentParent: -1},
		}},
	} {
		out := pageOutput(p)
		sameCBOR(t, appendPageCBOR(nil, p), out.value())
		sameJSON(t, bareAPI(t).appendPage(nil, p), out.value())
	}
	appended := []engine.Appended{
		{Shard: 7, Sequence: seq(9)}, {Err: &engine.Error{Code: engine.CodeThrottled, Message: "Rate \"exceeded\""}},
		{Shard: 123_456_789, Sequence: seq(10)},
	}
	failed := int64(1)
	for _, encryption := range []string{"", kms} {
		want := PutRecordsOutput{FailedRecordCount: &failed, EncryptionType: encryption, Records: []PutRecordsResultEntry{
			{ShardId: "shardId-000000000007", SequenceNumber: seq(9).String()},
			{ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: `Rate "exceeded"`},
			{ShardId: "shardId-000123456789", SequenceNumber: seq(10).String()},
		}}
		sameCBOR(t, appendPutsCBOR(nil, appended, encryption), want.value())
		one := PutRecordOutput{ShardId: "shardId-000000000007", SequenceNumber: seq(9).String(), EncryptionType: encryption}
		sameCBOR(t, appendPutCBOR(nil, &appended[0], encryption), one.value())
	}
}

// TestPutEntriesCBOR compares entries made from the one before with entries made from scratch.
func TestPutEntriesCBOR(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	next := map[uint32]engine.Sequence{}
	for range 50 {
		appended, shards := make([]engine.Appended, 1+rnd.IntN(300)), 1+rnd.Uint32N(40)
		want := PutRecordsOutput{FailedRecordCount: new(int64)}
		page := &engine.Page{Next: "n"}
		for i := range appended {
			shard := rnd.Uint32N(shards)
			s := next[shard]
			if s.Shard = shard; rnd.IntN(20) == 0 {
				s.Seconds++
				s.Position += rnd.Uint64N(1 << 50)
			}
			appended[i].Shard, appended[i].Sequence = shard, s
			want.Records = append(want.Records, PutRecordsResultEntry{ShardId: shardID(shard), SequenceNumber: s.String()})
			page.Records = append(page.Records, engine.ReadRecord{Sequence: s, Key: []byte("k"), Arrival: time.UnixMilli(int64(i))})
			s.Position++
			next[shard] = s
		}
		sameCBOR(t, appendPutsCBOR(nil, appended, ""), want.value())
		out := pageOutput(page)
		sameCBOR(t, appendPageCBOR(nil, page), out.value())
	}
}

// TestCBORAllocations wants nothing per record of scanning and writing.
func TestCBORAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	a, body := bareAPI(t), cborBody(500, 100)
	if n := testing.AllocsPerRun(20, func() {
		b := a.takePut()
		b.grow(maxPutRecords)
		if _, ok := scanPutRecordsCBOR(body, b); !ok {
			t.Fatal("declined")
		}
		a.givePut(b)
	}); n > 3 {
		t.Errorf("%v allocations to read 500 records", n)
	}
	p := &engine.Page{Next: "next", Records: make([]engine.ReadRecord, 100)}
	for i := range p.Records {
		p.Records[i] = engine.ReadRecord{Key: []byte("k\u00e9y"), Data: make([]byte, 100), Arrival: time.Now()}
	}
	out, buf := make([]engine.Appended, 100), make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(20, func() {
		appendPageCBOR(buf, p)
		appendPutsCBOR(buf, out, "")
	}); n != 0 {
		t.Errorf("%v allocations to write", n)
	}
}

// TestWalkCBOR puts and reads over CBOR, on the direct paths and the general one.
func TestWalkCBOR(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	shapes := inputShapes()
	do := func(action string, doc map[string]any) map[string]any {
		t.Helper()
		code, out := callCBOR(t, s, action, asCBOR(shapes[action], doc))
		if code != http.StatusOK {
			t.Fatalf("%s %v: %d %v", action, doc, code, out)
		}
		return out
	}
	if out := do("CreateStream", map[string]any{"StreamName": "s", "ShardCount": 1}); out != nil {
		t.Errorf("an empty result has the body %v", out)
	}
	before := time.Now().Add(-time.Second).Unix()
	data := base64.StdEncoding.EncodeToString([]byte{0, 1, 254, 255})
	do("PutRecord", map[string]any{"StreamName": "s", "PartitionKey": "k", "Data": data})
	do("PutRecord", map[string]any{"StreamName": "s", "PartitionKey": "k", "Data": data, "SequenceNumberForOrdering": "1", "Unknown": nil})
	out := do("PutRecords", map[string]any{"StreamName": "s", "Records": []any{map[string]any{"PartitionKey": "k", "Data": data}}})
	if records, _ := out["Records"].([]any); len(records) != 1 || out["FailedRecordCount"] != uint64(0) {
		t.Errorf("%v", out)
	}
	it := do("GetShardIterator", map[string]any{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": before})
	out = do("GetRecords", map[string]any{"ShardIterator": it["ShardIterator"]})
	records, _ := out["Records"].([]any)
	if len(records) != 3 {
		t.Fatalf("%v", out)
	}
	for _, r := range records {
		r, _ := r.(map[string]any)
		got, _ := r["Data"].([]byte)
		at, _ := r["ApproximateArrivalTimestamp"].(time.Time) // by RFC 8949, which takes the milliseconds for seconds
		if millis := at.Unix(); !bytes.Equal(got, []byte{0, 1, 254, 255}) || r["PartitionKey"] != "k" || millis < before*1000 || millis > time.Now().UnixMilli() {
			t.Errorf("%v", r)
		}
	}
	d := do("DescribeStream", map[string]any{"StreamName": "s"})
	description, _ := d["StreamDescription"].(map[string]any)
	if created, _ := description["StreamCreationTimestamp"].(time.Time); created.Unix() < before*1000 {
		t.Errorf("created %v", description)
	}
}

func BenchmarkScanCBOR(b *testing.B) {
	a := bareAPI(b)
	for _, size := range []int{100, 1024} {
		body := cborBody(500, size)
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				buf := a.takePut()
				buf.grow(maxPutRecords)
				if _, ok := scanPutRecordsCBOR(body, buf); !ok {
					b.Fatal("declined")
				}
				a.givePut(buf)
			}
		})
	}
}

package kinesisapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

func someEvent(records, size int, end bool) *engine.Event {
	ev := &engine.Event{MillisBehind: 17, Continuation: engine.Sequence{ShardCreated: 1_700_000_000, Shard: 3, Position: 99, Seconds: 1_700_000_009}}
	for i := range records {
		ev.Records = append(ev.Records, engine.ReadRecord{
			Sequence: engine.Sequence{ShardCreated: 1_700_000_000, Shard: 3, Position: uint64(i), Seconds: 1_700_000_009},
			Key:      fmt.Appendf(nil, "ключ-%d\"", i), Data: bytes.Repeat([]byte{byte(i)}, size), Arrival: time.UnixMilli(1_700_000_009_123),
			Encrypted: i == 1,
		})
	}
	if end {
		a, b := hashkey.Full().Split(hashkey.Full().Mid())
		ev.End = true
		ev.Children = []engine.ShardInfo{{Index: 4, Range: a, Parent: 3, AdjacentParent: -1}, {Index: 5, Range: b, Parent: 3, AdjacentParent: 2}}
	}
	return ev
}

// eventOutput is an event by way of the generated types. They have the continuation number even where it is not there.
func eventOutput(ev *engine.Event) awshttp.Value {
	page := pageOutput(&engine.Page{Records: ev.Records, MillisBehind: ev.MillisBehind, Children: ev.Children})
	v := page.value()
	if !ev.End {
		v.Put("ContinuationSequenceNumber", awshttp.StringValue(ev.Continuation.String()))
	}
	return v
}

// TestEventWriters: the writers say what the generated types say, in both wire forms.
func TestEventWriters(t *testing.T) {
	a := &API{base64: strictBase64()}
	for _, ev := range []*engine.Event{someEvent(0, 0, false), someEvent(3, 100, false), someEvent(1, 0, true), someEvent(0, 0, true)} {
		var got, want any
		text := a.appendEvent(nil, ev)
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(awshttp.JSON{}.Append(nil, eventOutput(ev)), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %s\nwant %v", text, want)
		}
		codec, err := awshttp.NewCBOR()
		if err != nil {
			t.Fatal(err)
		}
		binary, err := codec.Parse(appendEventCBOR(nil, ev))
		if err != nil {
			t.Fatal(err)
		}
		wanted, err := codec.Parse(codec.Append(nil, eventOutput(ev)))
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range wanted.Keys {
			if m := binary.Get(k); !reflect.DeepEqual(m, wanted.List[i]) || len(binary.Keys) != len(wanted.Keys) {
				t.Errorf("%s: got %v, want %v", k, m, wanted.List[i])
			}
		}
	}
}

func TestEventAllocations(t *testing.T) {
	a := &API{base64: strictBase64()}
	ev := someEvent(500, 100, false)
	text, binary := make([]byte, 0, 1<<20), make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(20, func() { text = a.appendEvent(text[:0], ev) }); n > 0 {
		t.Errorf("%v allocations for an event of 500 records", n)
	}
	if n := testing.AllocsPerRun(20, func() { binary = appendEventCBOR(binary[:0], ev) }); n > 0 {
		t.Errorf("%v allocations for an event of 500 records in CBOR", n)
	}
}

// TestLargestEvent: the largest record there can be fits an event, by base64 too.
func TestLargestEvent(t *testing.T) {
	a := &API{base64: strictBase64()}
	if n := len(a.appendEvent(nil, someEvent(1, engine.MaxRecordBytes, true))); n > awshttp.MaxEventPayload {
		t.Fatalf("%d bytes", n)
	}
}

// TestSubscribeCBOR: a request in CBOR gets its events in CBOR.
func TestSubscribeCBOR(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	must(t, s, "PutRecord", `{"StreamName":"s","Data":"AAEC","PartitionKey":"k"}`)
	made := must(t, s, "RegisterStreamConsumer", `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","ConsumerName":"c"}`)
	must(t, s, "SplitShard", `{"StreamName":"s","ShardToSplit":"0","NewStartingHashKey":"100"}`) // the shard's end is the reply's
	codec, err := awshttp.NewCBOR()
	if err != nil {
		t.Fatal(err)
	}
	var in, start awshttp.Value
	start.Put("Type", awshttp.StringValue("TRIM_HORIZON"))
	in.Put("ConsumerARN", awshttp.StringValue(made["Consumer"].(map[string]any)["ConsumerARN"].(string)))
	in.Put("ShardId", awshttp.StringValue("shardId-000000000000"))
	in.Put("StartingPosition", start)
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(codec.Append(nil, in)))
	r.Header.Set("Content-Type", codec.ContentType())
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.SubscribeToShard")
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Authorization", anyCredentials)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	d := eventstream.NewDecoder()
	var names []string
	for {
		m, err := d.Decode(w.Body, nil)
		if err == io.EOF { //nolint:errorlint // io.Reader says so
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, m.Headers.Get(":event-type").String())
		v, err := codec.Parse(m.Payload)
		if err != nil || m.Headers.Get(":content-type").String() != codec.ContentType() {
			t.Fatal(err, m.Headers)
		}
		if len(names) == 1 {
			continue
		}
		records := v.Get("Records")
		if data := records.List[0].Get("Data"); len(records.List) != 1 || data.Kind != awshttp.Bytes || data.Str != "\x00\x01\x02" {
			t.Errorf("records %v", records)
		}
		if children := v.Get("ChildShards"); len(children.List) != 2 || v.Get("ContinuationSequenceNumber").Kind != awshttp.Null {
			t.Errorf("end %v", v)
		}
	}
	if strings.Join(names, " ") != "initial-response SubscribeToShardEvent" {
		t.Fatal(names)
	}
}

func BenchmarkEventWriter(b *testing.B) {
	a := &API{base64: strictBase64()}
	for _, c := range []struct{ n, size int }{{1, 256}, {500, 1024}} {
		ev := someEvent(c.n, c.size, false)
		b.Run(fmt.Sprintf("json/records=%d", c.n), func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(c.n * c.size))
			b.ReportAllocs()
			for b.Loop() {
				dst = a.appendEvent(dst[:0], ev)
			}
		})
		b.Run(fmt.Sprintf("cbor/records=%d", c.n), func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(c.n * c.size))
			b.ReportAllocs()
			for b.Loop() {
				dst = appendEventCBOR(dst[:0], ev)
			}
		})
	}
}

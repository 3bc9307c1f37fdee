package kinesisapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// fan is a stream with one consumer, and clients.
type fan struct {
	t      *testing.T
	c      *kinesis.Client
	client func() *kinesis.Client // makes another: streams of one client race for its decoder
	stream *string
	arn    *string
	made   *types.Consumer
}

func fanDo[T any](f *fan) func(v T, err error) T {
	return func(v T, err error) T {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
		return v
	}
}

// newFan makes a stream and a consumer "c".
func newFan(t *testing.T, client func() *kinesis.Client, stream string, shards int32) *fan {
	t.Helper()
	c := client()
	f := &fan{t: t, c: c, client: client, stream: &stream}
	fanDo[*kinesis.CreateStreamOutput](f)(c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: &shards}))
	d := fanDo[*kinesis.DescribeStreamSummaryOutput](f)(c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &stream}))
	f.arn = d.StreamDescriptionSummary.StreamARN
	f.made = f.register("c")
	return f
}

func (f *fan) register(name string) *types.Consumer {
	f.t.Helper()
	out := fanDo[*kinesis.RegisterStreamConsumerOutput](f)(f.c.RegisterStreamConsumer(f.t.Context(), &kinesis.RegisterStreamConsumerInput{
		StreamARN: f.arn, ConsumerName: &name,
	}))
	return out.Consumer
}

func (f *fan) put(data string, hash string) {
	f.t.Helper()
	fanDo[*kinesis.PutRecordOutput](f)(f.c.PutRecord(f.t.Context(), &kinesis.PutRecordInput{
		StreamARN: f.arn, PartitionKey: aws.String("k"), Data: []byte(data), ExplicitHashKey: &hash,
	}))
}

// subscribe subscribes the consumer to a shard and closes the subscription with the test.
func (f *fan) subscribe(consumer *string, shard string, p types.StartingPosition) *kinesis.SubscribeToShardEventStream {
	f.t.Helper()
	out := fanDo[*kinesis.SubscribeToShardOutput](f)(f.client().SubscribeToShard(f.t.Context(), &kinesis.SubscribeToShardInput{
		ConsumerARN: consumer, ShardId: &shard, StartingPosition: &p,
	}))
	s := out.GetStream()
	f.t.Cleanup(func() { _ = s.Close() })
	return s
}

// steady is a transport whose requests have bodies of their own. The SDK closes a request's body as soon as the reply
// begins; the transport, which may still be asking whether there is more of it, then takes the connection for broken and
// closes it under an event stream that has just begun.
type steady struct{ *http.Transport }

func (s steady) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return s.Transport.RoundTrip(r)
}

// fanClient makes clients like sdkClient over a steady transport.
func fanClient(url string, tr *http.Transport) func() *kinesis.Client {
	return func() *kinesis.Client {
		o := sdkClient(url, tr).Options()
		o.HTTPClient = &http.Client{Transport: steady{tr}}
		return kinesis.New(o)
	}
}

func latest() types.StartingPosition {
	return types.StartingPosition{Type: types.ShardIteratorTypeLatest}
}

// event waits for the next event; nil is the end of the stream.
func (f *fan) event(s *kinesis.SubscribeToShardEventStream) *types.SubscribeToShardEvent {
	f.t.Helper()
	select {
	case e, ok := <-s.Events():
		if !ok {
			return nil
		}
		return &e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
	case <-time.After(20 * time.Second):
		f.t.Fatal("no event in 20 s")
		return nil
	}
}

// records waits for n records or the end, and returns their data.
func (f *fan) records(s *kinesis.SubscribeToShardEventStream, n int) (data []string, last *types.SubscribeToShardEvent) {
	f.t.Helper()
	for len(data) < n {
		e := f.event(s)
		if e == nil {
			f.t.Fatalf("the stream ends after %d of %d records: %v", len(data), n, s.Err())
		}
		for i := range e.Records {
			data = append(data, string(e.Records[i].Data))
		}
		last = e
	}
	return data, last
}

// clients calls f with a client for each way to reach the server.
func clients(t *testing.T, s *awshttp.Server, f func(t *testing.T, name string, client func() *kinesis.Client)) {
	t.Helper()
	plain := listen(t, s.Serve, s.Shutdown)
	secure := listen(t, func(l net.Listener) error { return serveTLS(t, s, l) }, s.Shutdown)
	protocols := func(set func(*http.Protocols)) *http.Protocols { p := new(http.Protocols); set(p); return p }
	insecure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the certificate is made by this test
	for _, c := range []struct {
		name, url string
		tr        *http.Transport
	}{
		{"http1", "http://" + plain, &http.Transport{}},
		{"https1", "https://" + secure, &http.Transport{TLSClientConfig: insecure.Clone()}},
		{"h2c", "http://" + plain, &http.Transport{Protocols: protocols(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })}},
		{"h2", "https://" + secure, &http.Transport{TLSClientConfig: insecure.Clone(), Protocols: protocols(func(p *http.Protocols) { p.SetHTTP2(true) })}},
		{"h2-no-alpn", "http://" + secure, noALPN(secure)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(c.tr.CloseIdleConnections)
			f(t, c.name, fanClient(c.url, c.tr))
		})
	}
}

// noALPN speaks HTTP/2 over TLS without ever having asked for it, as the AWS SDK for Java does.
func noALPN(address string) *http.Transport {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: p, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the certificate is made by this test
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return struct{ net.Conn }{c}, nil
	}}
}

// TestSubscribeToShard: records put later arrive, on every protocol; a split mid-subscription is told by the rule that
// the KCL checks; and a number goes on where it stood.
func TestSubscribeToShard(t *testing.T) {
	s, _ := newServer(t, engine.Options{FS: vfs.NewMem(0), Dir: "data"}, awshttp.Options{Authenticator: keys{"key": "secret"}})
	clients(t, s, func(t *testing.T, name string, client func() *kinesis.Client) {
		c := client()
		f := newFan(t, client, "fan-"+name, 1)
		f.put("before", "0")
		sub := f.subscribe(f.made.ConsumerARN, "shardId-000000000000", latest())
		first := f.event(sub)
		if len(first.Records) != 0 || first.ContinuationSequenceNumber == nil || *first.MillisBehindLatest != 0 {
			t.Fatalf("first event %+v", first)
		}
		f.put("one", "0")
		f.put("two", "0")
		got, last := f.records(sub, 2)
		if strings.Join(got, " ") != "one two" || last.ContinuationSequenceNumber == nil || last.ChildShards != nil {
			t.Fatalf("%q, last %+v", got, last)
		}
		r := last.Records[len(last.Records)-1]
		if *r.PartitionKey != "k" || time.Since(*r.ApproximateArrivalTimestamp) > time.Minute || *r.SequenceNumber != *last.ContinuationSequenceNumber {
			t.Fatalf("%+v", r)
		}
		fanDo[*kinesis.SplitShardOutput](f)(c.SplitShard(t.Context(), &kinesis.SplitShardInput{
			StreamName: f.stream, ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("100"),
		}))
		end := f.event(sub)
		for end != nil && end.ContinuationSequenceNumber != nil {
			end = f.event(sub)
		}
		if end == nil || len(end.ChildShards) != 2 {
			t.Fatalf("end %+v", end)
		}
		for i, ch := range end.ChildShards {
			if *ch.ShardId != fmt.Sprintf("shardId-%012d", i+1) || !slices.Equal(ch.ParentShards, []string{"shardId-000000000000"}) || *ch.HashKeyRange.EndingHashKey == "" {
				t.Errorf("child %+v", ch)
			}
		}
		if e := f.event(sub); e != nil || sub.Err() != nil {
			t.Fatalf("after the end: %+v %v", e, sub.Err())
		}
		_ = sub.Close()
		again := f.subscribe(f.made.ConsumerARN, "shardId-000000000000", types.StartingPosition{
			Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: first.ContinuationSequenceNumber,
		})
		got, last = f.records(again, 2)
		if strings.Join(got, " ") != "one two" || last.ContinuationSequenceNumber != nil || len(last.ChildShards) != 2 {
			t.Fatalf("from the first event on: %q, last %+v", got, last)
		}
		f.put("child", "0")
		child := f.subscribe(f.made.ConsumerARN, "shardId-000000000001", types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
		if got, _ = f.records(child, 1); got[0] != "child" {
			t.Fatal(got)
		}
		fanDo[*kinesis.DeregisterStreamConsumerOutput](f)(c.DeregisterStreamConsumer(t.Context(), &kinesis.DeregisterStreamConsumerInput{ConsumerARN: f.made.ConsumerARN}))
		for f.event(child) != nil {
			continue
		}
		var missing *types.ResourceNotFoundException
		if err := child.Err(); !errors.As(err, &missing) || missing.ErrorMessage() != "Consumer c, account 000000000000 not found." {
			t.Fatalf("a subscription of a deregistered consumer ends with %v", err)
		}
	})
}

// TestSubscribeTwice: a second subscription within five seconds is refused, a later one ends the first with the same
// words.
func TestSubscribeTwice(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	client := fanClient("http://"+listen(t, s.Serve, s.Shutdown), &http.Transport{})
	c := client()
	f := newFan(t, client, "s", 1)
	begun := time.Now()
	sub := f.subscribe(f.made.ConsumerARN, "shardId-000000000000", latest())
	f.event(sub)
	in := &kinesis.SubscribeToShardInput{
		ConsumerARN: f.made.ConsumerARN, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
	}
	const message = "Another active subscription exists for this consumer: 000000000000:s:shardId-000000000000:c"
	isInUse := func(err error) {
		t.Helper()
		var inUse *types.ResourceInUseException
		if !errors.As(err, &inUse) || inUse.ErrorMessage() != message {
			t.Fatalf("%v", err)
		}
	}
	_, err := c.SubscribeToShard(t.Context(), in)
	if time.Since(begun) > 4*time.Second {
		t.Skip("this machine is too slow for five seconds to be a bound")
	}
	isInUse(err)
	time.Sleep(time.Until(begun.Add(5200 * time.Millisecond)))
	second := f.subscribe(f.made.ConsumerARN, "shardId-000000000000", latest())
	f.event(second)
	for f.event(sub) != nil {
		continue
	}
	isInUse(sub.Err())
	f.put("for the second", "0")
	if got, _ := f.records(second, 1); got[0] != "for the second" {
		t.Fatal(got)
	}
}

// TestTwentyConsumers: twenty consumers of one shard all get all records in order, and one more that never reads holds
// nobody up, nor the server's end.
func TestTwentyConsumers(t *testing.T) {
	const records, size = 300, 4 << 10
	s, e := newServer(t, engine.Options{}, awshttp.Options{})
	tr := &http.Transport{}
	client := fanClient("http://"+listen(t, s.Serve, s.Shutdown), tr)
	c := client()
	f := newFan(t, client, "s", 1)
	slow := f.subscribe(f.made.ConsumerARN, "shardId-000000000000", latest()) // nobody reads its events
	subs := make([]*kinesis.SubscribeToShardEventStream, 19)
	for i := range subs {
		subs[i] = f.subscribe(f.register(fmt.Sprintf("c%d", i)).ConsumerARN, "shardId-000000000000", latest())
		f.event(subs[i])
	}
	var limit *types.LimitExceededException
	if _, err := c.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: f.arn, ConsumerName: aws.String("one-more")}); !errors.As(err, &limit) {
		t.Fatalf("a consumer too many: %v", err)
	}
	var wg sync.WaitGroup
	for i, sub := range subs {
		wg.Go(func() {
			next := 0
			for e := range sub.Events() {
				for _, r := range e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records {
					if want := fmt.Sprintf("%d ", next); !strings.HasPrefix(string(r.Data), want) || len(r.Data) != size {
						t.Errorf("consumer %d gets %.10q instead of %q", i, r.Data, want)
						return
					}
					next++
				}
				if next == records {
					return
				}
			}
			t.Errorf("consumer %d: %d records, then %v", i, next, sub.Err())
		})
	}
	st, err := e.Stream(engine.Name{Region: "eu-central-1", Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		data := make([]byte, size)
		copy(data, fmt.Sprintf("%d ", i))
		out := make([]engine.Appended, 1)
		if err := st.Append(t.Context(), []engine.Record{{Key: []byte("k"), Data: data}}, engine.LevelOS, out); err != nil || out[0].Err != nil {
			t.Fatal(err, out[0].Err)
		}
	}
	wg.Wait()
	_ = slow
}

// TestConsumerActions: the four actions on consumers, tags, paging, and what deleting a stream says.
func TestConsumerActions(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	const stream = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	made := must(t, s, "RegisterStreamConsumer", `{"StreamARN":"`+stream+`","ConsumerName":"b","Tags":{"team":"x"}}`)["Consumer"].(map[string]any)
	consumer := made["ConsumerARN"].(string)
	if !strings.HasPrefix(consumer, stream+"/consumer/b:") || made["ConsumerStatus"] != "CREATING" || made["ConsumerName"] != "b" || made["ConsumerCreationTimestamp"] == nil {
		t.Fatal(made)
	}
	for _, by := range []string{`{"ConsumerARN":"` + consumer + `"}`, `{"StreamARN":"` + stream + `","ConsumerName":"b"}`} {
		d := must(t, s, "DescribeStreamConsumer", by)["ConsumerDescription"].(map[string]any)
		if d["ConsumerARN"] != consumer || d["StreamARN"] != stream || d["ConsumerStatus"] != "ACTIVE" {
			t.Fatal(d)
		}
	}
	for _, n := range []string{"a", "c"} {
		must(t, s, "RegisterStreamConsumer", `{"StreamARN":"`+stream+`","ConsumerName":"`+n+`"}`)
	}
	names, token := "", ""
	for range 3 {
		page := must(t, s, "ListStreamConsumers", `{"StreamARN":"`+stream+`","MaxResults":1`+token+`}`)
		names += page["Consumers"].([]any)[0].(map[string]any)["ConsumerName"].(string)
		next, _ := page["NextToken"].(string)
		if token = `,"NextToken":"` + next + `"`; next == "" {
			break
		}
	}
	if names != "abc" || token != `,"NextToken":""` {
		t.Fatal(names, token)
	}
	if n := must(t, s, "DescribeStreamSummary", `{"StreamName":"s"}`)["StreamDescriptionSummary"].(map[string]any)["ConsumerCount"]; n != 3.0 {
		t.Fatal(n)
	}
	must(t, s, "TagResource", `{"ResourceARN":"`+consumer+`","Tags":{"k":"v"}}`)
	must(t, s, "UntagResource", `{"ResourceARN":"`+consumer+`","TagKeys":["team"]}`)
	if tags := fmt.Sprint(must(t, s, "ListTagsForResource", `{"ResourceARN":"`+consumer+`"}`)["Tags"]); tags != "[map[Key:k Value:v]]" {
		t.Fatal(tags)
	}
	f := func(action, in, typ, message string) {
		t.Helper()
		code, doc := call(t, s, action, in)
		if code != http.StatusBadRequest || doc["__type"] != typ || message != "" && doc["message"] != message {
			t.Errorf("%s %s: %d %v", action, in, code, doc)
		}
	}
	const missing = "Consumer b, account 000000000000 not found."
	older := stream + "/consumer/b:1"
	start := `"ShardId":"shardId-000000000000","StartingPosition":{"Type":"LATEST"}}`
	f("DeleteStream", `{"StreamName":"s"}`, "ResourceInUseException", "DeleteStream can't delete 000000000000:s because there are consumers associated with this data stream. "+
		"To delete s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it.")
	f("RegisterStreamConsumer", `{"StreamARN":"`+stream+`","ConsumerName":"b"}`, "ResourceInUseException", "Consumer b under stream s already exists for account 000000000000.")
	f("RegisterStreamConsumer", `{"StreamARN":"`+stream+`x","ConsumerName":"b"}`, "ResourceNotFoundException", "Stream sx under account 000000000000 not found.")
	f("RegisterStreamConsumer", `{"StreamARN":"`+stream+`","ConsumerName":"?"}`, "ValidationException", "1 validation error detected: Value '?' at 'consumerName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	f("DescribeStreamConsumer", `{"ConsumerARN":"`+older+`"}`, "ResourceNotFoundException", missing)
	f("DescribeStreamConsumer", `{"ConsumerName":"b"}`, "InvalidArgumentException", "")
	f("DescribeStreamConsumer", `{"ConsumerARN":"`+consumer+`","ConsumerName":"c"}`, "InvalidArgumentException", "")
	f("DeregisterStreamConsumer", `{"ConsumerARN":"`+older+`"}`, "ResourceNotFoundException", missing)
	f("ListStreamConsumers", `{"StreamARN":"`+stream+`","NextToken":"forged"}`, "InvalidArgumentException", "")
	f("ListStreamConsumers", `{"StreamARN":"`+stream+`","StreamCreationTimestamp":5}`, "ResourceNotFoundException", "Stream s under account 000000000000 not found.")
	f("SubscribeToShard", `{"ConsumerARN":"`+older+`",`+start, "ResourceNotFoundException", missing)
	f("SubscribeToShard", `{"ConsumerARN":"`+consumer+`","ShardId":"shardId-000000000007","StartingPosition":{"Type":"LATEST"}}`, "ResourceNotFoundException",
		"Shard shardId-000000000007 in stream s under account 000000000000 does not exist")
	f("SubscribeToShard", `{"ConsumerARN":"`+consumer+`","ShardId":"shardId-0","StartingPosition":{"Type":"AT_SEQUENCE_NUMBER"}}`, "InvalidArgumentException", "")
	f("SubscribeToShard", `{"ConsumerARN":"`+consumer+`","ShardId":"shardId-0"}`, "ValidationException",
		"1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null")
	must(t, s, "DeregisterStreamConsumer", `{"StreamARN":"`+stream+`","ConsumerName":"b"}`)
	f("TagResource", `{"ResourceARN":"`+consumer+`","Tags":{"k":"v"}}`, "ResourceNotFoundException", missing)
	must(t, s, "DeleteStream", `{"StreamName":"s","EnforceConsumerDeletion":true}`)
}

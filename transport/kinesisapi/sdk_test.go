package kinesisapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// sdkClient is the AWS SDK pointed at a server, with credentials it knows.
func sdkClient(url string, tr *http.Transport) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(url), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), HTTPClient: &http.Client{Transport: steady{tr}},
	})
}

// TestSDK walks the life of a stream with the AWS SDK for Go over each protocol, signatures verified.
func TestSDK(t *testing.T) {
	s, _ := newServer(t, engine.Options{FS: vfs.NewMem(0), Dir: "data"}, awshttp.Options{Authenticator: keys{"key": "secret"}})
	plain := listen(t, s.Serve, s.Shutdown)
	secure := listen(t, func(l net.Listener) error { return serveTLS(t, s, l) }, s.Shutdown)
	protocols := func(set func(*http.Protocols)) *http.Protocols { p := new(http.Protocols); set(p); return p }
	insecure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the certificate is made by this test
	for name, c := range map[string]struct {
		url string
		tr  *http.Transport
	}{
		"http1": {"http://" + plain, &http.Transport{}},
		"h2c":   {"http://" + plain, &http.Transport{Protocols: protocols(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })}},
		"h2":    {"https://" + secure, &http.Transport{TLSClientConfig: insecure, Protocols: protocols(func(p *http.Protocols) { p.SetHTTP2(true) })}},
	} {
		t.Run(name, func(t *testing.T) {
			defer c.tr.CloseIdleConnections()
			w := &walk{t: t, c: sdkClient(c.url, c.tr), stream: aws.String("walk-" + name)}
			w.create()
			w.write()
			w.read()
			w.reshape()
			w.settings()
			w.remove()
		})
	}
}

// walk is one pass through the API.
type walk struct {
	t       *testing.T
	c       *kinesis.Client
	stream  *string
	arn     *string
	written map[string][]byte // data by partition key
	first   *kinesis.PutRecordOutput
	before  time.Time
}

func (w *walk) ctx() context.Context { return w.t.Context() }

func check[T any](w *walk) func(v T, err error) T {
	return func(v T, err error) T {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		return v
	}
}

func (w *walk) create() {
	w.before = time.Now().Add(-time.Second)
	check[*kinesis.CreateStreamOutput](w)(w.c.CreateStream(w.ctx(), &kinesis.CreateStreamInput{
		StreamName: w.stream, ShardCount: aws.Int32(2), Tags: map[string]string{"team": "a:b"},
	}))
	_, err := w.c.CreateStream(w.ctx(), &kinesis.CreateStreamInput{StreamName: w.stream, ShardCount: aws.Int32(2)})
	var inUse *types.ResourceInUseException
	if !errors.As(err, &inUse) {
		w.t.Errorf("created twice: %v", err)
	}
	d := check[*kinesis.DescribeStreamOutput](w)(w.c.DescribeStream(w.ctx(), &kinesis.DescribeStreamInput{StreamName: w.stream})).StreamDescription
	w.arn = d.StreamARN
	if *w.arn != "arn:aws:kinesis:eu-central-1:000000000000:stream/"+*w.stream || d.StreamStatus != types.StreamStatusActive || len(d.Shards) != 2 {
		w.t.Errorf("described as %+v", d)
	}
	page := check[*kinesis.DescribeStreamOutput](w)(w.c.DescribeStream(w.ctx(), &kinesis.DescribeStreamInput{StreamARN: w.arn, Limit: aws.Int32(1)})).StreamDescription
	if len(page.Shards) != 1 || !*page.HasMoreShards {
		w.t.Errorf("first page %+v", page)
	}
	l := check[*kinesis.DescribeLimitsOutput](w)(w.c.DescribeLimits(w.ctx(), &kinesis.DescribeLimitsInput{}))
	if *l.OpenShardCount < 2 || *l.ShardLimit < *l.OpenShardCount {
		w.t.Errorf("limits %+v", l)
	}
	streams := check[*kinesis.ListStreamsOutput](w)(w.c.ListStreams(w.ctx(), &kinesis.ListStreamsInput{}))
	if len(streams.StreamNames) != 1 || len(streams.StreamSummaries) != 1 || *streams.StreamSummaries[0].StreamARN != *w.arn {
		w.t.Errorf("streams %+v", streams)
	}
}

func (w *walk) write() {
	w.written = map[string][]byte{"first": []byte("one")}
	w.first = check[*kinesis.PutRecordOutput](w)(w.c.PutRecord(w.ctx(), &kinesis.PutRecordInput{
		StreamARN: w.arn, PartitionKey: aws.String("first"), Data: []byte("one"), ExplicitHashKey: aws.String("5"),
	}))
	if *w.first.ShardId != "shardId-000000000000" {
		w.t.Errorf("hash key 5 is in %s", *w.first.ShardId)
	}
	in := &kinesis.PutRecordsInput{StreamName: w.stream}
	for i := range 300 {
		key := fmt.Sprintf("ключ-%d", i)
		w.written[key] = bytes.Repeat([]byte{byte(i)}, i*7)
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: &key, Data: w.written[key]})
	}
	out := check[*kinesis.PutRecordsOutput](w)(w.c.PutRecords(w.ctx(), in))
	if *out.FailedRecordCount != 0 || len(out.Records) != 300 || out.Records[299].SequenceNumber == nil {
		w.t.Errorf("put %+v", out)
	}
	_, err := w.c.PutRecord(w.ctx(), &kinesis.PutRecordInput{StreamName: w.stream, PartitionKey: aws.String("k"), Data: make([]byte, 1<<20+1)})
	if err == nil {
		w.t.Error("a record over 1 MiB is taken")
	}
	_, err = w.c.PutRecord(w.ctx(), &kinesis.PutRecordInput{StreamName: aws.String("nobody"), PartitionKey: aws.String("k"), Data: []byte{1}})
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) {
		w.t.Errorf("put to no stream: %v", err)
	}
}

// drain reads a shard from an iterator to its tip, or its end if it is closed, and returns the children told of.
func (w *walk) drain(in *kinesis.GetShardIteratorInput) (records []types.Record, children []types.ChildShard) {
	w.t.Helper()
	in.StreamName = w.stream
	next := check[*kinesis.GetShardIteratorOutput](w)(w.c.GetShardIterator(w.ctx(), in)).ShardIterator
	for next != nil {
		out := check[*kinesis.GetRecordsOutput](w)(w.c.GetRecords(w.ctx(), &kinesis.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(100)}))
		if (out.NextShardIterator == nil) != (len(out.ChildShards) > 0) {
			w.t.Errorf("next %v with %d children", out.NextShardIterator, len(out.ChildShards))
		}
		records, children, next = append(records, out.Records...), out.ChildShards, out.NextShardIterator
		if len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
			break
		}
	}
	return records, children
}

func (w *walk) read() {
	got := map[string][]byte{}
	shards := []*string{aws.String("shardId-000000000000"), aws.String("shardId-000000000001")}
	for _, shard := range shards {
		records, _ := w.drain(&kinesis.GetShardIteratorInput{ShardId: shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		last := ""
		for _, r := range records {
			got[*r.PartitionKey] = r.Data
			if *r.SequenceNumber <= last || time.Since(*r.ApproximateArrivalTimestamp).Abs() > time.Minute {
				w.t.Errorf("record %s after %s at %v", *r.SequenceNumber, last, r.ApproximateArrivalTimestamp)
			}
			last = *r.SequenceNumber
		}
	}
	if len(got) != len(w.written) {
		w.t.Fatalf("%d records, want %d", len(got), len(w.written))
	}
	for k, data := range w.written {
		if !bytes.Equal(got[k], data) {
			w.t.Errorf("%s: %d bytes, want %d", k, len(got[k]), len(data))
		}
	}
	count := func(in *kinesis.GetShardIteratorInput) int {
		in.ShardId = shards[0]
		records, _ := w.drain(in)
		return len(records)
	}
	all := count(&kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	f := func(name string, got, want int) {
		w.t.Helper()
		if got != want {
			w.t.Errorf("%s: %d records, want %d", name, got, want)
		}
	}
	at := w.first.SequenceNumber
	f("at", count(&kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: at}), all)
	f("after", count(&kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: at}), all-1)
	f("timestamp", count(&kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &w.before}), all)
	f("latest", count(&kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest}), 0)
	_, err := w.c.GetRecords(w.ctx(), &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAAAAAAAAGAAAA=")})
	var invalid *types.InvalidArgumentException
	if !errors.As(err, &invalid) {
		w.t.Errorf("forged iterator: %v", err)
	}
}

func (w *walk) reshape() {
	c := w.c
	check[*kinesis.SplitShardOutput](w)(c.SplitShard(w.ctx(), &kinesis.SplitShardInput{
		StreamName: w.stream, ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("1000"),
	}))
	records, children := w.drain(&kinesis.GetShardIteratorInput{ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if len(children) != 2 || len(records) == 0 || children[0].ParentShards[0] != "shardId-000000000000" {
		w.t.Errorf("%d records and children %+v of a split shard", len(records), children)
	}
	put := check[*kinesis.PutRecordOutput](w)(c.PutRecord(w.ctx(), &kinesis.PutRecordInput{
		StreamName: w.stream, PartitionKey: aws.String("first"), Data: []byte("two"), ExplicitHashKey: aws.String("5"),
		SequenceNumberForOrdering: w.first.SequenceNumber,
	}))
	if *put.ShardId != "shardId-000000000002" || *put.SequenceNumber <= *w.first.SequenceNumber {
		w.t.Errorf("after the split: %+v", put)
	}
	check[*kinesis.MergeShardsOutput](w)(c.MergeShards(w.ctx(), &kinesis.MergeShardsInput{
		StreamName: w.stream, ShardToMerge: aws.String("shardId-000000000003"), AdjacentShardToMerge: aws.String("shardId-000000000001"),
	}))
	u := check[*kinesis.UpdateShardCountOutput](w)(c.UpdateShardCount(w.ctx(), &kinesis.UpdateShardCountInput{
		StreamName: w.stream, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling,
	}))
	if *u.CurrentShardCount != 2 || *u.TargetShardCount != 4 || *u.StreamARN != *w.arn {
		w.t.Errorf("update of the shard count: %+v", u)
	}
	open := check[*kinesis.ListShardsOutput](w)(c.ListShards(w.ctx(), &kinesis.ListShardsInput{
		StreamName: w.stream, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest},
	})).Shards
	s := check[*kinesis.DescribeStreamSummaryOutput](w)(c.DescribeStreamSummary(w.ctx(), &kinesis.DescribeStreamSummaryInput{StreamName: w.stream}))
	if len(open) != 4 || *s.StreamDescriptionSummary.OpenShardCount != 4 {
		w.t.Errorf("%d open shards, summary %+v", len(open), s.StreamDescriptionSummary)
	}
	in := &kinesis.ListShardsInput{StreamARN: w.arn, MaxResults: aws.Int32(3)}
	var ids []string
	for {
		out := check[*kinesis.ListShardsOutput](w)(c.ListShards(w.ctx(), in))
		for _, sh := range out.Shards {
			ids = append(ids, *sh.ShardId)
		}
		if out.NextToken == nil {
			break
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(3)}
	}
	for i, id := range ids {
		if id != shardID(uint32(i)) {
			w.t.Errorf("shards in pages: %v", ids)
			break
		}
	}
	if len(ids) < 8 {
		w.t.Errorf("only %d shards in pages", len(ids))
	}
}

func (w *walk) settings() {
	c := w.c
	check[*kinesis.IncreaseStreamRetentionPeriodOutput](w)(c.IncreaseStreamRetentionPeriod(w.ctx(),
		&kinesis.IncreaseStreamRetentionPeriodInput{StreamName: w.stream, RetentionPeriodHours: aws.Int32(8760)}))
	check[*kinesis.DecreaseStreamRetentionPeriodOutput](w)(c.DecreaseStreamRetentionPeriod(w.ctx(),
		&kinesis.DecreaseStreamRetentionPeriodInput{StreamARN: w.arn, RetentionPeriodHours: aws.Int32(30)}))
	s := check[*kinesis.DescribeStreamSummaryOutput](w)(c.DescribeStreamSummary(w.ctx(), &kinesis.DescribeStreamSummaryInput{StreamARN: w.arn}))
	if *s.StreamDescriptionSummary.RetentionPeriodHours != 30 {
		w.t.Errorf("retention is %d hours", *s.StreamDescriptionSummary.RetentionPeriodHours)
	}
	check[*kinesis.AddTagsToStreamOutput](w)(c.AddTagsToStream(w.ctx(), &kinesis.AddTagsToStreamInput{StreamName: w.stream, Tags: map[string]string{"a": "", "b": "2"}}))
	check[*kinesis.TagResourceOutput](w)(c.TagResource(w.ctx(), &kinesis.TagResourceInput{ResourceARN: w.arn, Tags: map[string]string{"c": "3"}}))
	check[*kinesis.RemoveTagsFromStreamOutput](w)(c.RemoveTagsFromStream(w.ctx(), &kinesis.RemoveTagsFromStreamInput{StreamName: w.stream, TagKeys: []string{"b"}}))
	check[*kinesis.UntagResourceOutput](w)(c.UntagResource(w.ctx(), &kinesis.UntagResourceInput{ResourceARN: w.arn, TagKeys: []string{"team"}}))
	l := check[*kinesis.ListTagsForStreamOutput](w)(c.ListTagsForStream(w.ctx(), &kinesis.ListTagsForStreamInput{StreamName: w.stream}))
	r := check[*kinesis.ListTagsForResourceOutput](w)(c.ListTagsForResource(w.ctx(), &kinesis.ListTagsForResourceInput{ResourceARN: w.arn}))
	if len(l.Tags) != 2 || *l.Tags[0].Key != "a" || *l.Tags[0].Value != "" || *l.Tags[1].Key != "c" || len(r.Tags) != 2 {
		w.t.Errorf("tags %+v and %+v", l.Tags, r.Tags)
	}
}

func (w *walk) remove() {
	check[*kinesis.DeleteStreamOutput](w)(w.c.DeleteStream(w.ctx(), &kinesis.DeleteStreamInput{StreamName: w.stream}))
	_, err := w.c.DescribeStream(w.ctx(), &kinesis.DescribeStreamInput{StreamName: w.stream})
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) {
		w.t.Errorf("described after its end: %v", err)
	}
}

// TestSDKRefused signs with a secret the server does not know.
func TestSDKRefused(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{Authenticator: keys{"key": "another secret"}})
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	_, err := sdkClient("http://"+listen(t, s.Serve, s.Shutdown), tr).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("InvalidSignatureException")) {
		t.Errorf("a wrong secret: %v", err)
	}
}

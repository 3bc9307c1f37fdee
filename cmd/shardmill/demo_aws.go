package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

const (
	demoShards  = 4
	demoWriters = 4
	demoPoll    = 2 * time.Millisecond
)

// newSDK makes a client of the demo's own server. It does not retry: a record sent twice would be there twice.
func newSDK(endpoint string) (*kinesis.Client, *http.Transport) {
	transport := &http.Transport{MaxIdleConnsPerHost: demoShards + demoWriters}
	return kinesis.New(kinesis.Options{
		BaseEndpoint: &endpoint, Region: defaultRegion, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("shardmill", "shardmill", ""),
		HTTPClient:  patient{&http.Client{Transport: transport}},
	}), transport
}

// viaAWS sends all lines of the ledger through PutRecords and reads them back through GetRecords.
func viaAWS(ctx context.Context, endpoint, stream string, l *ledger) error {
	sdk, transport := newSDK(endpoint)
	defer transport.CloseIdleConnections()
	if _, err := sdk.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(demoShards)}); err != nil {
		return fmt.Errorf("create stream %s: %w", stream, err)
	}
	shards, err := sdk.ListShards(ctx, &kinesis.ListShardsInput{StreamName: &stream})
	if err != nil {
		return fmt.Errorf("list shards of %s: %w", stream, err)
	}
	readers, reading := errgroup.WithContext(ctx)
	settled := make(chan struct{}) // closed when nothing more is to come
	l.start = time.Now()
	for _, s := range shards.Shards {
		readers.Go(func() error { return tailAWS(reading, sdk, stream, *s.ShardId, l, settled) })
	}
	putErr := putAllAWS(ctx, sdk, stream, l)
	if putErr == nil {
		waitComplete(reading, l)
	}
	close(settled)
	if err := readers.Wait(); err != nil {
		return err
	}
	return putErr
}

// patience is how long the demo waits for acknowledged records to come back.
const patience = 15 * time.Second

func waitComplete(ctx context.Context, l *ledger) {
	select {
	case <-l.complete:
	case <-ctx.Done():
	case <-time.After(patience):
	}
}

// putAllAWS divides the lines by key among writers, so that each key has one writer and its order is defined.
func putAllAWS(ctx context.Context, sdk *kinesis.Client, stream string, l *ledger) error {
	shares := make([][]int, demoWriters)
	for i := range l.lines {
		w := xxhash.Sum64String(l.lines[i].key) % demoWriters
		shares[w] = append(shares[w], i)
	}
	writers, writing := errgroup.WithContext(ctx)
	for _, share := range shares {
		writers.Go(func() error {
			for len(share) > 0 {
				n := takeRequest(l, share)
				if err := putAWS(writing, sdk, stream, l, share[:n]); err != nil {
					return err
				}
				share = share[n:]
			}
			return nil
		})
	}
	return writers.Wait()
}

// takeRequest is how many of the lines fit one PutRecords request.
func takeRequest(l *ledger, share []int) int {
	size := 0
	for n, i := range share {
		size += len(l.lines[i].data) + len(l.lines[i].key)
		if n == maxPutRecords || size > maxPutBytes && n > 0 {
			return n
		}
	}
	return len(share)
}

func putAWS(ctx context.Context, sdk *kinesis.Client, stream string, l *ledger, share []int) error {
	in := &kinesis.PutRecordsInput{StreamName: &stream, Records: make([]types.PutRecordsRequestEntry, len(share))}
	for j, i := range share {
		in.Records[j] = types.PutRecordsRequestEntry{Data: l.lines[i].data, PartitionKey: &l.lines[i].key}
		l.sent(i)
	}
	out, err := sdk.PutRecords(ctx, in)
	if err != nil {
		return fmt.Errorf("put to %s: %w", stream, err)
	}
	if len(out.Records) != len(share) {
		return fmt.Errorf("put to %s: %d answers for %d records", stream, len(out.Records), len(share))
	}
	for j, i := range share {
		if code := out.Records[j].ErrorCode; code != nil {
			return fmt.Errorf("put to %s: %s: %s", stream, *code, aws.ToString(out.Records[j].ErrorMessage))
		}
		l.ack(i)
	}
	return nil
}

// tailAWS reads a shard from its beginning until everything has settled and a page comes back empty after that.
func tailAWS(ctx context.Context, sdk *kinesis.Client, stream, shard string, l *ledger, settled <-chan struct{}) error {
	it, err := sdk.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: &stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		return fmt.Errorf("tail %s of %s: %w", shard, stream, err)
	}
	for iterator := it.ShardIterator; iterator != nil; {
		last := isClosedChan(settled)
		out, err := sdk.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			return fmt.Errorf("tail %s of %s: %w", shard, stream, err)
		}
		for i := range out.Records {
			l.receive([]byte(aws.ToString(out.Records[i].PartitionKey)), out.Records[i].Data)
		}
		iterator = out.NextShardIterator
		if len(out.Records) > 0 {
			continue
		}
		if last {
			return nil
		}
		if err := sleep(ctx, demoPoll); err != nil {
			return err
		}
	}
	return nil
}

func isClosedChan(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// Pauses of a shard's reader. AWS allows five reads per second and shard; a server on this machine is asked more often.
const (
	tailPause      = 200 * time.Millisecond
	tailLocalPause = 20 * time.Millisecond
	tailPageLimit  = 10000
)

// streamReader reads all shards of a stream, each on its own goroutine, and the children of a split or merge once their
// parents are drained. Its fields are set before run.
type streamReader struct {
	client *client
	stream string
	from   startPoint
	only   string // read this shard, and not its children; empty: all
	stay   bool   // wait for more records at the end

	// resume tells where an earlier run stopped in a shard; nil, or ok false: begin at from.
	resume func(shard string) (at startPoint, drained, ok bool)
	// emit takes the records of a shard in order. Different shards call it at the same time. Its error ends the reading.
	emit func(ctx context.Context, s *types.Shard, records []types.Record) error
	// ended is told of each drained shard, after its last emit; nil: nobody wants to know.
	ended func(shard string)

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex      // guards the following
	started map[string]bool // shards that have, or had, a reader
	drained map[string]bool // shards read to their end
	err     error           // the first one
}

// run reads until everything is read (without stay), ctx ends, or something fails.
func (r *streamReader) run(ctx context.Context) error {
	shards, err := r.client.listShards(ctx, r.stream)
	if err != nil {
		return err
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	defer r.cancel()
	r.started, r.drained = map[string]bool{}, map[string]bool{}
	if r.only != "" {
		shard := types.Shard{ShardId: &r.only}
		if i := slices.IndexFunc(shards, func(s types.Shard) bool { return aws.ToString(s.ShardId) == r.only }); i >= 0 {
			shard = shards[i]
		}
		r.start(&shard, r.from)
	} else {
		for _, s := range r.first(shards) {
			r.start(s, r.from)
		}
	}
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// first chooses the shards to begin with: the open ones when only new records are wanted, else those without a parent
// that still exists. Their descendants follow as they are drained.
func (r *streamReader) first(shards []types.Shard) (roots []*types.Shard) {
	known := map[string]bool{}
	for i := range shards {
		known[aws.ToString(shards[i].ShardId)] = true
	}
	for i := range shards {
		s := &shards[i]
		root := !known[aws.ToString(s.ParentShardId)] && !known[aws.ToString(s.AdjacentParentShardId)]
		if r.from.kind == types.ShardIteratorTypeLatest {
			root = !isClosed(s)
			r.drained[aws.ToString(s.ShardId)] = isClosed(s)
		}
		if root {
			roots = append(roots, s)
		}
	}
	return roots
}

// start begins reading a shard, once.
func (r *streamReader) start(s *types.Shard, from startPoint) {
	id := aws.ToString(s.ShardId)
	r.mu.Lock()
	again := r.started[id]
	r.started[id] = true
	r.mu.Unlock()
	if again {
		return
	}
	drained := false
	if r.resume != nil {
		if at, end, ok := r.resume(id); ok {
			from, drained = at, end
		}
	}
	r.wg.Go(func() {
		var err error
		if !drained {
			drained, err = r.read(r.ctx, s, from)
		}
		if err == nil && drained && r.only == "" {
			err = r.startChildren(id)
		}
		if err != nil {
			r.stop(err)
		}
	})
}

func (r *streamReader) stop(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.cancel()
}

// startChildren begins with the children of a drained shard whose other parent is drained too.
func (r *streamReader) startChildren(id string) error {
	if r.ended != nil {
		r.ended(id)
	}
	r.mu.Lock()
	r.drained[id] = true
	r.mu.Unlock()
	shards, err := r.client.listShards(r.ctx, r.stream)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for i := range shards {
		known[aws.ToString(shards[i].ShardId)] = true
	}
	from := startPoint{kind: types.ShardIteratorTypeTrimHorizon}
	if r.from.kind == types.ShardIteratorTypeAtTimestamp {
		from = r.from
	}
	for i := range shards {
		one, two := aws.ToString(shards[i].ParentShardId), aws.ToString(shards[i].AdjacentParentShardId)
		if one != id && two != id {
			continue
		}
		r.mu.Lock()
		ready := (r.drained[one] || !known[one]) && (r.drained[two] || !known[two])
		r.mu.Unlock()
		if ready {
			r.start(&shards[i], from)
		}
	}
	return nil
}

// read emits one shard's records until it is drained, or, unless the reader stays, there are no more for now.
func (r *streamReader) read(ctx context.Context, s *types.Shard, from startPoint) (drained bool, err error) {
	id := aws.ToString(s.ShardId)
	iterator, last, err := r.iterator(ctx, id, from)
	if err != nil {
		return false, err
	}
	for iterator != nil {
		out, err := r.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(tailPageLimit)})
		switch {
		case isAPIError(err, "ExpiredIteratorException"):
			if iterator, last, err = r.iterator(ctx, id, last); err != nil {
				return false, err
			}
			continue
		case isAPIError(err, "ProvisionedThroughputExceededException"):
			if err := sleep(ctx, tailPause); err != nil {
				return false, err
			}
			continue
		case err != nil:
			return false, r.client.fail(err, "read %s of %s", id, r.stream)
		}
		if n := len(out.Records); n > 0 {
			last = startPoint{kind: types.ShardIteratorTypeAfterSequenceNumber, seq: aws.ToString(out.Records[n-1].SequenceNumber)}
			if err := r.emit(ctx, s, out.Records); err != nil {
				return false, err
			}
		}
		iterator = out.NextShardIterator
		behind := aws.ToInt64(out.MillisBehindLatest) > 0
		if iterator == nil || behind && r.client.local {
			continue
		}
		if !behind && !r.stay && len(out.Records) == 0 {
			return false, nil
		}
		if err := sleep(ctx, r.pause(len(out.Records))); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *streamReader) pause(records int) time.Duration {
	switch {
	case !r.client.local:
		return tailPause
	case records > 0:
		return 0
	}
	return tailLocalPause
}

func (r *streamReader) iterator(ctx context.Context, id string, from startPoint) (*string, startPoint, error) {
	in := &kinesis.GetShardIteratorInput{StreamName: &r.stream, ShardId: &id, ShardIteratorType: from.kind}
	switch from.kind {
	case types.ShardIteratorTypeAtTimestamp:
		in.Timestamp = &from.at
	case types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber:
		in.StartingSequenceNumber = &from.seq
	}
	out, err := r.client.GetShardIterator(ctx, in)
	if err != nil {
		return nil, from, r.client.fail(err, "read %s of %s", id, r.stream)
	}
	return out.ShardIterator, from, nil
}

// rangeOf is the part of the hash key space that a shard has; all of it where the server does not say.
func rangeOf(s *types.Shard) hashkey.Range {
	if s.HashKeyRange == nil {
		return hashkey.Full()
	}
	first, err1 := hashkey.Parse(aws.ToString(s.HashKeyRange.StartingHashKey))
	last, err2 := hashkey.Parse(aws.ToString(s.HashKeyRange.EndingHashKey))
	if err1 != nil || err2 != nil {
		return hashkey.Full()
	}
	return hashkey.Range{First: first, Last: last}
}

// shardMap finds the open shard of a hash key.
type shardMap []openShard

type openShard struct {
	id string
	hashkey.Range
}

// openShards asks for the shards that take records, in the order of their ranges.
func (c *client) openShards(ctx context.Context, stream string) (shardMap, error) {
	shards, err := c.listShards(ctx, stream)
	if err != nil {
		return nil, err
	}
	var m shardMap
	for i := range shards {
		if !isClosed(&shards[i]) {
			m = append(m, openShard{aws.ToString(shards[i].ShardId), rangeOf(&shards[i])})
		}
	}
	slices.SortFunc(m, func(a, b openShard) int { return a.First.Compare(b.First) })
	return m, nil
}

// find returns the shard that k belongs to; nil where the shards have a hole, as they may while a stream changes.
func (m shardMap) find(k hashkey.Key) *openShard {
	i, exact := slices.BinarySearchFunc(m, k, func(s openShard, k hashkey.Key) int { return s.First.Compare(k) })
	if !exact {
		i--
	}
	if i < 0 || !m[i].Contains(k) {
		return nil
	}
	return &m[i]
}

// named returns the shard with this id; nil where it is not open.
func (m shardMap) named(id string) *openShard {
	if i := slices.IndexFunc(m, func(s openShard) bool { return s.id == id }); i >= 0 {
		return &m[i]
	}
	return nil
}

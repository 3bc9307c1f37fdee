package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Pauses of a shard's reader. AWS allows five reads per second and shard; a server on this machine is asked more often.
const (
	tailPause      = 200 * time.Millisecond
	tailLocalPause = 20 * time.Millisecond
	tailPageLimit  = 10000
)

// tailCmd prints records as they arrive: every shard, and, after a split or merge, its children once the parents are
// drained.
type tailCmd struct {
	clientFlags
	Stream   string `arg:"" help:"Name of the stream."`
	From     string `default:"latest" help:"Where to begin: latest, horizon, 5m (ago), a time (RFC 3339 or epoch seconds), or seq:N with --shard."`
	Shard    string `help:"Only this shard: its number or id." placeholder:"N"`
	Output   string `short:"o" default:"text" help:"text, json, raw (data only), or a format of %k key, %t time, %v value, %b base64, %s shard, %n sequence number."`
	Max      int64  `help:"Stop after this many records." placeholder:"N"`
	NoFollow bool   `help:"Stop at the end of what is there."`
}

// Run is called by kong.
func (t *tailCmd) Run(a *app) error {
	from, err := parseFrom(t.From, time.Now())
	if err != nil {
		return err
	}
	if from.kind == types.ShardIteratorTypeAtSequenceNumber && t.Shard == "" {
		return usagef("--from %s: a sequence number belongs to a shard, give --shard too", t.From)
	}
	format, err := newRecordFormat(t.Output)
	if err != nil {
		return err
	}
	c, ctx, cancel, err := t.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	w := &tailer{cmd: t, client: c, from: from, format: format, out: a.stdout, started: map[string]bool{}, drained: map[string]bool{}}
	return w.run(ctx)
}

// startPoint is where reading begins.
type startPoint struct {
	kind types.ShardIteratorType
	seq  string
	at   time.Time
}

// parseFrom understands --from.
func parseFrom(s string, now time.Time) (startPoint, error) {
	switch {
	case s == "latest":
		return startPoint{kind: types.ShardIteratorTypeLatest}, nil
	case s == "horizon":
		return startPoint{kind: types.ShardIteratorTypeTrimHorizon}, nil
	case strings.HasPrefix(s, "seq:"):
		return startPoint{kind: types.ShardIteratorTypeAtSequenceNumber, seq: s[len("seq:"):]}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: now.Add(-d)}, nil
	}
	if epoch, err := strconv.ParseInt(s, 10, 64); err == nil {
		return startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: time.Unix(epoch, 0)}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: at}, nil
		}
	}
	return startPoint{}, usagef("--from %s: want latest, horizon, 5m, 2026-11-22T10:00:00Z, epoch seconds or seq:N", s)
}

// tailer reads all shards of a stream, each on its own goroutine.
type tailer struct {
	cmd    *tailCmd
	client *client
	from   startPoint
	format recordFormat

	mu      sync.Mutex // guards the following
	out     io.Writer
	printed int64
	started map[string]bool // shards that have, or had, a reader
	drained map[string]bool // shards read to their end
	err     error           // the first one
}

// errEnough ends a tail that has printed --max records.
var errEnough = errors.New("enough")

// run reads until the end that the flags ask for.
func (w *tailer) run(ctx context.Context) error {
	shards, err := w.client.listShards(ctx, w.cmd.Stream)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &readers{tailer: w, ctx: ctx, cancel: cancel}
	if w.cmd.Shard != "" {
		id, err := shardID(w.cmd.Shard)
		if err != nil {
			return err
		}
		r.start(id, w.from)
	} else {
		for _, id := range w.first(shards) {
			r.start(id, w.from)
		}
	}
	r.wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, errEnough) {
		return nil
	}
	return w.err
}

// first chooses the shards to begin with: the open ones when only new records are wanted, else those without a parent
// that still exists. Their descendants follow as they are drained.
func (w *tailer) first(shards []types.Shard) (ids []string) {
	known := map[string]bool{}
	for i := range shards {
		known[aws.ToString(shards[i].ShardId)] = true
	}
	for i := range shards {
		s := &shards[i]
		root := !known[aws.ToString(s.ParentShardId)] && !known[aws.ToString(s.AdjacentParentShardId)]
		if w.from.kind == types.ShardIteratorTypeLatest {
			root = !isClosed(s)
			w.drained[aws.ToString(s.ShardId)] = isClosed(s)
		}
		if root {
			ids = append(ids, aws.ToString(s.ShardId))
		}
	}
	return ids
}

// readers are the running goroutines of a tailer.
type readers struct {
	*tailer
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// start begins reading a shard, once.
func (r *readers) start(id string, from startPoint) {
	r.mu.Lock()
	again := r.started[id]
	r.started[id] = true
	r.mu.Unlock()
	if again {
		return
	}
	r.wg.Go(func() {
		err := r.read(r.ctx, id, from)
		if err == nil && r.cmd.Shard == "" {
			err = r.startChildren(id)
		}
		if err != nil {
			r.stop(err)
		}
	})
}

func (r *readers) stop(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.cancel()
}

// startChildren begins with the children of a drained shard whose other parent is drained too.
func (r *readers) startChildren(id string) error {
	r.mu.Lock()
	r.drained[id] = true
	r.mu.Unlock()
	shards, err := r.client.listShards(r.ctx, r.cmd.Stream)
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
			r.start(aws.ToString(shards[i].ShardId), from)
		}
	}
	return nil
}

// read prints one shard's records until it is drained (nil), or until the tail ends.
func (w *tailer) read(ctx context.Context, id string, from startPoint) error {
	iterator, last, err := w.iterator(ctx, id, from)
	if err != nil {
		return err
	}
	for iterator != nil {
		out, err := w.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(tailPageLimit)})
		switch {
		case isAPIError(err, "ExpiredIteratorException"):
			if iterator, last, err = w.iterator(ctx, id, last); err != nil {
				return err
			}
			continue
		case isAPIError(err, "ProvisionedThroughputExceededException"):
			if err := sleep(ctx, tailPause); err != nil {
				return err
			}
			continue
		case err != nil:
			return w.client.fail(err, "tail %s", w.cmd.Stream)
		}
		if n := len(out.Records); n > 0 {
			last = startPoint{kind: types.ShardIteratorTypeAfterSequenceNumber, seq: aws.ToString(out.Records[n-1].SequenceNumber)}
			if err := w.print(id, out.Records); err != nil {
				return err
			}
		}
		iterator = out.NextShardIterator
		behind := aws.ToInt64(out.MillisBehindLatest) > 0
		if iterator == nil || behind && w.client.local {
			continue
		}
		if !behind && w.cmd.NoFollow && len(out.Records) == 0 {
			return nil
		}
		if err := sleep(ctx, w.pause(len(out.Records))); err != nil {
			return err
		}
	}
	return nil
}

func (w *tailer) pause(records int) time.Duration {
	switch {
	case !w.client.local:
		return tailPause
	case records > 0:
		return 0
	}
	return tailLocalPause
}

func (w *tailer) iterator(ctx context.Context, id string, from startPoint) (*string, startPoint, error) {
	in := &kinesis.GetShardIteratorInput{StreamName: &w.cmd.Stream, ShardId: &id, ShardIteratorType: from.kind}
	switch from.kind {
	case types.ShardIteratorTypeAtTimestamp:
		in.Timestamp = &from.at
	case types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber:
		in.StartingSequenceNumber = &from.seq
	}
	out, err := w.client.GetShardIterator(ctx, in)
	if err != nil {
		return nil, from, w.client.fail(err, "tail %s of %s", id, w.cmd.Stream)
	}
	return out.ShardIterator, from, nil
}

// print writes a page of records at once, so that shards do not mix within a line.
func (w *tailer) print(id string, records []types.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.cmd.Max > 0 {
		records = records[:min(int64(len(records)), w.cmd.Max-w.printed)]
	}
	var page []byte
	for i := range records {
		page = w.format(page, id, &records[i])
	}
	if _, err := w.out.Write(page); err != nil {
		return exitf(codeFailed, "%w", err)
	}
	w.printed += int64(len(records))
	if w.cmd.Max > 0 && w.printed >= w.cmd.Max {
		return errEnough
	}
	return nil
}

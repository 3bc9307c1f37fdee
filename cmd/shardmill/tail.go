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
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/codec/kpl"
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

	NoDeaggregate bool `help:"Print records that a producer library has aggregated as they are stored, in one piece."`
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
	p := &tailPrinter{cmd: t, app: a, format: format, out: a.stdout, noted: map[string]bool{}}
	r := &streamReader{client: c, stream: t.Stream, from: from, stay: !t.NoFollow, emit: p.print}
	if t.Shard != "" {
		if r.only, err = shardID(t.Shard); err != nil {
			return err
		}
	}
	err = r.run(ctx)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
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

// tailPrinter prints pages of records, one page at a time.
type tailPrinter struct {
	cmd    *tailCmd
	app    *app
	format recordFormat

	mu      sync.Mutex // guards the following
	out     io.Writer
	opened  kpl.Aggregated
	page    []byte
	printed int64
	noted   map[string]bool // shards whose dropped records have been spoken of
}

// errEnough ends a tail that has printed --max records.
var errEnough = errors.New("enough")

// print writes a page of records at once, so that shards do not mix within a line.
func (p *tailPrinter) print(_ context.Context, s *types.Shard, records []types.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd.Max > 0 && p.printed >= p.cmd.Max {
		return errEnough // another shard got there first
	}
	p.page = p.page[:0]
	full := false
	for i := range records {
		if full = p.add(s, &records[i]); full {
			break
		}
	}
	if _, err := p.out.Write(p.page); err != nil {
		return exitf(codeFailed, "%w", err)
	}
	if full {
		return errEnough
	}
	return nil
}

// add formats a record, or the user records in it; true means that --max is reached.
func (p *tailPrinter) add(s *types.Shard, r *types.Record) (full bool) {
	if p.cmd.NoDeaggregate || p.opened.Reset(r.Data) != nil {
		return p.one(s, &tailRecord{Record: *r})
	}
	if !p.opened.Within(rangeOf(s)) {
		p.note(s, p.opened.Len())
		return false
	}
	var user kpl.Record
	for i := int64(0); p.opened.Next(&user); i++ {
		view := tailRecord{Record: *r, SubSequenceNumber: &i, ExplicitHashKey: string(user.Explicit)}
		view.PartitionKey, view.Data = aws.String(string(user.Key)), user.Data
		if p.one(s, &view) {
			return true
		}
	}
	return false
}

func (p *tailPrinter) one(s *types.Shard, r *tailRecord) (full bool) {
	p.page = p.format(p.page, aws.ToString(s.ShardId), r)
	p.printed++
	return p.cmd.Max > 0 && p.printed >= p.cmd.Max
}

// note says, once for each shard, that records were dropped.
func (p *tailPrinter) note(s *types.Shard, n int) {
	id := aws.ToString(s.ShardId)
	if p.noted[id] || p.cmd.Quiet {
		return
	}
	p.noted[id] = true
	p.app.say("dropped %s of an aggregate in %s: a key in it belongs to another shard, and the Kinesis Client Library drops such aggregates. "+
		"See them with --no-deaggregate. Further ones of this shard are dropped without a word", plural(int64(n), "record"), id)
}

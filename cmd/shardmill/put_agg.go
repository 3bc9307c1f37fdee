package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/codec/kpl"
)

const (
	putAggSize = 50 << 10 // of an aggregated record, as the Kinesis Producer Library does by default
	putAggKey  = "a"      // their partition key, likewise: the explicit hash key is what counts
)

// aggregator gathers user records into one aggregated record for each shard.
type aggregator struct {
	client *client
	stream string
	shards shardMap
	open   map[string]*openAggregate // by shard
	order  []string                  // of the shards in open, so that flush sends in a fixed order
}

// openAggregate is what an aggregator has gathered for a shard.
type openAggregate struct {
	shard   openShard
	builder *kpl.Builder
	bytes   int
	first   putEntry // the first record by itself: one alone is not worth wrapping
}

func newAggregator(ctx context.Context, c *client, stream string) (*aggregator, error) {
	a := &aggregator{client: c, stream: stream, open: map[string]*openAggregate{}}
	return a, a.refresh(ctx)
}

func (a *aggregator) refresh(ctx context.Context) error {
	shards, err := a.client.openShards(ctx, a.stream)
	if err == nil {
		a.shards = shards
	}
	return err
}

// add takes a user record and returns the records that are ready to be sent. A record that is too large to be aggregated,
// or whose shard is not known, is returned as it is, after those gathered before it.
func (a *aggregator) add(key, explicit string, data []byte) (ready []putEntry) {
	user := kpl.Record{Key: []byte(key), Data: data}
	if explicit != "" {
		user.Explicit = []byte(explicit)
	}
	hash, ok := user.HashKey()
	shard := a.shards.find(hash)
	if !ok || shard == nil {
		return []putEntry{plainEntry(key, explicit, data)}
	}
	open := a.open[shard.id]
	if open == nil {
		open = &openAggregate{shard: *shard, builder: kpl.NewBuilder(putAggSize)}
		a.open[shard.id] = open
		a.order = append(a.order, shard.id)
	}
	err := open.builder.Add(key, explicit, data)
	if errors.Is(err, kpl.ErrFull) {
		ready = open.close()
		err = open.builder.Add(key, explicit, data)
	}
	if err != nil { // kpl.ErrTooLarge
		return append(ready, plainEntry(key, explicit, data))
	}
	if open.builder.Len() == 1 {
		open.first = plainEntry(key, explicit, data)
	}
	open.bytes += len(data)
	return ready
}

// close empties what was gathered into a record.
func (open *openAggregate) close() []putEntry {
	e := open.first
	if n := open.builder.Len(); n == 0 {
		return nil
	} else if n > 1 {
		e = putEntry{records: n, bytes: open.bytes, shard: open.shard.id}
		e.Data = open.builder.Append(nil)
		e.PartitionKey, e.ExplicitHashKey = aws.String(putAggKey), aws.String(open.shard.First.String())
	}
	open.builder.Reset()
	open.bytes, open.first = 0, putEntry{}
	return []putEntry{e}
}

// flush returns everything that was gathered.
func (a *aggregator) flush() (ready []putEntry) {
	for _, id := range a.order {
		ready = append(ready, a.open[id].close()...)
	}
	return ready
}

// held is the number of user records gathered.
func (a *aggregator) held() (n int) {
	for _, open := range a.open {
		n += open.builder.Len()
	}
	return n
}

// strayed looks for aggregated records that ended up in another shard than they were made for, because the stream was
// split or merged meanwhile. Where their user records do not all belong there, readers will drop them; they are returned,
// one by one, to be sent again, and the aggregated record counts for nothing.
func (w *putter) strayed(ctx context.Context, sent []putEntry, answers []types.PutRecordsResultEntry) (again []putEntry, err error) {
	var gathered []putEntry // for the old shards, and put after those sent
	refreshed := false
	for i := range min(len(sent), len(answers)) {
		landed := aws.ToString(answers[i].ShardId)
		if sent[i].shard == "" || answers[i].ErrorCode != nil || landed == sent[i].shard {
			continue
		}
		if !refreshed {
			if gathered, err = w.agg.restart(ctx); err != nil {
				return nil, err
			}
			refreshed = true
		}
		var users kpl.Aggregated
		if err := users.Reset(sent[i].Data); err != nil {
			panic("BUG: put: an aggregated record of ours does not open: " + err.Error())
		}
		if shard := w.agg.shards.named(landed); shard != nil && users.Within(shard.Range) {
			continue
		}
		sent[i].records = 0
		again = append(again, unwrap(&users)...)
	}
	return append(again, gathered...), nil
}

// unwrap makes a record of each user record.
func unwrap(users *kpl.Aggregated) (out []putEntry) {
	var user kpl.Record
	for users.Next(&user) {
		out = append(out, plainEntry(string(user.Key), string(user.Explicit), user.Data))
	}
	return out
}

// restart takes a new look at the shards. What was gathered for the old ones is returned as records by themselves.
func (a *aggregator) restart(ctx context.Context) (gathered []putEntry, err error) {
	if err := a.refresh(ctx); err != nil {
		return nil, err
	}
	for _, id := range a.order {
		var users kpl.Aggregated
		if users.Reset(a.open[id].builder.Append(nil)) == nil { // else there is nothing in it
			gathered = append(gathered, unwrap(&users)...)
		}
	}
	a.open, a.order = map[string]*openAggregate{}, nil
	return gathered, nil
}

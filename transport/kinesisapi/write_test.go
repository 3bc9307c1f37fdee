package kinesisapi

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

func sameJSON(t *testing.T, got []byte, want awshttp.Value) {
	t.Helper()
	var a, b any
	wantText := awshttp.JSON{}.Append(nil, want)
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal(wantText, &b); err != nil {
		t.Fatalf("%v in %s", err, wantText)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s, want %s", got, wantText)
	}
}

// TestWriters compares the hand-written replies with those of the generated types.
func TestWriters(t *testing.T) {
	a := bareAPI(t)
	at := time.UnixMilli(1_700_000_000_123)
	seq := func(n uint64) engine.Sequence {
		return engine.Sequence{ShardCreated: 1_700_000_000, Shard: 7, Position: n, Seconds: 1_700_000_001}
	}
	pages := []*engine.Page{
		{Next: "next", MillisBehind: 12},
		{
			Next: `"quoted"`, Records: []engine.ReadRecord{
				{Sequence: seq(1), Key: []byte("a\"\\\n\u00e9\u2028"), Data: []byte{0, 1, 2, 255}, Arrival: at},
				{Sequence: seq(2), Key: []byte("k"), Arrival: at},
			},
		},
		{Children: []engine.ShardInfo{
			{Index: 3, Range: hashkey.Full(), Parent: 1, AdjacentParent: 2}, {Index: 4, Range: hashkey.Full(), Parent: 1, AdjacentParent: -1},
		}},
	}
	for _, p := range pages {
		out := pageOutput(p)
		sameJSON(t, a.appendPage(nil, p), out.value())
	}
	appended := []engine.Appended{
		{Shard: 7, Sequence: seq(9)}, {Err: &engine.Error{Code: engine.CodeThrottled, Message: `Rate "exceeded"`}},
		{Err: &engine.Error{Code: engine.CodeStopped, Message: "disk 3 is broken"}}, {Shard: 123_456_789, Sequence: seq(10)},
	}
	failed := int64(2)
	want := PutRecordsOutput{FailedRecordCount: &failed, Records: []PutRecordsResultEntry{
		{ShardId: "shardId-000000000007", SequenceNumber: seq(9).String()},
		{ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: `Rate "exceeded"`},
		{ErrorCode: "InternalFailure", ErrorMessage: "Internal Service Failure"},
		{ShardId: "shardId-000123456789", SequenceNumber: seq(10).String()},
	}}
	sameJSON(t, appendPuts(nil, appended), want.value())
}

// TestPutEntries compares entries made from the one before with entries made from scratch: runs, gaps, more shards than
// are kept, failures in between.
func TestPutEntries(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	next := map[uint32]engine.Sequence{}
	for range 100 {
		appended := make([]engine.Appended, rnd.IntN(500))
		want := PutRecordsOutput{FailedRecordCount: new(int64)}
		shards := 1 + rnd.Uint32N(40)
		for i := range appended {
			if rnd.IntN(20) == 0 {
				appended[i].Err = &engine.Error{Code: engine.CodeThrottled, Message: "slow down"}
				*want.FailedRecordCount++
				want.Records = append(want.Records, PutRecordsResultEntry{
					ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: "slow down",
				})
				continue
			}
			shard := rnd.Uint32N(shards)
			s := next[shard]
			s.Shard = shard
			switch rnd.IntN(30) {
			case 0:
				s.Seconds++
			case 1:
				s.Position += rnd.Uint64N(1 << 50)
			case 2:
				s.ShardCreated++
			}
			appended[i].Shard, appended[i].Sequence = shard, s
			want.Records = append(want.Records, PutRecordsResultEntry{ShardId: shardID(shard), SequenceNumber: s.String()})
			s.Position++
			next[shard] = s
		}
		if want.Records == nil {
			want.Records = []PutRecordsResultEntry{}
		}
		sameJSON(t, appendPuts(nil, appended), want.value())
	}
}

func TestWritersAllocateNothing(t *testing.T) {
	a := bareAPI(t)
	p := &engine.Page{Next: "next", Records: make([]engine.ReadRecord, 100)}
	for i := range p.Records {
		p.Records[i] = engine.ReadRecord{Key: []byte("partition key"), Data: make([]byte, 100), Arrival: time.Now()}
	}
	out := make([]engine.Appended, 100)
	buf := make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(20, func() {
		a.appendPage(buf, p)
		appendPuts(buf, out)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

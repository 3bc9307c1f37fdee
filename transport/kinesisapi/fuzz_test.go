package kinesisapi

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// FuzzHandler sends any body to any action of a server over a real engine on an in-memory disk: whatever the input, the
// server is not at fault. The one 500 allowed is the one the API itself answers, to sequence numbers of version 0.
func FuzzHandler(f *testing.F) {
	actions := slices.Sorted(maps.Keys(inputShapes()))
	seeds := map[string]string{
		"CreateStream":     `{"StreamName":"b","ShardCount":2,"Tags":{"shardmill:routing":"xxhash","a":"b"},"StreamModeDetails":{"StreamMode":"PROVISIONED"}}`,
		"PutRecord":        `{"StreamName":"a","Data":"AQID","PartitionKey":"k","ExplicitHashKey":"12","SequenceNumberForOrdering":"7"}`,
		"PutRecords":       `{"StreamName":"a","Records":[{"Data":"AQID","PartitionKey":"k"},{"Data":"","PartitionKey":"\u00e9"}]}`,
		"GetShardIterator": `{"StreamName":"a","ShardId":"shardId-0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1.5}`,
		"GetRecords":       `{"ShardIterator":"AAAAAAAAAAE=","Limit":5}`,
		"ListShards":       `{"StreamName":"a","ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1e300},"MaxResults":1}`,
		"SplitShard":       `{"StreamName":"a","ShardToSplit":"shardId-1","NewStartingHashKey":"99"}`,
		"MergeShards":      `{"StreamName":"a","ShardToMerge":"0","AdjacentShardToMerge":"x-1"}`,
		"UpdateShardCount": `{"StreamName":"a","TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}`,
		"AddTagsToStream":  `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/a","Tags":{"k":"v"}}`,
		"TagResource":      `{"ResourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/a","Tags":{"k":"v"}}`,
		"ListStreams":      `{"Limit":1,"NextToken":"x"}`,
	}
	for i, a := range actions {
		f.Add(byte(i), []byte(seeds[a]))
		f.Add(byte(i), []byte(`{"StreamName":"a"}`))
	}
	s, _ := newServer(f, engine.Options{FS: vfs.NewMem(1 << 30), Dir: "data", ShardLimit: 30, RingSize: 1 << 22, SegmentSize: 1 << 22}, awshttp.Options{})
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		if len(body) == 0 {
			return
		}
		call(t, s, "CreateStream", `{"StreamName":"a","ShardCount":2}`) // may be gone: DeleteStream is fuzzed too
		action := actions[int(which)%len(actions)]
		code, doc := call(t, s, action, string(body))
		if code != http.StatusOK && code != http.StatusBadRequest && (code != http.StatusInternalServerError || action != "GetShardIterator") {
			t.Fatalf("%s %q: %d %v", action, body, code, doc)
		}
		if code != http.StatusOK && doc["__type"] == nil {
			t.Fatalf("%s %q: %d %v", action, body, code, doc)
		}
	})
}

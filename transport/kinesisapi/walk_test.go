package kinesisapi

import (
	"testing"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

func TestPutAndGet(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"a","ShardCount":1}`)
	t.Log(must(t, s, "DescribeStream", `{"StreamName":"a"}`))
	t.Log(must(t, s, "PutRecord", `{"StreamName":"a","PartitionKey":"k","Data":"AQID"}`))
	t.Log(must(t, s, "PutRecords", `{"StreamName":"a","Records":[{"PartitionKey":"k","Data":"AQID"},{"PartitionKey":"l","Data":"","ExplicitHashKey":"7"}]}`))
	it := must(t, s, "GetShardIterator", `{"StreamName":"a","ShardId":"shardId-0","ShardIteratorType":"TRIM_HORIZON"}`)
	token, _ := it["ShardIterator"].(string)
	t.Log(must(t, s, "GetRecords", `{"ShardIterator":"`+token+`"}`))
}

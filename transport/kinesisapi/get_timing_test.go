package kinesisapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// BenchmarkGet reads the same records again and again, in turn with a handler that returns as many bytes and with the
// base64 nobody can avoid.
func BenchmarkGet(b *testing.B) {
	for _, c := range []struct{ n, size int }{{500, 1024}, {5000, 100}} {
		b.Run(fmt.Sprintf("records=%d/size=%d", c.n, c.size), func(b *testing.B) { benchmarkGet(b, c.n, c.size) })
	}
}

func benchmarkGet(b *testing.B, n, size int) {
	address, _ := benchServer(b, engine.LevelMem, awshttp.Options{Authenticator: keys{"key": "secret"}})
	api := dialLean(b, address)
	put := request(b, address, "PutRecords", putBody(500, size))
	for range (n + 499) / 500 * 4 { // there are four shards
		api.do(b, put)
	}
	var it struct{ ShardIterator string }
	reply := api.do(b, request(b, address, "GetShardIterator",
		[]byte(`{"StreamName":"bench","ShardId":"shardId-1","ShardIteratorType":"TRIM_HORIZON"}`)))
	if err := json.Unmarshal(reply, &it); err != nil {
		b.Fatal(err)
	}
	get := request(b, address, "GetRecords", []byte(fmt.Sprintf(`{"ShardIterator":%q,"Limit":%d}`, it.ShardIterator, n)))
	reply = api.do(b, get)
	if got := len(members(reply, "Data")); got < n*9/10 {
		b.Fatalf("%d records, want %d", got, n)
	}
	nullAddress := nullServer(b, len(reply))
	null := dialLean(b, nullAddress)
	sendNull := request(b, nullAddress, "GetRecords", []byte(`{}`))
	data, dst := make([]byte, size), make([]byte, base64.StdEncoding.EncodedLen(size))
	var tAPI, tNull, tSum time.Duration
	b.SetBytes(int64(n * size))
	b.ReportAllocs()
	for b.Loop() {
		t0 := time.Now()
		api.do(b, get)
		t1 := time.Now()
		null.do(b, sendNull)
		t2 := time.Now()
		for range n {
			base64.StdEncoding.Encode(dst, data)
		}
		t3 := time.Now()
		tAPI, tNull, tSum = tAPI+t1.Sub(t0), tNull+t2.Sub(t1), tSum+t3.Sub(t2)
	}
	b.ReportMetric(float64(tAPI.Microseconds())/float64(b.N), "api-us")
	b.ReportMetric(float64(tNull.Microseconds())/float64(b.N), "null-us")
	b.ReportMetric(float64(tSum.Microseconds())/float64(b.N), "sums-us")
	b.ReportMetric(float64(tNull+tSum)/float64(tAPI), "ratio")
}

package kinesisapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// refused sends a request that must fail with a type and a message.
func refused(t *testing.T, h http.Handler, action, body, wantType, wantMessage string) {
	t.Helper()
	code, doc := call(t, h, action, body)
	message, _ := doc["message"].(string)
	if code != http.StatusBadRequest || doc["__type"] != wantType || !strings.Contains(message, wantMessage) {
		t.Errorf("%s %.200s: %d %v, want %s: %s", action, body, code, doc, wantType, wantMessage)
	}
}

const (
	invalid    = "InvalidArgumentException"
	validation = "ValidationException"
	missing    = "ResourceNotFoundException"
)

func inner(t *testing.T, doc map[string]any, name string) map[string]any {
	t.Helper()
	m, ok := doc[name].(map[string]any)
	if !ok {
		t.Fatalf("%v has no %s", doc, name)
	}
	return m
}

func TestReservedTags(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"plain","ShardCount":1}`)
	must(t, s, "CreateStream", `{"StreamName":"set","ShardCount":1,"Tags":{"shardmill:durability":"mem","shardmill:routing":"xxhash","k":"v"}}`)
	for _, action := range []struct{ name, member string }{
		{"DescribeStream", "StreamDescription"}, {"DescribeStreamSummary", "StreamDescriptionSummary"},
	} {
		d := inner(t, must(t, s, action.name, `{"StreamName":"plain"}`), action.member)
		if d["ShardmillDurability"] != nil || d["ShardmillRouting"] != nil {
			t.Errorf("defaults are shown: %v", d)
		}
		d = inner(t, must(t, s, action.name, `{"StreamName":"set"}`), action.member)
		if d["ShardmillDurability"] != "mem" || d["ShardmillRouting"] != "xxhash" {
			t.Errorf("settings are not shown: %v", d)
		}
	}
	if tags := fmt.Sprint(must(t, s, "ListTagsForStream", `{"StreamName":"set"}`)["Tags"]); tags != "[map[Key:k Value:v]]" {
		t.Errorf("tags %s", tags)
	}
	create := func(tags string) string { return `{"StreamName":"x","ShardCount":1,"Tags":{` + tags + `}}` }
	refused(t, s, "CreateStream", create(`"shardmill:durability":"paper"`), validation, "must be one of mem, os, disk")
	refused(t, s, "CreateStream", create(`"shardmill:routing":"crc"`), validation, "must be one of md5, xxhash")
	refused(t, s, "CreateStream", create(`"shardmill:colour":"red"`), validation, "is not known")
	refused(t, s, "AddTagsToStream", `{"StreamName":"set","Tags":{"shardmill:durability":"os"}}`, invalid, "reserved")
	refused(t, s, "RemoveTagsFromStream", `{"StreamName":"set","TagKeys":["shardmill:routing"]}`, invalid, "reserved")
	refused(t, s, "DescribeStream", `{"StreamName":"x"}`, missing, "Stream x under account 000000000000 not found.")
}

func TestCreateStream(t *testing.T) {
	s, _ := newServer(t, engine.Options{ShardLimit: 10}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"demand","StreamModeDetails":{"StreamMode":"ON_DEMAND"},"MaxRecordSizeInKiB":2048}`)
	d := inner(t, must(t, s, "DescribeStreamSummary", `{"StreamName":"demand"}`), "StreamDescriptionSummary")
	if d["OpenShardCount"] != 4.0 || d["MaxRecordSizeInKiB"] != 2048.0 || d["RecordDistributionStrategy"] != "USER_PARTITION_KEY" {
		t.Errorf("on-demand stream %v", d)
	}
	l := must(t, s, "DescribeLimits", `{}`)
	if l["OpenShardCount"] != 4.0 || l["ShardLimit"] != 10.0 || l["OnDemandStreamCount"] != 1.0 {
		t.Errorf("limits %v", l)
	}
	f := func(rest, wantType, wantMessage string) {
		t.Helper()
		refused(t, s, "CreateStream", `{"StreamName":"x",`+rest+`}`, wantType, wantMessage)
	}
	f(`"StreamModeDetails":{"StreamMode":"PROVISIONED"}`, validation, "Value null at 'shardCount'")
	f(`"StreamModeDetails":{"StreamMode":"ON_DEMAND"},"ShardCount":2`, validation, "ShardCount")
	f(`"ShardCount":1,"RecordDistributionStrategy":"AUTO"`, invalid, "AUTO")
	f(`"ShardCount":7`, "LimitExceededException", "Current shard count for the account: 4. Limit: 10.")
	f(`"ShardCount":1,"Tags":{"a;b":"c"}`, invalid, "invalid characters")
	refused(t, s, "UpdateShardCount", `{"StreamName":"demand","TargetShardCount":2,"ScalingType":"UNIFORM_SCALING"}`, validation, "is in On-Demand mode.")
	refused(t, s, "CreateStream", `{"StreamName":"demand","ShardCount":1}`, "ResourceInUseException", "Stream demand under account 000000000000 already exists.")
}

// TestRecordSizes takes data and key together to the limit of each stream, on both paths.
func TestRecordSizes(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"small","ShardCount":1}`)
	must(t, s, "CreateStream", `{"StreamName":"large","ShardCount":1,"MaxRecordSizeInKiB":2048}`)
	data := func(n int) string { return strings.Repeat("A", n/3*4) } // n is a multiple of 3
	f := func(stream string, size int, ok bool) {
		t.Helper()
		one := `"Data":"` + data(size) + `","PartitionKey":"k"`
		for _, extra := range []string{"", `,"StreamId":null`} { // the second one takes the general path
			for action, body := range map[string]string{
				"PutRecord": `{"StreamName":"` + stream + `",` + one + extra + `}`, "PutRecords": `{"StreamName":"` + stream + `","Records":[{` + one + `}]` + extra + `}`,
			} {
				code, doc := call(t, s, action, body)
				if (code == http.StatusOK) != ok || !ok && doc["__type"] != validation {
					t.Errorf("%s to %s of %d bytes: %d %.300v", action, stream, size, code, doc)
				}
			}
		}
	}
	const mib = 1 << 20 // one more than a multiple of 3
	f("small", mib-1, true)
	f("small", mib+2, false)
	f("large", mib+2, true)
	f("large", 2*mib-2, true)
	f("large", 2*mib+1, false)
	many := `{"Data":"` + data(mib-1) + `","PartitionKey":"k"}`
	refused(t, s, "PutRecords", `{"StreamName":"small","Records":[`+many+strings.Repeat(","+many, 10)+`]}`, invalid, "exceeds 10 MB limit")
}

func TestNamesAndARNs(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"a","ShardCount":1}`)
	const ours = "arn:aws:kinesis:us-east-1:000000000000:stream/"
	put := `,"Data":"","PartitionKey":"k"}`
	must(t, s, "PutRecord", `{"StreamARN":"`+ours+`a"`+put)
	must(t, s, "PutRecord", `{"StreamName":"a","StreamARN":"`+ours+`a"`+put)
	must(t, s, "PutRecord", `{"StreamName":"a","StreamId":"aaaaaaaaaaaaaaaaaaaa-bbb"`+put)
	refused(t, s, "PutRecord", `{"StreamName":"b","StreamARN":"`+ours+`a"`+put, invalid, "different streams")
	refused(t, s, "PutRecord", `{"StreamARN":"`+ours+`a/consumer/b:1"`+put, missing, "Stream a/consumer/b:1 under account")
	refused(t, s, "PutRecord", `{"StreamARN":"arn:aws:kinesis:us-west-1:000000000000:stream/a"`+put, missing, "Stream a under account 000000000000 not found.")
	refused(t, s, "PutRecord", `{"StreamARN":"arn:aws:kinesis:us-east-1:111111111111:stream/a"`+put, missing, "Stream a under account 111111111111 not found.")
	refused(t, s, "PutRecord", `{"StreamARN":"arn:x"`+put, validation, "regular expression pattern")
	refused(t, s, "TagResource", `{"ResourceARN":"arn:aws:kinesis:us-east-1:000000000000:queue/a","Tags":{"a":"b"}}`, invalid, "is invalid")
	refused(t, s, "PutRecord", `{"StreamName":"a","ExplicitHashKey":"340282366920938463463374607431768211456"`+put, invalid,
		"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456")
	f := func(region, want string) {
		t.Helper()
		if got := arn(engine.Name{Account: "1", Region: region, Stream: "s"}); got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
	f("eu-west-1", "arn:aws:kinesis:eu-west-1:1:stream/s")
	f("cn-north-1", "arn:aws-cn:kinesis:cn-north-1:1:stream/s")
	f("us-gov-west-1", "arn:aws-us-gov:kinesis:us-gov-west-1:1:stream/s")
}

func TestShardIDs(t *testing.T) {
	n := engine.Name{Account: "1", Stream: "s"}
	f := func(id string, want int64) {
		t.Helper()
		if got, err := shardIndex(id, n); err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", id, got, err, want)
		}
	}
	f("shardId-000000000012", 12)
	f("12", 12)
	f("x-12", 12)
	f("-12", 12)
	f("a-00002147483647", 1<<31-1)
	for _, id := range []string{"2147483648", "shardId-002147483648", "ABKLFD8", "2.14E4", "5-x", "+5", "x-+5", "-", "x", "５"} {
		if got, err := shardIndex(id, n); err == nil {
			t.Errorf("%s is shard %d", id, got)
		}
	}
}

// TestPageTokens lets tokens expire, and tries them where they do not belong.
func TestPageTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := bareAPI(t)
		c := awshttp.NewCall(t.Context(), awshttp.Identity{Account: "1", Region: "r"}, nil)
		token, err := a.tokens.seal(page{Action: "ListShards", Account: "1", Region: "r", Stream: "s", After: "shardId-000000000007"})
		if err != nil {
			t.Fatal(err)
		}
		f := func(c *awshttp.Call, action, token, want string) {
			t.Helper()
			p, err := a.tokens.open(c, action, token)
			switch {
			case want == "":
				if err != nil || p.Stream != "s" || p.After != "shardId-000000000007" {
					t.Errorf("%+v %v", p, err)
				}
			case err == nil || !strings.HasPrefix(err.Error(), want):
				t.Errorf("%s %.20s: %v, want %s", action, token, err, want)
			}
		}
		f(c, "ListShards", token, "")
		f(c, "ListStreams", token, invalid)
		f(awshttp.NewCall(t.Context(), awshttp.Identity{Account: "2", Region: "r"}, nil), "ListShards", token, invalid)
		f(c, "ListShards", token[:len(token)-4]+"AAAA", invalid)
		f(c, "ListShards", "!", invalid)
		f(c, "ListShards", "", invalid)
		f(c, "ListShards", strings.Repeat("A", maxToken+4), invalid)
		f(bareCall(t, c), "ListShards", token, "")
		time.Sleep(tokenLife)
		f(c, "ListShards", token, "")
		time.Sleep(time.Millisecond)
		f(c, "ListShards", token, "ExpiredNextTokenException")
		if _, err := bareAPI(t).tokens.open(c, "ListShards", token); err == nil {
			t.Error("another process takes the token")
		}
	})
}

func bareCall(t *testing.T, c *awshttp.Call) *awshttp.Call {
	return awshttp.NewCall(t.Context(), c.Identity, nil)
}

func TestPaging(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	var want []string
	for i := range 5 {
		name := fmt.Sprintf("s%d", i)
		want = append(want, name)
		must(t, s, "CreateStream", `{"StreamName":"`+name+`","ShardCount":1}`)
	}
	var got []string
	body := `{"Limit":2}`
	for range 5 {
		doc := must(t, s, "ListStreams", body)
		names, _ := doc["StreamNames"].([]any)
		for _, n := range names {
			got = append(got, fmt.Sprint(n))
		}
		if doc["HasMoreStreams"] != (doc["NextToken"] != nil) {
			t.Errorf("%v", doc)
		}
		if doc["NextToken"] == nil {
			break
		}
		body = fmt.Sprintf(`{"Limit":2,"NextToken":%q}`, doc["NextToken"])
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("streams in pages: %v", got)
	}
	refused(t, s, "ListStreams", `{"NextToken":"x"}`, invalid, "NextToken is invalid.")
	refused(t, s, "ListShards", `{"NextToken":"x"}`, invalid, "NextToken is invalid.")
	refused(t, s, "ListShards", `{"NextToken":"x","StreamName":"s0"}`, invalid, "cannot be provided together")
	refused(t, s, "ListShards", `{"NextToken":"x","ShardFilter":{"Type":"AT_LATEST"}}`, invalid, "cannot be provided together")
	refused(t, s, "ListShards", `{}`, invalid, "Either NextToken or StreamName should be provided.")
	refused(t, s, "ListShards", `{"StreamName":"s0","StreamCreationTimestamp":1}`, missing, "Stream s0")
	refused(t, s, "ListShards", `{"StreamName":"s0","ShardFilter":{"Type":"AT_TIMESTAMP"}}`, invalid, "Timestamp is required")
	refused(t, s, "ListShards", `{"StreamName":"s0","ShardFilter":{"Type":"AFTER_SHARD_ID"}}`, invalid, "ShardId is required")
}

// TestShardFilters looks at a split two hours ago, an hour after the stream was made.
func TestShardFilters(t *testing.T) {
	const hour = 3600
	now := time.Now().Unix()
	info := &engine.StreamInfo{RetentionHours: 24, Created: time.Unix(now-3*hour, 0), Shards: []engine.ShardInfo{
		{Index: 0, CreatedSeconds: now - 3*hour, ClosedSeconds: now - 2*hour}, {Index: 1, CreatedSeconds: now - 3*hour},
		{Index: 2, CreatedSeconds: now - 2*hour + 1}, {Index: 3, CreatedSeconds: now - 2*hour + 1},
	}}
	f := func(filter ShardFilter, want string) {
		t.Helper()
		pick, err := picker(&filter, info, engine.Name{})
		if err != nil {
			t.Fatal(err)
		}
		var got []uint32
		for i := range info.Shards {
			if pick(&info.Shards[i]) {
				got = append(got, info.Shards[i].Index)
			}
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%+v: %v, want %s", filter, got, want)
		}
	}
	at := func(sec int64) *time.Time { v := time.Unix(sec, 0); return &v }
	f(ShardFilter{Type: "AT_LATEST"}, "[1 2 3]")
	f(ShardFilter{Type: "AT_TRIM_HORIZON"}, "[0 1]")
	f(ShardFilter{Type: "FROM_TRIM_HORIZON"}, "[0 1 2 3]")
	f(ShardFilter{Type: "AFTER_SHARD_ID", ShardId: "shardId-000000000001"}, "[2 3]")
	f(ShardFilter{Type: "AT_TIMESTAMP", Timestamp: at(now - 2*hour)}, "[0 1]")
	f(ShardFilter{Type: "AT_TIMESTAMP", Timestamp: at(now - 2*hour + 1)}, "[1 2 3]")
	f(ShardFilter{Type: "AT_TIMESTAMP", Timestamp: at(0)}, "[0 1]")
	f(ShardFilter{Type: "FROM_TIMESTAMP", Timestamp: at(now - 2*hour)}, "[0 1 2 3]")
	f(ShardFilter{Type: "FROM_TIMESTAMP", Timestamp: at(now - hour)}, "[1 2 3]")
}

// TestTransitions wants the data plane closed while a stream is made, and open while it is changed.
func TestTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, engine.Options{Transition: time.Second}, awshttp.Options{})
		must(t, s, "CreateStream", `{"StreamName":"a","ShardCount":1}`)
		d := inner(t, must(t, s, "DescribeStream", `{"StreamName":"a"}`), "StreamDescription")
		if d["StreamStatus"] != "CREATING" || fmt.Sprint(d["Shards"]) != "[]" {
			t.Errorf("a stream being made: %v", d)
		}
		put := `{"StreamName":"a","Data":"","PartitionKey":"k"}`
		iterator := `{"StreamName":"a","ShardId":"shardId-0","ShardIteratorType":"LATEST"}`
		refused(t, s, "PutRecord", put, missing, "Stream a under account 000000000000 not found.")
		refused(t, s, "GetShardIterator", iterator, missing, "Shard shardId-000000000000 in stream a under account 000000000000 does not exist")
		refused(t, s, "SplitShard", `{"StreamName":"a","ShardToSplit":"shardId-0","NewStartingHashKey":"9"}`, "ResourceInUseException", "not ACTIVE, instead in state CREATING")
		time.Sleep(2 * time.Second)
		must(t, s, "PutRecord", put)
		must(t, s, "SplitShard", `{"StreamName":"a","ShardToSplit":"shardId-0","NewStartingHashKey":"9"}`)
		must(t, s, "PutRecord", put)
		refused(t, s, "DescribeStream", `{"StreamName":"b"}`, missing, "Stream b")
		time.Sleep(2 * time.Second)
		must(t, s, "DeleteStream", `{"StreamName":"a"}`)
		refused(t, s, "PutRecord", put, missing, "not found.")
		time.Sleep(2 * time.Second)
		refused(t, s, "DescribeStream", `{"StreamName":"a"}`, missing, "not found.")
	})
}

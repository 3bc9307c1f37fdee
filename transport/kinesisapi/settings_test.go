package kinesisapi

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

const arnOf = "arn:aws:kinesis:us-east-1:000000000000:stream/"

func summary(t *testing.T, s *awshttp.Server, stream string) map[string]any {
	t.Helper()
	return inner(t, must(t, s, "DescribeStreamSummary", `{"StreamName":"`+stream+`"}`), "StreamDescriptionSummary")
}

func TestUpdateStreamMode(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":2}`)
	setMode := func(mode string) string {
		return `{"StreamARN":"` + arnOf + `s","StreamModeDetails":{"StreamMode":"` + mode + `"}}`
	}
	if out := must(t, s, "UpdateStreamMode", setMode("ON_DEMAND")); out != nil {
		t.Errorf("%v", out)
	}
	d := summary(t, s, "s")
	if fmt.Sprint(d["StreamModeDetails"]) != "map[StreamMode:ON_DEMAND]" || d["OpenShardCount"] != 2.0 {
		t.Errorf("%v", d)
	}
	const text = "Request is invalid. Stream s under account 000000000000 is in On-Demand mode."
	refused(t, s, "SplitShard", `{"StreamName":"s","ShardToSplit":"0","NewStartingHashKey":"5"}`, validation, text)
	refused(t, s, "MergeShards", `{"StreamName":"s","ShardToMerge":"0","AdjacentShardToMerge":"1"}`, validation, text)
	refused(t, s, "UpdateShardCount", `{"StreamName":"s","TargetShardCount":4,"ScalingType":"UNIFORM_SCALING"}`, validation, text)
	if l := must(t, s, "DescribeLimits", `{}`); l["OnDemandStreamCount"] != 1.0 || l["ChannelCount"] != 0.0 {
		t.Errorf("%v", l)
	}
	must(t, s, "UpdateStreamMode", setMode("PROVISIONED"))
	must(t, s, "SplitShard", `{"StreamName":"s","ShardToSplit":"0","NewStartingHashKey":"5"}`)
	refused(t, s, "UpdateStreamMode", setMode("ON_DEMAND"), "LimitExceededException", "24 hours")
	refused(t, s, "UpdateStreamMode", strings.Replace(setMode("ON_DEMAND"), "/s", "/none", 1), missing, "Stream none under account 000000000000 not found.")
}

func TestEncryptionAction(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	put := func(extra string) map[string]any {
		t.Helper()
		return must(t, s, "PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"AQ=="`+extra+`}`)
	}
	const slow = `,"SequenceNumberForOrdering":"1"` // takes the general path
	puts := `{"StreamName":"s","Records":[{"PartitionKey":"k","Data":"AQ=="}]}`
	for _, out := range []map[string]any{put(""), put(slow), must(t, s, "PutRecords", puts)} {
		if out["EncryptionType"] != nil {
			t.Errorf("not encrypted: %v", out)
		}
	}
	const key = `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`
	must(t, s, "StartStreamEncryption", key)
	for _, out := range []map[string]any{
		put(""), put(slow), must(t, s, "PutRecords", puts), summary(t, s, "s"), inner(t, must(t, s, "DescribeStream", `{"StreamName":"s"}`), "StreamDescription"),
	} {
		if out["EncryptionType"] != "KMS" {
			t.Errorf("encrypted: %v", out)
		}
	}
	if d := summary(t, s, "s"); d["KeyId"] != "alias/aws/kinesis" {
		t.Errorf("%v", d)
	}
	must(t, s, "StopStreamEncryption", key)
	put("")
	if d := summary(t, s, "s"); d["KeyId"] != nil || d["EncryptionType"] != "NONE" {
		t.Errorf("%v", d)
	}
	it := must(t, s, "GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}`)["ShardIterator"]
	records, _ := must(t, s, "GetRecords", fmt.Sprintf(`{"ShardIterator":%q}`, it))["Records"].([]any)
	var got []any
	for _, r := range records {
		r, _ := r.(map[string]any)
		got = append(got, r["EncryptionType"])
	}
	if fmt.Sprint(got) != "[<nil> <nil> <nil> KMS KMS KMS <nil>]" {
		t.Errorf("%v", got)
	}
	refused(t, s, "StartStreamEncryption", strings.Replace(key, "KMS", "NONE", 1), invalid, "EncryptionType NONE is invalid")
}

func TestMonitoringActions(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	f := func(action, metrics, before, after string) {
		t.Helper()
		out := must(t, s, action, `{"StreamName":"s","ShardLevelMetrics":[`+metrics+`]}`)
		if fmt.Sprint(out["CurrentShardLevelMetrics"]) != before || fmt.Sprint(out["DesiredShardLevelMetrics"]) != after ||
			out["StreamName"] != "s" || out["StreamARN"] != arnOf+"s" {
			t.Errorf("%s %s: %v", action, metrics, out)
		}
	}
	all := "[" + strings.Join(func() []string { m := shardMetrics(); return m[:] }(), " ") + "]"
	f("EnableEnhancedMonitoring", `"OutgoingBytes","IncomingBytes"`, "[]", "[IncomingBytes OutgoingBytes]")
	f("EnableEnhancedMonitoring", `"ALL"`, "[IncomingBytes OutgoingBytes]", all)
	f("DisableEnhancedMonitoring", `"IncomingBytes","OutgoingBytes","OutgoingRecords","IncomingRecords","IteratorAgeMilliseconds"`, all,
		"[WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded]")
	want := "[map[ShardLevelMetrics:[WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded]]]"
	if d := summary(t, s, "s"); fmt.Sprint(d["EnhancedMonitoring"]) != want {
		t.Errorf("%v", d)
	}
	refused(t, s, "EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["Bytes"]}`, validation,
		"Value '[Bytes]' at 'shardLevelMetrics' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [IncomingBytes, ")
}

func TestPolicyActions(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	consumer := inner(t, must(t, s, "RegisterStreamConsumer", `{"StreamARN":"`+arnOf+`s","ConsumerName":"c"}`), "Consumer")["ConsumerARN"]
	for _, resource := range []string{arnOf + "s", fmt.Sprint(consumer)} {
		named := `{"ResourceARN":"` + resource + `"`
		if out := must(t, s, "GetResourcePolicy", named+`}`); out["Policy"] != "{}" {
			t.Errorf("%s: %v", resource, out)
		}
		refused(t, s, "DeleteResourcePolicy", named+`}`, missing, "No resource policy found for resource ARN "+resource+".")
		must(t, s, "PutResourcePolicy", named+`,"Policy":"{\"a\":\"`+resource+`\"}"}`)
		if out := must(t, s, "GetResourcePolicy", named+`}`); out["Policy"] != `{"a":"`+resource+`"}` {
			t.Errorf("%s: %v", resource, out)
		}
		refused(t, s, "PutResourcePolicy", named+`,"Policy":"x"}`, invalid, "policy")
	}
	must(t, s, "DeleteResourcePolicy", `{"ResourceARN":"`+arnOf+`s"}`)
	for _, action := range []string{"GetResourcePolicy", "DeleteResourcePolicy"} {
		refused(t, s, action, `{"ResourceARN":"`+arnOf+`none"}`, missing, "Stream "+arnOf+"none under account 000000000000 not found.")
		refused(t, s, action, `{"ResourceARN":"`+arnOf+`s/consumer/none:1"}`, missing, "Consumer none")
		refused(t, s, action, `{"ResourceARN":"arn:aws:kinesis:us-east-1:000000000000:queue/q"}`, invalid, "is invalid")
	}
}

func TestAccountAndWarmThroughput(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	status := func(out map[string]any) any {
		t.Helper()
		c := inner(t, out, "MinimumThroughputBillingCommitment")
		if (c["Status"] == "DISABLED") != (c["EarliestAllowedEndAt"] == nil) {
			t.Errorf("%v", c)
		}
		return c["Status"]
	}
	set := func(to string) map[string]any {
		return must(t, s, "UpdateAccountSettings", `{"MinimumThroughputBillingCommitment":{"Status":"`+to+`"}}`)
	}
	const create = `{"StreamName":"s","StreamModeDetails":{"StreamMode":"ON_DEMAND"},"WarmThroughputMiBps":100}`
	refused(t, s, "CreateStream", create, validation, "MinimumThroughputBillingCommitment is not enabled")
	if got := status(must(t, s, "DescribeAccountSettings", `{}`)); got != "DISABLED" {
		t.Error(got)
	}
	if got := status(set("ENABLED")); got != "ENABLED" {
		t.Error(got)
	}
	must(t, s, "CreateStream", create)
	out := must(t, s, "UpdateStreamWarmThroughput", `{"StreamName":"s","WarmThroughputMiBps":200}`)
	if fmt.Sprint(out["WarmThroughput"]) != "map[CurrentMiBps:100 TargetMiBps:200]" || out["StreamARN"] != arnOf+"s" {
		t.Errorf("%v", out)
	}
	if d := summary(t, s, "s"); fmt.Sprint(d["WarmThroughput"]) != "map[CurrentMiBps:200 TargetMiBps:200]" {
		t.Errorf("%v", d)
	}
	if got := status(set("DISABLED")); got != "ENABLED_UNTIL_EARLIEST_ALLOWED_END" {
		t.Error(got)
	}
	must(t, s, "CreateStream", `{"StreamName":"p","ShardCount":1}`)
	refused(t, s, "UpdateStreamWarmThroughput", `{"StreamName":"p","WarmThroughputMiBps":200}`, validation, "Provisioned mode")
}

func TestUpdateMaxRecordSize(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	put := func(n int) string {
		return `{"StreamName":"s","PartitionKey":"k","Data":"` + base64.StdEncoding.EncodeToString(make([]byte, n)) + `"}`
	}
	const text = "Member must have length less than or equal to 10485760"
	refused(t, s, "PutRecord", put(1<<20+1), validation, "1048576")
	must(t, s, "UpdateMaxRecordSize", `{"StreamARN":"`+arnOf+`s","MaxRecordSizeInKiB":10240}`)
	must(t, s, "PutRecord", put(10<<20-1))
	refused(t, s, "PutRecord", put(10<<20), validation, text) // the key counts
	must(t, s, "UpdateMaxRecordSize", `{"StreamARN":"`+arnOf+`s","MaxRecordSizeInKiB":1024}`)
	refused(t, s, "PutRecord", put(1<<20+1), validation, "1048576")
	refused(t, s, "UpdateMaxRecordSize", `{"MaxRecordSizeInKiB":1024}`, invalid, "StreamARN")
	shapes := inputShapes()
	must(t, s, "UpdateMaxRecordSize", `{"StreamARN":"`+arnOf+`s","MaxRecordSizeInKiB":10240}`)
	big := asCBOR(shapes["PutRecord"], map[string]any{"StreamName": "s", "PartitionKey": "k", "Data": base64.StdEncoding.EncodeToString(make([]byte, 9<<20))})
	if code, out := callCBOR(t, s, "PutRecord", big); code != 200 {
		t.Errorf("9 MiB over CBOR: %d %v", code, out)
	}
}

func TestDistributionActions(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`)
	must(t, s, "CreateStream", `{"StreamName":"p","ShardCount":1}`)
	set := func(stream, to string) string {
		return `{"StreamARN":"` + arnOf + stream + `","RecordDistributionStrategy":"` + to + `"}`
	}
	refused(t, s, "UpdateStreamRecordDistributionStrategy", set("p", "AUTO"), invalid, "AUTO")
	refused(t, s, "CreateStream", `{"StreamName":"q","ShardCount":1,"RecordDistributionStrategy":"AUTO"}`, invalid, "AUTO")
	refused(t, s, "PutRecord", `{"StreamName":"s","Data":""}`, validation, "Value null at 'partitionKey'")
	must(t, s, "UpdateStreamRecordDistributionStrategy", set("s", "AUTO"))
	if d := summary(t, s, "s"); d["RecordDistributionStrategy"] != "AUTO" {
		t.Errorf("%v", d)
	}
	shards := map[any]int{}
	for range 2 {
		shards[must(t, s, "PutRecord", `{"StreamName":"s","PartitionKey":"same","Data":""}`)["ShardId"]]++
		shards[must(t, s, "PutRecord", `{"StreamName":"s","Data":"","ExplicitHashKey":"0"}`)["ShardId"]]++
	}
	if len(shards) != 4 {
		t.Errorf("%v", shards)
	}
	out := must(t, s, "PutRecords", `{"StreamName":"s","Records":[{"Data":""},{"Data":"","PartitionKey":"same"}]}`)
	if out["FailedRecordCount"] != 0.0 {
		t.Errorf("%v", out)
	}
	keys := map[string]int{}
	for i := range 4 {
		it := must(t, s, "GetShardIterator", fmt.Sprintf(`{"StreamName":"s","ShardId":"%d","ShardIteratorType":"TRIM_HORIZON"}`, i))["ShardIterator"]
		records, _ := must(t, s, "GetRecords", fmt.Sprintf(`{"ShardIterator":%q}`, it))["Records"].([]any)
		for _, r := range records {
			r, _ := r.(map[string]any)
			keys[fmt.Sprint(r["PartitionKey"])]++
		}
	}
	if keys["same"] != 3 || keys["<nil>"] != 3 || len(keys) != 2 {
		t.Errorf("%v", keys)
	}
	must(t, s, "UpdateStreamRecordDistributionStrategy", set("s", "USER_PARTITION_KEY"))
	refused(t, s, "PutRecord", `{"StreamName":"s","Data":""}`, validation, "Value null at 'partitionKey'")
}

func TestTagCharacters(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	refused(t, s, "AddTagsToStream", `{"StreamName":"s","Tags":{"a:b":"c"}}`, invalid, "Some tags contain invalid characters")
	must(t, s, "TagResource", `{"ResourceARN":"`+arnOf+`s","Tags":{"a:b":"c:d"}}`)
	refused(t, s, "TagResource", `{"ResourceARN":"`+arnOf+`s","Tags":{"a%":"c"}}`, invalid, "Some tags contain invalid characters")
	if out := must(t, s, "ListTagsForResource", `{"ResourceARN":"`+arnOf+`s"}`); fmt.Sprint(out["Tags"]) != "[map[Key:a:b Value:c:d]]" {
		t.Errorf("%v", out)
	}
	must(t, s, "UntagResource", `{"ResourceARN":"`+arnOf+`s","TagKeys":["a:b"]}`)
	if out := must(t, s, "ListTagsForResource", `{"ResourceARN":"`+arnOf+`s"}`); fmt.Sprint(out["Tags"]) != "[]" {
		t.Errorf("%v", out)
	}
}

// TestDryRun: a dry run finds what a real one would, and changes nothing.
func TestDryRun(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	must(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	const dry, text = "DryRunOperationException", "Request would have succeeded, but DryRun flag is set."
	put := `{"StreamName":"s","PartitionKey":"k","Data":"AQ==","DryRun":true}`
	iterator := `{"StreamName":"s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"`
	refused(t, s, "PutRecord", put, dry, text)
	refused(t, s, "PutRecord", strings.Replace(put, `"s"`, `"none"`, 1), missing, "Stream none")
	refused(t, s, "PutRecords", `{"StreamName":"s","DryRun":true,"Records":[{"PartitionKey":"k","Data":"AQ=="}]}`, dry, text)
	refused(t, s, "GetShardIterator", iterator+`,"DryRun":true}`, dry, text)
	it := must(t, s, "GetShardIterator", iterator+`,"DryRun":false}`)["ShardIterator"]
	refused(t, s, "GetRecords", fmt.Sprintf(`{"ShardIterator":%q,"DryRun":true}`, it), dry, text)
	refused(t, s, "GetRecords", `{"ShardIterator":"x","DryRun":true}`, invalid, "Invalid ShardIterator")
	if out := must(t, s, "GetRecords", fmt.Sprintf(`{"ShardIterator":%q}`, it)); fmt.Sprint(out["Records"]) != "[]" {
		t.Errorf("a dry run wrote %v", out)
	}
	must(t, s, "PutRecord", strings.Replace(put, "true", "false", 1))
	if out := must(t, s, "GetRecords", fmt.Sprintf(`{"ShardIterator":%q}`, it)); !strings.Contains(fmt.Sprint(out["Records"]), "PartitionKey:k") {
		t.Errorf("%v", out)
	}
}

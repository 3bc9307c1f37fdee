package kinesisapi

import (
	"fmt"
	"strings"
	"sync"

	"github.com/emmansun/base64"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// maxBody holds 10 MiB of records as base64 and the JSON around 500 of them.
const maxBody = 15 << 20

// API answers the actions of Kinesis Data Streams from an engine. Its methods may be called concurrently.
type API struct {
	engine *engine.Engine
	shapes map[string]*awshttp.Shape
	tokens tokenSealer
	base64 *base64.Encoding
	puts   sync.Pool // of *putBuffer
}

// New makes the API of an engine. The engine stays the caller's and must outlive it.
func New(e *engine.Engine) (*API, error) {
	a := &API{engine: e, shapes: inputShapes(), base64: strictBase64()}
	if err := a.tokens.init(); err != nil {
		return nil, fmt.Errorf("key of page tokens: %w", err)
	}
	a.puts.New = func() any { return new(putBuffer) }
	return a, nil
}

// Service is the table of all actions. Operations that are not in it do not exist for clients.
func (a *API) Service() awshttp.Service {
	s := awshttp.Service{Target: "Kinesis_20131202", Signing: "kinesis", MaxBody: maxBody}
	add := func(name string, do func(*awshttp.Call) error) {
		s.Actions = append(s.Actions, awshttp.Action{Name: name, Input: a.shapes[name], Do: do})
	}
	add("AddTagsToStream", quiet(decodeAddTagsToStreamInput, a.AddTagsToStream))
	add("CreateStream", quiet(decodeCreateStreamInput, a.CreateStream))
	add("DecreaseStreamRetentionPeriod", quiet(decodeDecreaseStreamRetentionPeriodInput, a.DecreaseStreamRetentionPeriod))
	add("DeleteStream", quiet(decodeDeleteStreamInput, a.DeleteStream))
	add("DeregisterStreamConsumer", quiet(decodeDeregisterStreamConsumerInput, a.DeregisterStreamConsumer))
	add("DescribeLimits", reply(decodeDescribeLimitsInput, a.DescribeLimits))
	add("DescribeStream", a.describeStream)
	add("DescribeStreamConsumer", reply(decodeDescribeStreamConsumerInput, a.DescribeStreamConsumer))
	add("DescribeStreamSummary", a.describeStreamSummary)
	add("GetRecords", a.getRecords)
	add("GetShardIterator", reply(decodeGetShardIteratorInput, a.GetShardIterator))
	add("IncreaseStreamRetentionPeriod", quiet(decodeIncreaseStreamRetentionPeriodInput, a.IncreaseStreamRetentionPeriod))
	add("ListShards", reply(decodeListShardsInput, a.ListShards))
	add("ListStreamConsumers", reply(decodeListStreamConsumersInput, a.ListStreamConsumers))
	add("ListStreams", reply(decodeListStreamsInput, a.ListStreams))
	add("ListTagsForResource", reply(decodeListTagsForResourceInput, a.ListTagsForResource))
	add("ListTagsForStream", reply(decodeListTagsForStreamInput, a.ListTagsForStream))
	add("MergeShards", quiet(decodeMergeShardsInput, a.MergeShards))
	add("RegisterStreamConsumer", reply(decodeRegisterStreamConsumerInput, a.RegisterStreamConsumer))
	add("RemoveTagsFromStream", quiet(decodeRemoveTagsFromStreamInput, a.RemoveTagsFromStream))
	add("SplitShard", quiet(decodeSplitShardInput, a.SplitShard))
	add("SubscribeToShard", a.subscribeToShard)
	add("TagResource", quiet(decodeTagResourceInput, a.TagResource))
	add("UntagResource", quiet(decodeUntagResourceInput, a.UntagResource))
	add("UpdateShardCount", reply(decodeUpdateShardCountInput, a.UpdateShardCount))
	a.addSettings(add)
	s.Actions = append(s.Actions,
		awshttp.Action{
			Name: "PutRecord", Input: a.shapes["PutRecord"], Do: reply(decodePutRecordInput, a.PutRecord),
			Widen: a.widen("PutRecord"), Direct: a.putRecordDirect, DirectCBOR: a.putRecordCBOR,
		},
		awshttp.Action{
			Name: "PutRecords", Input: a.shapes["PutRecords"], Do: reply(decodePutRecordsInput, a.PutRecords),
			Widen: a.widen("PutRecords"), Direct: a.putRecordsDirect, DirectCBOR: a.putRecordsCBOR,
		},
	)
	return s
}

// addSettings adds the actions that switch something on a stream or an account.
func (a *API) addSettings(add func(string, func(*awshttp.Call) error)) {
	add("DeleteResourcePolicy", quiet(decodeDeleteResourcePolicyInput, a.DeleteResourcePolicy))
	add("DescribeAccountSettings", reply(decodeDescribeAccountSettingsInput, a.DescribeAccountSettings))
	add("DisableEnhancedMonitoring", reply(decodeDisableEnhancedMonitoringInput, a.DisableEnhancedMonitoring))
	add("EnableEnhancedMonitoring", reply(decodeEnableEnhancedMonitoringInput, a.EnableEnhancedMonitoring))
	add("GetResourcePolicy", reply(decodeGetResourcePolicyInput, a.GetResourcePolicy))
	add("PutResourcePolicy", quiet(decodePutResourcePolicyInput, a.PutResourcePolicy))
	add("StartStreamEncryption", quiet(decodeStartStreamEncryptionInput, a.StartStreamEncryption))
	add("StopStreamEncryption", quiet(decodeStopStreamEncryptionInput, a.StopStreamEncryption))
	add("UpdateAccountSettings", reply(decodeUpdateAccountSettingsInput, a.UpdateAccountSettings))
	add("UpdateMaxRecordSize", quiet(decodeUpdateMaxRecordSizeInput, a.UpdateMaxRecordSize))
	add("UpdateStreamMode", quiet(decodeUpdateStreamModeInput, a.UpdateStreamMode))
	add("UpdateStreamRecordDistributionStrategy", quiet(decodeUpdateStreamRecordDistributionStrategyInput, a.UpdateStreamRecordDistributionStrategy))
	add("UpdateStreamWarmThroughput", reply(decodeUpdateStreamWarmThroughputInput, a.UpdateStreamWarmThroughput))
}

// quiet adapts an action without a result: the reply has an empty body.
func quiet[I any](decode func(awshttp.Value) I, do func(*awshttp.Call, *I) error) func(*awshttp.Call) error {
	return func(c *awshttp.Call) error {
		in := decode(c.Input)
		return asAWS(do(c, &in))
	}
}

// reply adapts an action with a result.
func reply[I any, O any, P interface {
	*O
	value() awshttp.Value
}](decode func(awshttp.Value) I, do func(*awshttp.Call, *I) (*O, error)) func(*awshttp.Call) error {
	return func(c *awshttp.Call) error {
		in := decode(c.Input)
		out, err := do(c, &in)
		if err != nil {
			return asAWS(err)
		}
		c.Reply(P(out).value())
		return nil
	}
}

// streamName is the stream that a name or an ARN stands for; an ARN carries its own region and account.
func streamName(c *awshttp.Call, name, arn string) (engine.Name, error) {
	n := engine.Name{Account: c.Account, Region: c.Region, Stream: name}
	if arn == "" {
		return n, nil
	}
	parts := strings.SplitN(arn, ":", 6)
	resource, isStream := "", false
	if len(parts) == 6 {
		resource, isStream = strings.CutPrefix(parts[5], "stream/")
	}
	if !isStream {
		return n, invalidArgument("StreamARN " + arn + " is invalid.")
	}
	if name != "" && name != resource {
		return n, invalidArgument("StreamName " + name + " and StreamARN " + arn + " name different streams.")
	}
	return engine.Name{Account: parts[4], Region: parts[3], Stream: resource}, nil
}

// stream finds the stream that a name or an ARN stands for.
func (a *API) stream(c *awshttp.Call, name, arn string) (*engine.Stream, engine.Name, error) {
	n, err := streamName(c, name, arn)
	if err != nil {
		return nil, n, err
	}
	s, err := a.engine.Stream(n)
	return s, n, err
}

// arn is how the API names a stream outside its account.
func arn(n engine.Name) string {
	partition := "aws"
	switch {
	case strings.HasPrefix(n.Region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(n.Region, "us-gov-"):
		partition = "aws-us-gov"
	}
	return "arn:" + partition + ":kinesis:" + n.Region + ":" + n.Account + ":stream/" + n.Stream
}

// do finds a stream and calls f with it; it exists to keep the actions short.
func (a *API) do(c *awshttp.Call, name, arn string, f func(*engine.Stream) error) error {
	s, _, err := a.stream(c, name, arn)
	if err != nil {
		return err
	}
	return f(s)
}

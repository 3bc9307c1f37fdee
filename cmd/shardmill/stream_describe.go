package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type streamDescribeCmd struct {
	clientFlags
	outputFlags
	Stream string `arg:"" help:"Name of the stream."`
}

// streamView is a stream as describe prints it: the keys of the Kinesis API, and its tags.
type streamView struct {
	StreamName           string
	StreamARN            string
	StreamStatus         types.StreamStatus
	StreamMode           types.StreamMode
	RetentionPeriodHours int32
	OpenShardCount       int32
	ownSettings
	Tags   map[string]string `json:",omitempty"`
	Shards []shardView
}

// ownSettings are what our server says about a stream beside the Kinesis API; absent where AWS's behaviour holds.
type ownSettings struct {
	ShardmillDurability string `json:",omitempty"`
	ShardmillRouting    string `json:",omitempty"`
}

type shardView struct {
	ShardId                string
	State                  string // OPEN or CLOSED
	StartingHashKey        string
	EndingHashKey          string
	ParentShardId          string `json:",omitempty"`
	AdjacentParentShardId  string `json:",omitempty"`
	StartingSequenceNumber string
	EndingSequenceNumber   string `json:",omitempty"`
}

// Run is called by kong.
func (s *streamDescribeCmd) Run(a *app) error {
	c, ctx, cancel, err := s.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	v, err := c.viewStream(ctx, s.Stream)
	if err != nil {
		return err
	}
	if s.Output == "json" || s.Output == "yaml" {
		return printAs(a.stdout, s.Output, v, nil)
	}
	head := &table{}
	head.add("stream", v.StreamName)
	head.add("arn", v.StreamARN)
	head.add("status", string(v.StreamStatus))
	head.add("mode", string(v.StreamMode))
	head.add("retention", fmt.Sprintf("%d hours", v.RetentionPeriodHours))
	head.add("open shards", fmt.Sprint(v.OpenShardCount))
	if v.ShardmillDurability != "" {
		head.add("durability", v.ShardmillDurability)
	}
	if v.ShardmillRouting != "" {
		head.add("routing", v.ShardmillRouting)
	}
	if len(v.Tags) > 0 {
		head.add("tags", tagList(v.Tags))
	}
	if err := head.write(a.stdout); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	return shardTable(v.Shards).write(a.stdout)
}

func tagList(tags map[string]string) string {
	list := make([]string, 0, len(tags))
	for k, v := range tags {
		list = append(list, readable([]byte(k+"="+v)))
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

func shardTable(shards []shardView) *table {
	t := &table{head: []string{"SHARD", "STATE", "SHARE", "FROM", "PARENTS"}}
	for _, sh := range shards {
		parents := sh.ParentShardId
		if sh.AdjacentParentShardId != "" {
			parents += " " + sh.AdjacentParentShardId
		}
		t.add(sh.ShardId, sh.State, hashShare(sh.StartingHashKey, sh.EndingHashKey), sh.StartingHashKey, parents)
	}
	return t
}

func (c *client) viewStream(ctx context.Context, stream string) (*streamView, error) {
	var own struct{ StreamDescriptionSummary ownSettings }
	out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream}, alsoInto(&own))
	if err != nil {
		return nil, c.fail(err, "describe stream %s", stream)
	}
	d := out.StreamDescriptionSummary
	v := &streamView{
		StreamName: aws.ToString(d.StreamName), StreamARN: aws.ToString(d.StreamARN), StreamStatus: d.StreamStatus,
		RetentionPeriodHours: aws.ToInt32(d.RetentionPeriodHours), OpenShardCount: aws.ToInt32(d.OpenShardCount),
		ownSettings: own.StreamDescriptionSummary, Tags: map[string]string{}, Shards: []shardView{},
	}
	if d.StreamModeDetails != nil {
		v.StreamMode = d.StreamModeDetails.StreamMode
	}
	tags, err := c.ListTagsForStream(ctx, &kinesis.ListTagsForStreamInput{StreamName: &stream})
	if err != nil {
		return nil, c.fail(err, "list the tags of %s", stream)
	}
	for _, tag := range tags.Tags {
		v.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	shards, err := c.listShards(ctx, stream)
	if err != nil {
		return nil, err
	}
	for i := range shards {
		v.Shards = append(v.Shards, viewShard(&shards[i]))
	}
	return v, nil
}

// maxDescription bounds the answer that alsoInto decodes.
const maxDescription = 1 << 20

// alsoInto decodes the JSON of an answer into v as well: the SDK drops fields that it does not know.
func alsoInto(v any) func(*kinesis.Options) {
	look := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
		out middleware.DeserializeOutput, meta middleware.Metadata, err error,
	) {
		out, meta, err = next.HandleDeserialize(ctx, in)
		resp, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok {
			return out, meta, err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxDescription))
		if err != nil {
			return out, meta, err
		}
		resp.Body = struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(body), resp.Body}
		_ = json.Unmarshal(body, v) // the SDK reports what is wrong with an answer
		return out, meta, nil
	}
	return kinesis.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("alsoInto", look), middleware.After)
	})
}

func viewShard(s *types.Shard) shardView {
	v := shardView{
		ShardId: aws.ToString(s.ShardId), State: "OPEN",
		ParentShardId:         aws.ToString(s.ParentShardId),
		AdjacentParentShardId: aws.ToString(s.AdjacentParentShardId),
	}
	if r := s.HashKeyRange; r != nil {
		v.StartingHashKey, v.EndingHashKey = aws.ToString(r.StartingHashKey), aws.ToString(r.EndingHashKey)
	}
	if r := s.SequenceNumberRange; r != nil {
		v.StartingSequenceNumber = aws.ToString(r.StartingSequenceNumber)
		v.EndingSequenceNumber = aws.ToString(r.EndingSequenceNumber)
	}
	if isClosed(s) {
		v.State = "CLOSED"
	}
	return v
}

func isClosed(s *types.Shard) bool {
	return s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil
}

// hashShare is the part of the hash-key space a range covers.
func hashShare(first, last string) string {
	a, okA := new(big.Int).SetString(first, 10)
	b, okB := new(big.Int).SetString(last, 10)
	if !okA || !okB {
		return ""
	}
	width := new(big.Float).SetInt(b.Sub(b, a))
	whole := new(big.Float).SetInt(new(big.Int).Lsh(big.NewInt(1), 128))
	share, _ := width.Quo(width, whole).Float64()
	return fmt.Sprintf("%.1f%%", 100*share)
}

package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// streamCmd groups what one does to streams.
type streamCmd struct {
	Ls       streamLsCmd       `cmd:"" help:"List streams."`
	Create   streamCreateCmd   `cmd:"" help:"Make a stream and wait until it is active."`
	Describe streamDescribeCmd `cmd:"" help:"Show a stream and its shards."`
	Delete   streamDeleteCmd   `cmd:"" help:"Delete a stream and all its records."`
	Split    streamSplitCmd    `cmd:"" help:"Split a shard in two."`
	Merge    streamMergeCmd    `cmd:"" help:"Merge two neighbouring shards."`
	Reshard  streamReshardCmd  `cmd:"" help:"Change the number of open shards."`
}

// outputFlags choose between output for people and output for programs.
type outputFlags struct {
	Output string `short:"o" enum:"text,json,yaml,table" default:"table" help:"Output format: text, json, yaml or table."`
}

type streamLsCmd struct {
	clientFlags
	outputFlags
}

// streamRow is a line of stream ls.
type streamRow struct {
	StreamName              string
	StreamARN               string
	StreamStatus            types.StreamStatus
	StreamMode              types.StreamMode
	StreamCreationTimestamp time.Time
}

// Run is called by kong.
func (s *streamLsCmd) Run(a *app) error {
	c, ctx, cancel, err := s.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	rows := []streamRow{}
	in := &kinesis.ListStreamsInput{}
	for {
		out, err := c.ListStreams(ctx, in)
		if err != nil {
			return c.fail(err, "list streams")
		}
		for _, st := range out.StreamSummaries {
			row := streamRow{
				StreamName: aws.ToString(st.StreamName), StreamARN: aws.ToString(st.StreamARN),
				StreamStatus: st.StreamStatus, StreamCreationTimestamp: aws.ToTime(st.StreamCreationTimestamp),
			}
			if st.StreamModeDetails != nil {
				row.StreamMode = st.StreamModeDetails.StreamMode
			}
			rows = append(rows, row)
		}
		if !aws.ToBool(out.HasMoreStreams) {
			break
		}
		in = &kinesis.ListStreamsInput{NextToken: out.NextToken}
		if out.NextToken == nil { // servers older than the token page by name
			in.ExclusiveStartStreamName = aws.String(out.StreamNames[len(out.StreamNames)-1])
		}
	}
	return s.print(a, rows)
}

func (s *streamLsCmd) print(a *app, rows []streamRow) error {
	if s.Output == "text" { // names only, for scripts
		for _, r := range rows {
			fmt.Fprintln(a.stdout, r.StreamName)
		}
		return nil
	}
	if s.Output == "json" { // one object per line
		for _, r := range rows {
			if err := printJSON(a.stdout, r); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rows) == 0 && s.Output == "table" {
		if !s.Quiet {
			a.say("no streams. Make one with: shardmill stream create NAME")
		}
		return nil
	}
	t := &table{head: []string{"NAME", "STATUS", "MODE", "AGE"}}
	now := time.Now()
	for _, r := range rows {
		t.add(r.StreamName, string(r.StreamStatus), string(r.StreamMode), age(now, r.StreamCreationTimestamp))
	}
	return printAs(a.stdout, s.Output, rows, t)
}

type streamCreateCmd struct {
	clientFlags
	Stream     string        `arg:"" help:"Name of the stream."`
	Shards     int           `default:"1" help:"Open shards to begin with."`
	Mode       string        `enum:"provisioned,on-demand" default:"provisioned" help:"Capacity mode: provisioned or on-demand."`
	Durability string        `enum:",disk,os,mem" default:"" help:"What an acknowledgement means: disk (synced), os (survives kill -9) or mem. Default: the server's." placeholder:"LEVEL"`
	Routing    string        `enum:",md5,xxhash" default:"" help:"Hash that maps keys to shards: md5 (as AWS) or xxhash (faster). Default: md5." placeholder:"HASH"`
	Retention  time.Duration `help:"How long records are kept, in whole hours. Default: 24h." placeholder:"72h"`
}

// Tags that carry settings the Kinesis API has no field for.
const (
	tagDurability = "shardmill:durability"
	tagRouting    = "shardmill:routing"
)

// Run is called by kong.
func (s *streamCreateCmd) Run(a *app) error {
	if s.Retention%time.Hour != 0 {
		return usagef("--retention %s: want whole hours, such as 72h", s.Retention)
	}
	if s.Retention != 0 && s.Retention < 24*time.Hour {
		return usagef("--retention %s: the least that Kinesis allows is 24h", s.Retention)
	}
	if s.Shards < 1 || s.Shards > 1<<30 {
		return usagef("--shards %d: want at least 1", s.Shards)
	}
	c, ctx, cancel, err := s.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	if _, err := c.CreateStream(ctx, s.input()); err != nil {
		return c.fail(err, "create stream %s", s.Stream)
	}
	if err := c.waitActive(ctx, s.Stream); err != nil {
		return err
	}
	if hours := int32(s.Retention / time.Hour); hours > 24 {
		_, err := c.IncreaseStreamRetentionPeriod(ctx, &kinesis.IncreaseStreamRetentionPeriodInput{
			StreamName: &s.Stream, RetentionPeriodHours: &hours,
		})
		if err != nil {
			return c.fail(err, "stream %s is there, but set its retention to %d hours", s.Stream, hours)
		}
	}
	if !s.Quiet {
		a.say("stream %s is active", s.Stream)
	}
	return nil
}

func (s *streamCreateCmd) input() *kinesis.CreateStreamInput {
	in := &kinesis.CreateStreamInput{StreamName: &s.Stream}
	if s.Mode == "on-demand" {
		in.StreamModeDetails = &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}
	} else {
		in.ShardCount = aws.Int32(int32(s.Shards))
	}
	tags := map[string]string{}
	if s.Durability != "" {
		tags[tagDurability] = s.Durability
	}
	if s.Routing != "" {
		tags[tagRouting] = s.Routing
	}
	if len(tags) > 0 {
		in.Tags = tags
	}
	return in
}

type streamDeleteCmd struct {
	clientFlags
	Stream string `arg:"" help:"Name of the stream."`
	Yes    bool   `short:"y" help:"Do not ask."`
}

// Run is called by kong.
func (s *streamDeleteCmd) Run(a *app) error {
	c, ctx, cancel, err := s.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	if !s.Yes {
		if !isTerminal(a.stdin) {
			return usagef("delete %s: nobody to ask here; add --yes to delete it and all its records", s.Stream)
		}
		fmt.Fprintf(a.stderr, "Delete stream %s at %s and all its records? Type its name: ", s.Stream, c.endpoint)
		answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
		if strings.TrimSpace(answer) != s.Stream {
			return exitf(codeFailed, "delete %s: not confirmed, nothing was deleted", s.Stream)
		}
	}
	_, err = c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &s.Stream, EnforceConsumerDeletion: aws.Bool(true)})
	if err != nil {
		return c.fail(err, "delete stream %s", s.Stream)
	}
	if err := c.waitGone(ctx, s.Stream); err != nil {
		return err
	}
	if !s.Quiet {
		a.say("stream %s is deleted", s.Stream)
	}
	return nil
}

func (c *client) waitGone(ctx context.Context, stream string) error {
	pause := 20 * time.Millisecond
	for {
		_, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
		if isAPIError(err, "ResourceNotFoundException") {
			return nil
		}
		if err != nil {
			return c.fail(err, "wait until stream %s is gone", stream)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, time.Second)
	}
}

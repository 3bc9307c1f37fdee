package main

import (
	"fmt"
	"slices"
	"strings"
)

// service says which operations of a model are generated, and where AWS's answers, as recorded by public test suites,
// say more than the model does.
type service struct {
	modelPath  string // inside a botocore wheel
	operations []string
	pins       []func(*model) error
}

func (s *service) apply(m *model) error {
	for _, pin := range s.pins {
		if err := pin(m); err != nil {
			return err
		}
	}
	return nil
}

// kinesis is the Kinesis Data Streams API.
func kinesis() *service {
	return &service{
		modelPath: "botocore/data/kinesis/2013-12-02/service-2.json",
		operations: []string{
			"AddTagsToStream", "CreateStream", "DecreaseStreamRetentionPeriod", "DeleteResourcePolicy", "DeleteStream",
			"DeregisterStreamConsumer", "DescribeAccountSettings", "DescribeLimits", "DescribeStream",
			"DescribeStreamConsumer", "DescribeStreamSummary", "DisableEnhancedMonitoring", "EnableEnhancedMonitoring",
			"GetRecords", "GetResourcePolicy", "GetShardIterator", "IncreaseStreamRetentionPeriod", "ListShards",
			"ListStreamConsumers", "ListStreams", "ListTagsForResource", "ListTagsForStream", "MergeShards", "PutRecord",
			"PutRecords", "PutResourcePolicy", "RegisterStreamConsumer", "RemoveTagsFromStream", "SplitShard",
			"StartStreamEncryption", "StopStreamEncryption", "SubscribeToShard", "TagResource", "UntagResource",
			"UpdateAccountSettings", "UpdateMaxRecordSize", "UpdateShardCount", "UpdateStreamMode",
			"UpdateStreamRecordDistributionStrategy", "UpdateStreamWarmThroughput",
		},
		pins: []func(*model) error{
			// The service prints patterns without the anchors that the model has.
			pattern("HashKey", `0|([1-9]\d{0,38})`),
			pattern("SequenceNumber", `0|([1-9]\d{0,128})`),
			// Order in which the service lists the values.
			enum("ShardIteratorType", "AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"),
			// The model leaves these open because another member may stand for them.
			streamNameUnlessARN,
			require("CreateStreamInput", "ShardCount", "StreamModeDetails"),
			require("PutRecordInput", "PartitionKey", ""),
			require("PutRecordsRequestEntry", "PartitionKey", ""),
			// Limits that the service has and the model has not.
			limit("CreateStreamInput", "ShardCount", 1, 100_000),
			limit("IncreaseStreamRetentionPeriodInput", "RetentionPeriodHours", 1, 0),
			limit("DecreaseStreamRetentionPeriodInput", "RetentionPeriodHours", 1, 0),
			// 1 MiB unless a stream allows more; the API package widens it for those.
			limit("PutRecordInput", "Data", -1, 1<<20),
			limit("PutRecordsRequestEntry", "Data", -1, 1<<20),
			// A tag without a value is listed with an empty one.
			require("Tag", "Value", ""),
			text("PutRecordsRequestEntryList", "com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310"),
		},
	}
}

func find(m *model, name string) (*shape, error) {
	s := m.Shapes[name]
	if s == nil {
		return nil, fmt.Errorf("pinned shape %s is not in the model", name)
	}
	return s, nil
}

func pattern(name, p string) func(*model) error {
	return func(m *model) error {
		s, err := find(m, name)
		if err != nil {
			return err
		}
		if bare := strings.TrimSuffix(strings.TrimPrefix(s.Pattern, "^("), ")$"); bare != p {
			return fmt.Errorf("pattern of %s is now %q: look at the pin", name, s.Pattern)
		}
		s.Pattern = p
		return nil
	}
}

func enum(name string, values ...string) func(*model) error {
	return func(m *model) error {
		s, err := find(m, name)
		if err != nil {
			return err
		}
		have, want := slices.Sorted(slices.Values(s.Enum)), slices.Sorted(slices.Values(values))
		if !slices.Equal(have, want) {
			return fmt.Errorf("values of %s are now %v: look at the pin", name, s.Enum)
		}
		s.Enum = values
		return nil
	}
}

// require makes a member required, unless a sibling is there.
func require(structure, name, unless string) func(*model) error {
	return func(m *model) error {
		s, err := find(m, structure)
		if err != nil {
			return err
		}
		if !slices.Contains(s.Required, name) {
			s.Required = append(s.Required, name)
		}
		if s.unless == nil {
			s.unless = make(map[string]string)
		}
		s.unless[name] = unless
		return nil
	}
}

// limit gives a member a shape of its own with other bounds; least -1 and most 0 keep the model's.
func limit(structure, name string, least, most int64) func(*model) error {
	return func(m *model) error {
		s, err := find(m, structure)
		if err != nil {
			return err
		}
		for i := range s.Members {
			if s.Members[i].name != name {
				continue
			}
			own := *m.Shapes[s.Members[i].shape]
			if least >= 0 {
				own.Min = &least
			}
			if most > 0 {
				own.Max = &most
			}
			s.Members[i].shape = structure + name
			m.Shapes[s.Members[i].shape] = &own
			return nil
		}
		return fmt.Errorf("pinned member %s.%s is not in the model", structure, name)
	}
}

func text(name, memberText string) func(*model) error {
	return func(m *model) error {
		s, err := find(m, name)
		if err != nil {
			return err
		}
		s.memberText = memberText
		return nil
	}
}

// streamNameUnlessARN makes StreamName required wherever a stream may be named by StreamARN instead. ListShards and
// GetRecords take a token instead of either.
func streamNameUnlessARN(m *model) error {
	for name, s := range m.Shapes {
		if name == "ListShardsInput" || name == "GetRecordsInput" || !strings.HasSuffix(name, "Input") {
			continue
		}
		has := func(n string) bool { return slices.ContainsFunc(s.Members, func(m member) bool { return m.name == n }) }
		if !has("StreamName") || !has("StreamARN") {
			continue
		}
		if err := require(name, "StreamName", "StreamARN")(m); err != nil {
			return err
		}
	}
	return nil
}

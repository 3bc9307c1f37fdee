// Package kpl reads and writes the aggregated records of the Kinesis Producer Library: many user records in the data of
// one Kinesis record. Aggregated takes such data apart, Builder puts it together.
//
// The bytes are the four of Magic, a protobuf (proto2) message, and the MD5 of that message:
//
//	AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2;
//	                   repeated Record records = 3; }
//	Record           { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2;
//	                   required bytes data = 3; repeated Tag tags = 4; }
//
// Source: aggregation-format.md of awslabs/amazon-kinesis-producer. Data that begins with Magic but is not all of this is,
// to the Kinesis Client Library and here, a plain record that happens to begin so.
package kpl

const (
	// Magic begins the data of every aggregated record.
	Magic = "\xf3\x89\x9a\xc2"
	// MaxSize is the most a Builder puts into one record: 1 MiB, what Kinesis takes by default, less a one-byte
	// partition key.
	MaxSize = 1<<20 - 1

	digestSize = 16
	overhead   = len(Magic) + digestSize
)

// Fields of the messages.
const (
	fieldKeys    = 1 // of AggregatedRecord
	fieldHashes  = 2
	fieldRecords = 3

	fieldKeyIndex  = 1 // of Record
	fieldHashIndex = 2
	fieldData      = 3
)

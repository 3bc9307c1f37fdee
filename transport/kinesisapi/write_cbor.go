package kinesisapi

import (
	"slices"

	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// The CBOR writers are what those of write.go are for JSON. Sequence numbers have 56 digits and shard ids 20 characters,
// so most of an entry is constant.
const (
	cborShardID  = "\x67ShardId\x74"            // a text of 20
	cborSequence = "\x6eSequenceNumber\x78\x38" // a text of 56
	cborKMS      = "\x6eEncryptionType\x63KMS"
)

// appendSequenceCBOR writes the member SequenceNumber.
func appendSequenceCBOR(dst []byte, n engine.Sequence) []byte {
	return sequence.Append(append(dst, cborSequence...), n)
}

// appendShardCBOR writes shard id and sequence number of an appended record.
func appendShardCBOR(dst []byte, r *engine.Appended) []byte {
	return appendSequenceCBOR(appendShardID(append(dst, cborShardID...), r.Shard), r.Sequence)
}

// appendPutCBOR writes the reply of PutRecord. encryption may be empty.
func appendPutCBOR(dst []byte, r *engine.Appended, encryption string) []byte {
	if encryption == "" {
		return appendShardCBOR(awshttp.AppendCBORMap(dst, 2), r)
	}
	return append(appendShardCBOR(awshttp.AppendCBORMap(dst, 3), r), cborKMS...)
}

// appendPutsCBOR writes the reply of PutRecords. encryption may be empty.
func appendPutsCBOR(dst []byte, out []engine.Appended, encryption string) []byte {
	dst = slices.Grow(dst, 64+len(out)*104)
	failed := int64(0)
	for i := range out {
		if out[i].Err != nil {
			failed++
		}
	}
	members := 2
	if encryption != "" {
		members++
	}
	dst = awshttp.AppendCBORText(awshttp.AppendCBORMap(dst, members), "FailedRecordCount")
	dst = awshttp.AppendCBORText(awshttp.AppendCBORInt(dst, failed), "Records")
	dst = awshttp.AppendCBORList(dst, len(out))
	for i := range out {
		dst = awshttp.AppendCBORMap(dst, 2)
		e := out[i].Err
		if e == nil {
			dst = appendShardCBOR(dst, &out[i])
			continue
		}
		code, message := recordError(e)
		dst = awshttp.AppendCBORText(awshttp.AppendCBORText(dst, "ErrorCode"), code)
		dst = awshttp.AppendCBORText(awshttp.AppendCBORText(dst, "ErrorMessage"), message)
	}
	if encryption != "" {
		dst = append(dst, cborKMS...)
	}
	return dst
}

// appendPageCBOR writes the reply of GetRecords.
func appendPageCBOR(dst []byte, p *engine.Page) []byte {
	size := 1024
	for i := range p.Records {
		size += recordText + len(p.Records[i].Key) + len(p.Records[i].Data)
	}
	dst = slices.Grow(dst, size)
	members := 2
	if p.Next != "" {
		members++
	}
	if len(p.Children) > 0 {
		members++
	}
	dst = awshttp.AppendCBORText(awshttp.AppendCBORMap(dst, members), "Records")
	dst = awshttp.AppendCBORList(dst, len(p.Records))
	for i := range p.Records {
		dst = appendRecordCBOR(dst, &p.Records[i])
	}
	if p.Next != "" {
		dst = awshttp.AppendCBORText(awshttp.AppendCBORText(dst, "NextShardIterator"), p.Next)
	}
	dst = awshttp.AppendCBORInt(awshttp.AppendCBORText(dst, "MillisBehindLatest"), p.MillisBehind)
	if len(p.Children) > 0 {
		children := make([]awshttp.Value, len(p.Children))
		for i := range p.Children {
			c := childOf(&p.Children[i])
			children[i] = c.value()
		}
		dst = awshttp.CBOR{}.Append(awshttp.AppendCBORText(dst, "ChildShards"), awshttp.ListValue(children))
	}
	return dst
}

func appendRecordCBOR(dst []byte, r *engine.ReadRecord) []byte {
	members := 3
	if len(r.Key) > 0 { // AUTO distribution takes records without one
		members++
	}
	if r.Encrypted {
		members++
	}
	dst = appendSequenceCBOR(awshttp.AppendCBORMap(dst, members), r.Sequence)
	dst = append(dst, "\x78\x1bApproximateArrivalTimestamp"...)
	dst = awshttp.AppendCBORTime(dst, r.Arrival.UnixMilli())
	dst = awshttp.AppendCBORBytes(append(dst, "\x64Data"...), r.Data)
	if len(r.Key) > 0 {
		dst = awshttp.AppendCBORText(append(dst, "\x6cPartitionKey"...), r.Key)
	}
	if r.Encrypted {
		dst = append(dst, cborKMS...)
	}
	return dst
}

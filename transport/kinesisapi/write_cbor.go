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

// appendShardCBOR writes shard id and sequence number of an appended record.
func appendShardCBOR(dst []byte, r *engine.Appended) []byte {
	return sequence.Append(append(appendShardID(append(dst, cborShardID...), r.Shard), cborSequence...), r.Sequence)
}

// appendPutCBOR writes the reply of PutRecord. encryption may be empty.
func appendPutCBOR(dst []byte, r *engine.Appended, encryption string) []byte {
	if encryption == "" {
		return appendShardCBOR(awshttp.AppendCBORMap(dst, 2), r)
	}
	return append(appendShardCBOR(awshttp.AppendCBORMap(dst, 3), r), cborKMS...)
}

// cborEntry is what putEntry is for JSON: the last entry that a reply has for a shard, from which the next is made.
type cborEntry struct {
	is   engine.Sequence
	text [1 + len(cborShardID) + 20 + len(cborSequence) + sequence.Digits]byte
}

// follow makes e the entry of a record that was appended.
func (e *cborEntry) follow(r *engine.Appended) {
	next := e.is
	next.Position++
	if r.Sequence == next && r.Sequence.Position > 1 { // not the zero entry, and Shard is in the number
		sequence.Next((*[sequence.Digits]byte)(e.text[len(e.text)-sequence.Digits:]))
	} else {
		appendShardCBOR(awshttp.AppendCBORMap(e.text[:0], 2), r)
	}
	e.is = r.Sequence
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
	var entries [putEntries]cborEntry
	for i := range out {
		e := out[i].Err
		if e == nil {
			entry := &entries[out[i].Shard%putEntries]
			entry.follow(&out[i])
			dst = append(dst, entry.text[:]...)
			continue
		}
		dst = awshttp.AppendCBORMap(dst, 2)
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
	dst = appendRecordsCBOR(dst, p.Records)
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

// appendRecordsCBOR writes records as they stand in replies of GetRecords and in events.
func appendRecordsCBOR(dst []byte, records []engine.ReadRecord) []byte {
	dst = awshttp.AppendCBORList(dst, len(records))
	var number [sequence.Digits]byte
	var next engine.Sequence // what follows number in its batch
	for i := range records {
		r := &records[i]
		if i > 0 && r.Sequence == next {
			sequence.Next(&number)
		} else {
			sequence.Append(number[:0], r.Sequence)
		}
		next = r.Sequence
		next.Position++
		dst = appendRecordCBOR(dst, r, &number)
	}
	return dst
}

func appendRecordCBOR(dst []byte, r *engine.ReadRecord, number *[sequence.Digits]byte) []byte {
	members := 3
	if len(r.Key) > 0 { // AUTO distribution takes records without one
		members++
	}
	if r.Encrypted {
		members++
	}
	dst = append(append(awshttp.AppendCBORMap(dst, members), cborSequence...), number[:]...)
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

package kinesisapi

import (
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// appendRecords writes records as they stand in replies of GetRecords and in events.
func (a *API) appendRecords(dst []byte, records []engine.ReadRecord) []byte {
	size := 1024
	for i := range records {
		size += recordText + len(records[i].Key) + base64.StdEncoding.EncodedLen(len(records[i].Data))
	}
	dst = append(slices.Grow(dst, size), '[')
	var number [sequence.Digits]byte
	var next engine.Sequence // what follows number in its batch
	for i := range records {
		r := &records[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if i > 0 && r.Sequence == next {
			sequence.Next(&number)
		} else {
			sequence.Append(number[:0], r.Sequence)
		}
		next = r.Sequence
		next.Position++
		dst = append(dst, `{"SequenceNumber":"`...)
		dst = append(dst, number[:]...)
		dst = append(dst, `","ApproximateArrivalTimestamp":`...)
		dst = awshttp.AppendSeconds(dst, r.Arrival.UnixMilli())
		dst = append(dst, `,"Data":"`...)
		dst = appendBase64(a.base64, dst, r.Data)
		dst = append(dst, '"')
		if len(r.Key) > 0 { // AUTO distribution takes records without one
			dst = awshttp.AppendQuoted(append(dst, `,"PartitionKey":`...), r.Key)
		}
		if r.Encrypted {
			dst = append(dst, `,"EncryptionType":"KMS"`...)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// childrenOf is shards as their parents' readers are told of them.
func childrenOf(list []engine.ShardInfo) awshttp.Value {
	children := make([]awshttp.Value, len(list))
	for i := range list {
		c := childOf(&list[i])
		children[i] = c.value()
	}
	return awshttp.ListValue(children)
}

// appendEvent writes the payload of a SubscribeToShardEvent. The last one of a closed shard has children and no
// continuation number; the model calls that required, but its absence is how readers know the end.
func (a *API) appendEvent(dst []byte, ev *engine.Event) []byte {
	dst = a.appendRecords(append(dst, `{"Records":`...), ev.Records)
	if !ev.End {
		dst = sequence.Append(append(dst, `,"ContinuationSequenceNumber":"`...), ev.Continuation)
		dst = append(dst, '"')
	}
	dst = strconv.AppendInt(append(dst, `,"MillisBehindLatest":`...), ev.MillisBehind, 10)
	if len(ev.Children) > 0 {
		dst = awshttp.JSON{}.Append(append(dst, `,"ChildShards":`...), childrenOf(ev.Children))
	}
	return append(dst, '}')
}

// appendEventCBOR is appendEvent in CBOR.
func appendEventCBOR(dst []byte, ev *engine.Event) []byte {
	size := 1024
	for i := range ev.Records {
		size += recordText + len(ev.Records[i].Key) + len(ev.Records[i].Data)
	}
	members := 2
	if !ev.End {
		members++
	}
	if len(ev.Children) > 0 {
		members++
	}
	dst = awshttp.AppendCBORText(awshttp.AppendCBORMap(slices.Grow(dst, size), members), "Records")
	dst = appendRecordsCBOR(dst, ev.Records)
	if !ev.End {
		dst = sequence.Append(append(dst, "\x78\x1aContinuationSequenceNumber\x78\x38"...), ev.Continuation) // a text of 56
	}
	dst = awshttp.AppendCBORInt(awshttp.AppendCBORText(dst, "MillisBehindLatest"), ev.MillisBehind)
	if len(ev.Children) > 0 {
		dst = awshttp.CBOR{}.Append(awshttp.AppendCBORText(dst, "ChildShards"), childrenOf(ev.Children))
	}
	return dst
}

package kinesisapi

import (
	"slices"
	"strconv"

	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// The writers below produce the same documents as the generated types, without making the types first.

// recordText is how many bytes a record of a reply takes beside its key and data.
const recordText = 192

// appendPut writes shard id and sequence number of an appended record, without braces.
func appendPut(dst []byte, r *engine.Appended) []byte {
	dst = append(dst, `"ShardId":"`...)
	dst = appendShardID(dst, r.Shard)
	dst = append(dst, `","SequenceNumber":"`...)
	dst = sequence.Append(dst, r.Sequence)
	return append(dst, '"')
}

// putEntry is the last entry that a reply has for a shard, and what it says. Records of one batch differ in their
// position only, so that the next entry is made from the last.
type putEntry struct {
	is   engine.Sequence
	text [len(putEntryText)]byte
}

const (
	putEntryHead = `{"ShardId":"shardId-000000000000","SequenceNumber":"`
	putEntryText = putEntryHead + "00000000000000000000000000000000000000000000000000000000" + `"},`
	// putEntries is how many shards of one reply are kept; with more, some entries are written from scratch.
	putEntries = 16
)

// follow makes e the entry of a record that was appended.
func (e *putEntry) follow(r *engine.Appended) {
	next := e.is
	next.Position++
	if r.Sequence == next && r.Sequence.Position > 1 { // not the zero entry, and Shard is in the number
		sequence.Next((*[sequence.Digits]byte)(e.text[len(putEntryHead):]))
	} else {
		appendPut(append(e.text[:0], '{'), r)
		copy(e.text[len(e.text)-2:], "},")
	}
	e.is = r.Sequence
}

// appendPuts writes the reply of PutRecords.
func appendPuts(dst []byte, out []engine.Appended) []byte {
	dst = slices.Grow(dst, 64+len(out)*128)
	failed := int64(0)
	for i := range out {
		if out[i].Err != nil {
			failed++
		}
	}
	dst = append(dst, `{"FailedRecordCount":`...)
	dst = strconv.AppendInt(dst, failed, 10)
	dst = append(dst, `,"Records":[`...)
	var entries [putEntries]putEntry
	for i := range out {
		if e := out[i].Err; e != nil {
			code, message := recordError(e)
			dst = awshttp.AppendQuoted(append(dst, `{"ErrorCode":`...), code)
			dst = awshttp.AppendQuoted(append(dst, `,"ErrorMessage":`...), message)
			dst = append(dst, "},"...)
			continue
		}
		e := &entries[out[i].Shard%putEntries]
		e.follow(&out[i])
		dst = append(dst, e.text[:]...)
	}
	if len(out) > 0 {
		dst = dst[:len(dst)-1]
	}
	return append(dst, "]}"...)
}

// appendPage writes the reply of GetRecords.
func (a *API) appendPage(dst []byte, p *engine.Page) []byte {
	dst = a.appendRecords(append(dst, `{"Records":`...), p.Records)
	if p.Next != "" {
		dst = awshttp.AppendQuoted(append(dst, `,"NextShardIterator":`...), p.Next)
	}
	dst = strconv.AppendInt(append(dst, `,"MillisBehindLatest":`...), p.MillisBehind, 10)
	if len(p.Children) > 0 {
		dst = awshttp.JSON{}.Append(append(dst, `,"ChildShards":`...), childrenOf(p.Children))
	}
	return append(dst, '}')
}

package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// tailRecord is a record to print: one of the stream, or a user record out of an aggregated one, with the rest of its
// fields those of the record it came in.
type tailRecord struct {
	types.Record
	SubSequenceNumber *int64 // its place in the aggregated record; nil where it is a record of its own
	ExplicitHashKey   string // of a user record that has one
}

// recordFormat appends one record, with its line end, to dst.
type recordFormat func(dst []byte, shard string, r *tailRecord) []byte

// recordView is a record of tail -o json: the keys of GetRecords, the shard, and the data as text where it is text.
type recordView struct {
	ShardId                     string
	SequenceNumber              string
	SubSequenceNumber           *int64 `json:",omitempty"`
	ApproximateArrivalTimestamp string
	PartitionKey                string
	ExplicitHashKey             string `json:",omitempty"`
	Data                        []byte // base64
	Text                        string `json:",omitempty"`
}

const tailTime = "2006-01-02T15:04:05.000Z07:00"

// newRecordFormat understands tail -o.
func newRecordFormat(s string) (recordFormat, error) {
	switch {
	case s == "text":
		return newRecordFormat("%t  %s  %k  %v")
	case s == "raw":
		return func(dst []byte, _ string, r *tailRecord) []byte { return append(append(dst, r.Data...), '\n') }, nil
	case s == "json":
		return appendRecordJSON, nil
	case !strings.Contains(s, "%"):
		return nil, usagef("-o %s: want text, json, raw, or a format such as '%%k %%t %%v'", s)
	}
	for i := strings.IndexByte(s, '%'); i >= 0; {
		if i+1 == len(s) || !strings.ContainsRune("ktvbsn%", rune(s[i+1])) {
			return nil, usagef("-o %s: after %% want one of k t v b s n %%", s)
		}
		next := strings.IndexByte(s[i+2:], '%')
		if next < 0 {
			break
		}
		i += 2 + next
	}
	return func(dst []byte, shard string, r *tailRecord) []byte { return appendRecord(dst, s, shard, r) }, nil
}

// appendRecord writes a record by a checked format.
func appendRecord(dst []byte, format, shard string, r *tailRecord) []byte {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			dst = append(dst, format[i])
			continue
		}
		i++
		switch format[i] {
		case 'k':
			dst = append(dst, readable([]byte(aws.ToString(r.PartitionKey)))...)
		case 't':
			dst = aws.ToTime(r.ApproximateArrivalTimestamp).UTC().AppendFormat(dst, tailTime)
		case 'v':
			dst = append(dst, readable(r.Data)...)
		case 'b':
			dst = append(dst, base64Of(r.Data)...)
		case 's':
			dst = append(dst, strings.TrimLeft(strings.TrimPrefix(shard, "shardId-"), "0")...)
			if strings.Trim(strings.TrimPrefix(shard, "shardId-"), "0") == "" {
				dst = append(dst, '0')
			}
		case 'n':
			dst = append(dst, aws.ToString(r.SequenceNumber)...)
		case '%':
			dst = append(dst, '%')
		}
	}
	return append(dst, '\n')
}

func appendRecordJSON(dst []byte, shard string, r *tailRecord) []byte {
	v := recordView{
		ShardId: shard, SequenceNumber: aws.ToString(r.SequenceNumber), PartitionKey: aws.ToString(r.PartitionKey),
		ApproximateArrivalTimestamp: aws.ToTime(r.ApproximateArrivalTimestamp).UTC().Format(tailTime), Data: r.Data,
		SubSequenceNumber: r.SubSequenceNumber, ExplicitHashKey: r.ExplicitHashKey,
	}
	if text := readable(r.Data); text == string(r.Data) {
		v.Text = text
	}
	var b strings.Builder
	if err := printJSON(&b, v); err != nil {
		panic(fmt.Sprintf("BUG: encode a record: %v", err))
	}
	return append(dst, b.String()...)
}

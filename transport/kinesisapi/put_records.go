package kinesisapi

import (
	"strconv"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// PutRecords appends up to 500 records; each succeeds or fails by itself.
func (a *API) PutRecords(c *awshttp.Call, in *PutRecordsInput) (*PutRecordsOutput, error) {
	s, n, err := a.stream(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	b := a.takePut()
	defer a.givePut(b)
	b.grow(maxPutRecords)
	b.dry = dryRun(in.DryRun)
	for i := range in.Records {
		r := engine.Record{Key: []byte(in.Records[i].PartitionKey), Data: in.Records[i].Data}
		if text := in.Records[i].ExplicitHashKey; text != "" {
			if r.Explicit, err = b.explicit(text); err != nil {
				return nil, err
			}
		}
		b.recs = append(b.recs, r)
	}
	appended, err := a.putMany(c, b, s, n)
	if err != nil {
		return nil, err
	}
	out := &PutRecordsOutput{
		FailedRecordCount: new(int64), Records: make([]PutRecordsResultEntry, len(appended)), EncryptionType: encryptionType(s.Info()),
	}
	for i := range appended {
		r := &appended[i]
		if r.Err == nil {
			out.Records[i] = PutRecordsResultEntry{ShardId: shardID(r.Shard), SequenceNumber: r.Sequence.String()}
			continue
		}
		*out.FailedRecordCount++
		out.Records[i].ErrorCode, out.Records[i].ErrorMessage = recordError(r.Err)
	}
	return out, nil
}

// putMany appends all records of the buffer.
func (a *API) putMany(c *awshttp.Call, b *putBuffer, s *engine.Stream, n engine.Name) ([]engine.Appended, error) {
	limit := recordLimit(s.Info())
	if i := b.oversize(limit); i >= 0 {
		return nil, tooLarge("records."+strconv.Itoa(i+1)+".member.data", len(b.recs[i].Data), limit)
	}
	total := 0
	for i := range b.recs {
		total += len(b.recs[i].Data) + len(b.recs[i].Key)
	}
	if total > maxPutBytes {
		return nil, invalidArgument("Records size exceeds 10 MB limit")
	}
	return b.append(c.Context, s, n)
}

// recordError is how a failed record is told: throttling keeps its text, all else is a fault of the server.
func recordError(e *engine.Error) (code, message string) {
	if e.Code == engine.CodeThrottled {
		return errorType(e.Code), e.Message
	}
	return "InternalFailure", "Internal Service Failure"
}

// putRecordsDirect is PutRecords for the requests that clients usually send.
func (a *API) putRecordsDirect(c *awshttp.Call) (done bool, err error) {
	b := a.takePut()
	defer a.givePut(b)
	b.grow(maxPutRecords)
	target, ok := a.scanPutRecords(c.Body, b)
	if !ok {
		return false, nil
	}
	s, n, err := a.stream(c, target.name, target.arn)
	if err != nil {
		return true, asAWS(err)
	}
	out, err := a.putMany(c, b, s, n)
	if err != nil {
		return true, asAWS(err)
	}
	c.Out.B = withEncryption(appendPuts(c.Out.B, out), s.Info())
	return true, nil
}

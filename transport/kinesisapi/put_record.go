package kinesisapi

import (
	"math/big"
	"time"

	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// PutRecord appends one record.
func (a *API) PutRecord(c *awshttp.Call, in *PutRecordInput) (*PutRecordOutput, error) {
	s, n, err := a.stream(c, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if err := checkOrdering(in.SequenceNumberForOrdering, n); err != nil {
		return nil, err
	}
	b := a.takePut()
	defer a.givePut(b)
	b.grow(1)
	b.dry = dryRun(in.DryRun)
	r := engine.Record{Key: []byte(in.PartitionKey), Data: in.Data}
	if in.ExplicitHashKey != "" {
		if r.Explicit, err = b.explicit(in.ExplicitHashKey); err != nil {
			return nil, err
		}
	}
	b.recs = append(b.recs, r)
	out, err := a.putOne(c, b, s, n)
	if err != nil {
		return nil, err
	}
	return &PutRecordOutput{ShardId: shardID(out.Shard), SequenceNumber: out.Sequence.String(), EncryptionType: encryptionType(s.Info())}, nil
}

// putOne appends the buffer's only record.
func (a *API) putOne(c *awshttp.Call, b *putBuffer, s *engine.Stream, n engine.Name) (*engine.Appended, error) {
	if limit := recordLimit(s.Info()); b.oversize(limit) >= 0 {
		return nil, tooLarge("data", len(b.recs[0].Data), limit)
	}
	out, err := b.append(c.Context, s, n)
	if err != nil {
		return nil, err
	}
	if out[0].Err != nil {
		return nil, out[0].Err
	}
	return &out[0], nil
}

// checkOrdering refuses a SequenceNumberForOrdering that is none or lies in the future. A record's number is greater
// than any given before, so there is nothing else to do about it.
func checkOrdering(number string, n engine.Name) error {
	if number == "" {
		return nil
	}
	seq, err := sequence.Parse(number)
	if err != nil {
		seq, err = sequence.Parse(withoutSign(number))
	}
	if now := time.Now().Unix(); err != nil || seq.Seconds > now || seq.ShardCreated > now {
		return invalidArgument("ExclusiveMinimumSequenceNumber " + number + " used in PutRecord on stream " + n.Stream +
			" under account " + n.Account + " is invalid.")
	}
	return nil
}

// withoutSign clears the highest bit of the shard index in a sequence number. The API reads the index as a signed number
// and does not mind a negative one here.
func withoutSign(number string) string {
	const signBit = 4 + 31 // above the version's digit
	n, ok := new(big.Int).SetString(number, 10)
	if !ok || len(number) != sequence.Digits {
		return number
	}
	return n.SetBit(n, signBit, 0).String()
}

// putRecordDirect is PutRecord for the requests that clients usually send.
func (a *API) putRecordDirect(c *awshttp.Call) (done bool, err error) {
	b := a.takePut()
	defer a.givePut(b)
	b.grow(1)
	target, ok := a.scanPutRecord(c.Body, b)
	if !ok {
		return false, nil
	}
	s, n, err := a.stream(c, target.name, target.arn)
	if err != nil {
		return true, asAWS(err)
	}
	out, err := a.putOne(c, b, s, n)
	if err != nil {
		return true, asAWS(err)
	}
	c.Out.B = appendPut(append(c.Out.B, '{'), out)
	c.Out.B = withEncryption(append(c.Out.B, '}'), s.Info())
	return true, nil
}

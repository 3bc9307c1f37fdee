package kinesisapi

import (
	"strings"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// maxRecords is how many records one GetRecords returns at most, and by default.
const maxRecords = 10_000

// getRecords answers GetRecords: the records behind a token, the next token, and at the end of a closed shard its
// children instead. Gap: StreamARN is not compared with the token's stream.
func (a *API) getRecords(c *awshttp.Call) error {
	in := decodeGetRecordsInput(c.Input)
	p, err := a.GetRecords(c, &in)
	if err != nil {
		return asAWS(err)
	}
	defer p.Release()
	if c.JSON() {
		c.Out.B = a.appendPage(c.Out.B, p)
		return nil
	}
	if c.CBOR() {
		c.Out.B = appendPageCBOR(c.Out.B, p)
		return nil
	}
	out := pageOutput(p)
	c.Reply(out.value())
	return nil
}

// GetRecords reads a page; the caller releases it.
func (a *API) GetRecords(c *awshttp.Call, in *GetRecordsInput) (*engine.Page, error) {
	limit := maxRecords
	if in.Limit != nil {
		limit = int(*in.Limit)
	}
	token := in.ShardIterator
	if len(token) > 2 && strings.HasPrefix(token, `"`) && strings.HasSuffix(token, `"`) {
		token = token[1 : len(token)-1] // the API takes a token quoted once more than needed
	}
	p, err := a.engine.Records(c.Context, token, limit)
	if err == nil && dryRun(in.DryRun) {
		p.Release()
		return nil, dryRunError()
	}
	return p, err
}

// pageOutput is a page as a document, for wire forms without a writer of their own. It copies.
func pageOutput(p *engine.Page) *GetRecordsOutput {
	out := &GetRecordsOutput{Records: make([]Record, len(p.Records)), NextShardIterator: p.Next, MillisBehindLatest: &p.MillisBehind}
	for i := range p.Records {
		r := &p.Records[i]
		out.Records[i] = Record{
			SequenceNumber: r.Sequence.String(), ApproximateArrivalTimestamp: &r.Arrival, Data: r.Data,
			PartitionKey: string(r.Key),
		}
		if r.Encrypted {
			out.Records[i].EncryptionType = kms
		}
	}
	for i := range p.Children {
		out.ChildShards = append(out.ChildShards, childOf(&p.Children[i]))
	}
	return out
}

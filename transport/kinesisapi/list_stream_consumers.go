package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// maxConsumers is how many consumers one ListStreamConsumers returns at most, and by default.
const maxConsumers = 100

// ListStreamConsumers lists a stream's consumers by name, in pages. Gap: StreamCreationTimestamp is compared by whole
// seconds.
func (a *API) ListStreamConsumers(c *awshttp.Call, in *ListStreamConsumersInput) (*ListStreamConsumersOutput, error) {
	s, n, err := a.stream(c, "", in.StreamARN)
	if err != nil {
		return nil, err
	}
	info := s.Info()
	if t := in.StreamCreationTimestamp; t != nil && t.Unix() != info.Created.Unix() {
		return nil, streamNotFound(n)
	}
	after := ""
	if in.NextToken != "" {
		p, err := a.tokens.open(c, "ListStreamConsumers", in.NextToken)
		if err != nil {
			return nil, err
		}
		if p.Stream != n.Stream {
			return nil, invalidArgument("NextToken is invalid.")
		}
		after = p.After
	}
	limit := maxConsumers
	if in.MaxResults != nil {
		limit = min(limit, int(*in.MaxResults))
	}
	out := &ListStreamConsumersOutput{Consumers: []Consumer{}}
	for i := range info.Consumers {
		if after != "" && info.Consumers[i].Name <= after {
			continue
		}
		if len(out.Consumers) == limit {
			out.NextToken, err = a.tokens.seal(page{
				Action: "ListStreamConsumers", Account: c.Account, Region: c.Region, Stream: n.Stream, After: out.Consumers[limit-1].ConsumerName,
			})
			return out, err
		}
		out.Consumers = append(out.Consumers, consumerOf(n, &info.Consumers[i]))
	}
	return out, nil
}

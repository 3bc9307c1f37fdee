package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// maxStreams is how many streams one ListStreams returns at most, and by default.
const maxStreams = 100

// ListStreams lists the caller's streams by name, from a name or from where the last page ended.
func (a *API) ListStreams(c *awshttp.Call, in *ListStreamsInput) (*ListStreamsOutput, error) {
	after := in.ExclusiveStartStreamName
	if in.NextToken != "" {
		p, err := a.tokens.open(c, "ListStreams", in.NextToken)
		if err != nil {
			return nil, err
		}
		after = p.After
	}
	limit := maxStreams
	if in.Limit != nil {
		limit = min(limit, int(*in.Limit))
	}
	out := &ListStreamsOutput{StreamNames: []string{}, StreamSummaries: []StreamSummary{}}
	for _, info := range a.engine.Streams(c.Account, c.Region) {
		if info.Name.Stream <= after {
			continue
		}
		if len(out.StreamNames) == limit {
			out.HasMoreStreams = true
			token, err := a.tokens.seal(page{
				Action: "ListStreams", Account: c.Account, Region: c.Region, After: out.StreamNames[limit-1],
			})
			if err != nil {
				return nil, err
			}
			out.NextToken = token
			break
		}
		created := info.Created
		out.StreamNames = append(out.StreamNames, info.Name.Stream)
		out.StreamSummaries = append(out.StreamSummaries, StreamSummary{
			StreamName: info.Name.Stream, StreamARN: arn(info.Name), StreamStatus: string(info.Status),
			StreamModeDetails: mode(info), StreamCreationTimestamp: &created,
		})
	}
	return out, nil
}

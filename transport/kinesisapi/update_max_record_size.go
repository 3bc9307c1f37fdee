package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// UpdateMaxRecordSize changes how large a record of a stream may be, between 1 and 10 MiB.
func (a *API) UpdateMaxRecordSize(c *awshttp.Call, in *UpdateMaxRecordSizeInput) error {
	if in.StreamARN == "" {
		return invalidArgument("StreamARN must be given.")
	}
	return a.do(c, "", in.StreamARN, func(s *engine.Stream) error {
		return s.SetMaxRecordBytes(c.Context, int(in.MaxRecordSizeInKiB)<<10)
	})
}

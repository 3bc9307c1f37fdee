package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// StopStreamEncryption ends what StartStreamEncryption began.
func (a *API) StopStreamEncryption(c *awshttp.Call, in *StopStreamEncryptionInput) error {
	if err := checkEncryption(in.EncryptionType); err != nil {
		return err
	}
	return a.do(c, in.StreamName, in.StreamARN, func(s *engine.Stream) error {
		return s.StopEncryption(c.Context, in.KeyId)
	})
}

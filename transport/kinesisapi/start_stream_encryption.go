package kinesisapi

import (
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// StartStreamEncryption notes that a stream is encrypted with a KMS key. Records are kept as they are; they and replies say KMS.
func (a *API) StartStreamEncryption(c *awshttp.Call, in *StartStreamEncryptionInput) error {
	if err := checkEncryption(in.EncryptionType); err != nil {
		return err
	}
	return a.do(c, in.StreamName, in.StreamARN, func(s *engine.Stream) error {
		return s.StartEncryption(c.Context, in.KeyId)
	})
}

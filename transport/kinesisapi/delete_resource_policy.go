package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// DeleteResourcePolicy takes the policy of a stream away.
func (a *API) DeleteResourcePolicy(c *awshttp.Call, in *DeleteResourcePolicyInput) error {
	s, part, err := a.policyHolder(c, in.ResourceARN)
	if err != nil {
		return err
	}
	return s.DeletePolicy(c.Context, part)
}

package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// PutResourcePolicy attaches a policy to a stream or a consumer. It is kept and returned; access is not decided by it.
func (a *API) PutResourcePolicy(c *awshttp.Call, in *PutResourcePolicyInput) error {
	s, h, err := a.policyHolder(c, in.ResourceARN)
	if err != nil {
		return err
	}
	return s.SetPolicy(c.Context, h, in.Policy)
}

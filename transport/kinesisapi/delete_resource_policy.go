package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// DeleteResourcePolicy takes the policy of a stream or a consumer away.
func (a *API) DeleteResourcePolicy(c *awshttp.Call, in *DeleteResourcePolicyInput) error {
	s, h, err := a.policyHolder(c, in.ResourceARN)
	if err != nil {
		return err
	}
	had, err := s.DeletePolicy(c.Context, h)
	if err == nil && !had {
		err = notFound("No resource policy found for resource ARN " + in.ResourceARN + ".")
	}
	return err
}

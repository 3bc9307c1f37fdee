package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// GetResourcePolicy returns the policy of a stream or a consumer, an empty document where it has none.
func (a *API) GetResourcePolicy(c *awshttp.Call, in *GetResourcePolicyInput) (*GetResourcePolicyOutput, error) {
	s, h, err := a.policyHolder(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	policy, ok, err := s.Policy(h)
	if err != nil {
		return nil, err
	}
	if !ok {
		policy = "{}"
	}
	return &GetResourcePolicyOutput{Policy: policy}, nil
}

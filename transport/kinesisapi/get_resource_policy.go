package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// GetResourcePolicy returns the policy of a stream, an empty document where it has none.
func (a *API) GetResourcePolicy(c *awshttp.Call, in *GetResourcePolicyInput) (*GetResourcePolicyOutput, error) {
	s, part, err := a.policyHolder(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	policy, ok := s.Policy(part)
	if !ok {
		policy = "{}"
	}
	return &GetResourcePolicyOutput{Policy: policy}, nil
}

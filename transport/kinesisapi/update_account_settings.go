package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// UpdateAccountSettings begins or ends the account's commitment to a minimum throughput. Nothing is billed.
func (a *API) UpdateAccountSettings(c *awshttp.Call, in *UpdateAccountSettingsInput) (*UpdateAccountSettingsOutput, error) {
	got, err := a.engine.SetCommitment(c.Context, c.Account, c.Region, in.MinimumThroughputBillingCommitment.Status == "ENABLED")
	if err != nil {
		return nil, err
	}
	return &UpdateAccountSettingsOutput{MinimumThroughputBillingCommitment: commitment(got)}, nil
}

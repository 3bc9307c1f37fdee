package kinesisapi

import (
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// DescribeAccountSettings tells whether the caller's account has committed to a minimum throughput.
func (a *API) DescribeAccountSettings(c *awshttp.Call, _ *DescribeAccountSettingsInput) (*DescribeAccountSettingsOutput, error) {
	return &DescribeAccountSettingsOutput{MinimumThroughputBillingCommitment: commitment(a.engine.Commitment(c.Account, c.Region))}, nil
}

func commitment(c engine.Commitment) *MinimumThroughputBillingCommitmentOutput {
	out := &MinimumThroughputBillingCommitmentOutput{
		Status: "DISABLED", StartedAt: present(c.Started), EndedAt: present(c.Ended), EarliestAllowedEndAt: present(c.Earliest),
	}
	switch {
	case c.Ending:
		out.Status, out.EndedAt = "ENABLED_UNTIL_EARLIEST_ALLOWED_END", nil
	case c.Active:
		out.Status = "ENABLED"
	}
	return out
}

// present is a time that a reply leaves out where it is not set.
func present(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

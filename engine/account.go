package engine

import (
	"context"
	"errors"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
)

// MinCommitment is how long a commitment to a minimum throughput lasts at least.
const MinCommitment = 24 * time.Hour

// Commitment is an account's commitment to a minimum throughput in a region. Nothing is billed: it is what warm throughput
// asks for.
type Commitment struct {
	Active    bool
	Ending    bool // asked to end, and goes on until Ended
	Started   time.Time
	Ended     time.Time // zero: it goes on, or there never was one; otherwise when it ended or will
	Earliest  time.Time // it cannot end before; zero without a commitment
	Committed bool      // not asked to end
}

// Commitment returns the commitment of an account in a region.
func (e *Engine) Commitment(account, region string) Commitment {
	n := e.name(Name{Account: account, Region: region})
	return commitmentOf(e.cat.Account(catalog.Place{Account: n.Account, Region: n.Region}), time.Now())
}

func commitmentOf(a catalog.AccountInfo, now time.Time) Commitment {
	c := Commitment{Started: a.Started, Ended: a.Ended, Committed: a.Committed}
	c.Ending = !a.Committed && a.Ended.After(now)
	if c.Active = a.Committed || c.Ending; c.Active {
		c.Earliest = a.Started.Add(MinCommitment)
	}
	return c
}

// SetCommitment begins or ends the commitment: UpdateAccountSettings. One that is ended within its first 24 hours goes on
// until they are over.
func (e *Engine) SetCommitment(_ context.Context, account, region string, on bool) (Commitment, error) {
	n, now := e.name(Name{Account: account, Region: region}), time.Now()
	e.create.Lock()
	defer e.create.Unlock()
	if err := e.failed.Load(); err != nil {
		return Commitment{}, err
	}
	a := e.cat.Account(catalog.Place{Account: n.Account, Region: n.Region})
	have := commitmentOf(a, now)
	switch {
	case on == have.Committed:
		return have, nil
	case on && have.Ending: // goes on as if never asked to end
		a.Committed, a.Ended = true, time.Time{}
	case on:
		a.Committed, a.Started, a.Ended = true, now, time.Time{}
	default:
		a.Committed, a.Ended = false, now
		if have.Earliest.After(now) {
			a.Ended = have.Earliest
		}
	}
	if err := e.cat.PutAccount(a); err != nil {
		if errors.Is(err, catalog.ErrTooLarge) {
			return Commitment{}, newError(CodeLimitExceeded, "Too many accounts have settings.")
		}
		if e.cat.Err() != nil {
			e.fail(catalogError(err))
		}
		return Commitment{}, catalogError(err)
	}
	return commitmentOf(a, now), nil
}

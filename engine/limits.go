package engine

import (
	"sync"

	"github.com/shardmill/shardmill/engine/catalog"
)

const (
	// onDemandLimit is how many on-demand streams AWS gives an account and region.
	onDemandLimit = 50
	// creatingLimit is how many streams of an account and region may be CREATING at once.
	creatingLimit = 5
)

// limits counts what an account has in a region. Counts are reserved before a change is committed and given back if it
// is not, so that two changes at once cannot pass a limit together.
type limits struct {
	shardLimit int

	mu     sync.Mutex // guards the following
	counts map[place]*counts
}

type place struct{ account, region string }

type counts struct{ open, onDemand, creating int }

func placeOf(n Name) place { return place{n.Account, n.Region} }

func (l *limits) atLocked(p place) *counts {
	c := l.counts[p]
	if c == nil {
		if l.counts == nil {
			l.counts = map[place]*counts{}
		}
		c = new(counts)
		l.counts[p] = c
	}
	return c
}

// use returns the open shards and on-demand streams of n's account and region.
func (l *limits) use(n Name) (open, onDemand int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.counts[placeOf(n)]; c != nil {
		return c.open, c.onDemand
	}
	return 0, 0
}

// adopt counts a stream that is there already.
func (l *limits) adopt(info *StreamInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.atLocked(placeOf(info.Name))
	c.open += info.OpenShards()
	if info.OnDemand {
		c.onDemand++
	}
}

// reserveStream counts a stream that is about to be created.
func (l *limits) reserveStream(info *StreamInfo) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.atLocked(placeOf(info.Name))
	n := info.OpenShards()
	switch {
	case c.open+n > l.shardLimit:
		return shardLimitError(info.Name, c.open, l.shardLimit, n)
	case info.OnDemand && c.onDemand >= onDemandLimit:
		return onDemandLimitError(info.Name, c.onDemand)
	case info.Status == catalog.Creating && c.creating >= creatingLimit:
		return newError(CodeLimitExceeded, "This request would exceed the limit on the number of streams in the CREATING state for the account %s in %s. "+
			"Limit: %d.", info.Name.Account, info.Name.Region, creatingLimit)
	}
	c.open += n
	if info.OnDemand {
		c.onDemand++
	}
	if info.Status == catalog.Creating {
		c.creating++
	}
	return nil
}

// releaseStream undoes reserveStream: the stream was not created, or is gone.
func (l *limits) releaseStream(info *StreamInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.atLocked(placeOf(info.Name))
	c.open -= info.OpenShards()
	if info.OnDemand {
		c.onDemand--
	}
	if info.Status == catalog.Creating {
		c.creating--
	}
	if *c == (counts{}) {
		delete(l.counts, placeOf(info.Name))
	}
}

// created notes that a stream is CREATING no longer.
func (l *limits) created(n Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.atLocked(placeOf(n)).creating--
}

// addOnDemand counts n more on-demand streams; n is 1 or -1, the latter always succeeds.
func (l *limits) addOnDemand(name Name, n int) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.atLocked(placeOf(name))
	if n > 0 && c.onDemand+n > onDemandLimit {
		return onDemandLimitError(name, c.onDemand)
	}
	c.onDemand += n
	return nil
}

func onDemandLimitError(n Name, have int) *Error {
	return newError(CodeLimitExceeded, "This request would exceed the limit on the number of On-Demand streams for the account %s in %s. "+
		"Current On-Demand streams count: %d. Limit: %d.", n.Account, n.Region, have, onDemandLimit)
}

// addShards counts n more open shards of a stream; n may be negative, then it always succeeds.
func (l *limits) addShards(name Name, n int) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.atLocked(placeOf(name))
	if n > 0 && c.open+n > l.shardLimit {
		return shardLimitError(name, c.open, l.shardLimit, n)
	}
	c.open += n
	return nil
}

func shardLimitError(n Name, open, limit, more int) *Error {
	return newError(CodeLimitExceeded, "This request would exceed the shard limit for the account %s in %s. "+
		"Current shard count for the account: %d. Limit: %d. Number of additional shards that would have resulted from this request: %d. "+
		"Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) "+
		"for current limits and how to request higher limits.", n.Account, n.Region, open, limit, more)
}

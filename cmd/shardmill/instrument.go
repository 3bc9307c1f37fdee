package main

import (
	"errors"
	"time"

	"github.com/shardmill/shardmill/internal/metrics"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// instrument counts and times every action of a service.
func instrument(s awshttp.Service, name string, q *metrics.Requests) awshttp.Service {
	actions := make([]awshttp.Action, len(s.Actions))
	for i, a := range s.Actions {
		op := q.Operation(name, a.Name, "json")
		do, direct := a.Do, a.Direct
		a.Do = func(c *awshttp.Call) error {
			start := time.Now()
			err := do(c)
			op.Observe(errorCode(err), time.Since(start))
			return err
		}
		if direct != nil {
			a.Direct = func(c *awshttp.Call) (bool, error) {
				start := time.Now()
				done, err := direct(c)
				if done || err != nil {
					op.Observe(errorCode(err), time.Since(start))
				}
				return done, err
			}
		}
		actions[i] = a
	}
	s.Actions = actions
	return s
}

// errorCode is the label for an action's outcome.
func errorCode(err error) string {
	if err == nil {
		return metrics.OK
	}
	if e, ok := errors.AsType[*awshttp.Error](err); ok {
		return e.Type
	}
	return "InternalFailure"
}

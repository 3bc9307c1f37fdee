package kinesisapi

import (
	"errors"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// policyHolder finds what a resource policy belongs to: a stream or a consumer. A stream that is not there is named by its
// ARN, which no other operation does.
func (a *API) policyHolder(c *awshttp.Call, resource string) (s *engine.Stream, h engine.PolicyHolder, err error) {
	if isConsumer(resource) {
		r, err := a.consumer(c, resource, "", "")
		return r.stream, engine.PolicyHolder{Consumer: r.name, Created: r.created}, err
	}
	s, n, err := a.stream(c, "", resource)
	var e *engine.Error
	if errors.As(err, &e) && e.Code == engine.CodeNotFound {
		err = notFound("Stream " + resource + " under account " + n.Account + " not found.")
	}
	return s, h, err
}

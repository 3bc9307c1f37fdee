package kinesisapi

import (
	"strings"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// policyHolder finds what a resource policy belongs to: a stream, or the part "consumer/..." of one. Gap: the ARN of a
// consumer is ResourceNotFoundException.
func (a *API) policyHolder(c *awshttp.Call, resource string) (s *engine.Stream, part string, err error) {
	at := strings.Index(resource, ":stream/")
	if at < 0 {
		return nil, "", notFound("Resource " + resource + " not found.")
	}
	if _, part, ok := strings.Cut(resource[at+len(":stream/"):], "/"); ok {
		return nil, part, notFound("Resource " + resource + " not found.")
	}
	s, _, err = a.stream(c, "", resource)
	return s, "", err
}

package stsapi

import (
	"net/http"

	"github.com/shardmill/shardmill/transport/awshttp"
)

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// API answers actions. It has no state and may be called concurrently.
type API struct{}

// Neighbour is the service for the front door.
func (a *API) Neighbour() awshttp.Neighbour {
	return awshttp.Neighbour{
		Name: "sts", Signing: "sts", Serve: a.serve,
		Refuse: func(c *awshttp.NeighbourCall, e *awshttp.Error) { c.QueryError(namespace, e) },
	}
}

func (a *API) serve(c *awshttp.NeighbourCall) {
	form, ok := c.QueryForm()
	if !ok {
		c.QueryError(namespace, &awshttp.Error{Type: "MalformedQueryString", Message: "The request is no form of the query protocol."})
		return
	}
	switch action := form.Get("Action"); action {
	case "":
		c.QueryError(namespace, &awshttp.Error{Type: "MissingAction", Message: "The request must contain the parameter Action."})
	case "GetCallerIdentity":
		c.Action = action
		a.getCallerIdentity(c)
	default:
		c.QueryError(namespace, &awshttp.Error{
			Status: http.StatusNotImplemented, Type: "InvalidAction",
			Message: "The STS in shardmill answers GetCallerIdentity only and lacks " + action[:min(len(action), 100)] +
				": run an emulator such as moto beside it and point AWS_ENDPOINT_URL_STS there.",
		})
	}
}

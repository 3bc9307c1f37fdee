package cloudwatchapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/transport/awshttp"
)

var errForm = errors.New("the request is malformed")

// readQuery reads a form: MetricData.member.1.MetricName=Latency and so on, of which only the names matter.
func readQuery(c *awshttp.NeighbourCall) (action string, in awshttp.Value, err error) {
	form, ok := c.QueryForm()
	if !ok {
		return "", in, errForm
	}
	in.Kind = awshttp.Map
	if space := form.Get("Namespace"); space != "" {
		in.Put("Namespace", awshttp.StringValue(space))
	}
	members := map[int]bool{}
	for name := range form {
		rest, ok := strings.CutPrefix(name, "MetricData.member.")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return "", in, errForm
		}
		members[n] = true
	}
	list := awshttp.Value{Kind: awshttp.List}
	for n := 1; len(list.List) < len(members); n++ {
		if !members[n] {
			return "", in, errForm // a gap
		}
		datum := awshttp.Value{Kind: awshttp.Map}
		if name := form.Get("MetricData.member." + strconv.Itoa(n) + ".MetricName"); name != "" {
			datum.Put("MetricName", awshttp.StringValue(name))
		}
		list.List = append(list.List, datum)
	}
	if len(list.List) > 0 {
		in.Put("MetricData", list)
	}
	return form.Get("Action"), in, nil
}

func acceptQuery(c *awshttp.NeighbourCall, action string) { c.QueryReply(namespace, action, "") }

func refuseQuery(c *awshttp.NeighbourCall, e *awshttp.Error) { c.QueryError(namespace, e) }

func readJSON(c *awshttp.NeighbourCall) (action string, in awshttp.Value, err error) {
	_, action, _ = strings.Cut(c.Request.Header.Get("X-Amz-Target"), ".")
	if c.Request.Method != http.MethodPost {
		return action, in, errForm
	}
	in, err = awshttp.JSON{}.Parse(c.Body)
	if err == nil && in.Kind != awshttp.Map {
		err = errForm
	}
	return action, in, err
}

func acceptJSON(c *awshttp.NeighbourCall, _ string) {
	c.ContentType, c.Reply = jsonType, []byte("{}")
}

func refuseJSON(c *awshttp.NeighbourCall, e *awshttp.Error) {
	status(c, e)
	c.ContentType, c.Reply = jsonType, awshttp.JSON{}.Append(nil, errorValue(e))
}

func status(c *awshttp.NeighbourCall, e *awshttp.Error) {
	c.Code = e.Type
	if c.Status = e.Status; c.Status == 0 {
		c.Status = http.StatusBadRequest
	}
}

// modelName is the name of an error in the newer protocols; the query protocol has older ones.
func modelName(queryName string) string {
	switch queryName {
	case "MissingParameter":
		return "MissingRequiredParameterException"
	case "InvalidParameterValue":
		return "InvalidParameterValueException"
	}
	return queryName
}

func errorValue(e *awshttp.Error) awshttp.Value {
	v := awshttp.Value{Kind: awshttp.Map}
	v.Put("__type", awshttp.StringValue(errorSpace+modelName(e.Type)))
	v.Put("message", awshttp.StringValue(e.Message))
	return v
}

// smithy is the header that tells RPC v2 CBOR answers from those of a proxy.
func smithy(c *awshttp.NeighbourCall) {
	c.Header = http.Header{"smithy-protocol": {"rpc-v2-cbor"}}
}

func (a *API) readCBOR(c *awshttp.NeighbourCall) (action string, in awshttp.Value, err error) {
	action = strings.TrimPrefix(c.Request.URL.Path, pathPrefix)
	if c.Request.Method != http.MethodPost || c.Request.Header.Get("smithy-protocol") != "rpc-v2-cbor" {
		return action, in, errForm
	}
	in, err = a.cbor.Parse(c.Body)
	if err == nil && in.Kind != awshttp.Map {
		err = errForm
	}
	return action, in, err
}

// acceptCBOR answers without a body: PutMetricData has no output.
func acceptCBOR(c *awshttp.NeighbourCall, _ string) { smithy(c) }

func (a *API) refuseCBOR(c *awshttp.NeighbourCall, e *awshttp.Error) {
	smithy(c)
	status(c, e)
	c.ContentType, c.Reply = cborType, a.cbor.Append(nil, errorValue(e))
}

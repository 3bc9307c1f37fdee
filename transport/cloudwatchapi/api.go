package cloudwatchapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/shardmill/shardmill/transport/awshttp"
)

// Constants of the wires.
const (
	target     = "GraniteServiceVersion20100801"
	pathPrefix = "/service/" + target + "/operation/"
	namespace  = "http://monitoring.amazonaws.com/doc/2010-08-01/"
	errorSpace = "com.amazonaws.cloudwatch#"
	jsonType   = "application/x-amz-json-1.0"
	cborType   = "application/cbor"
	maxBody    = 1 << 20 // CloudWatch's limit, before and after decompression
)

// API answers actions. Its methods may be called concurrently.
type API struct {
	data atomic.Uint64
	cbor awshttp.CBOR
}

// New makes the API.
func New() (*API, error) {
	codec, err := awshttp.NewCBOR()
	if err != nil {
		return nil, fmt.Errorf("start the CBOR reader: %w", err)
	}
	return &API{cbor: codec}, nil
}

// Taken is how many metric data were taken so far.
func (a *API) Taken() uint64 { return a.data.Load() }

// Neighbour is the service for the front door.
func (a *API) Neighbour() awshttp.Neighbour {
	return awshttp.Neighbour{
		Name: "cloudwatch", Signing: "monitoring", Target: target, Path: pathPrefix, MaxBody: maxBody, Serve: a.serve,
		Refuse: func(c *awshttp.NeighbourCall, e *awshttp.Error) { a.wireOf(c.Request).refuse(c, e) },
	}
}

// wire is one protocol: how it names the action, and its two kinds of answers.
type wire struct {
	// read gives the action and its parameters.
	read   func(c *awshttp.NeighbourCall) (action string, in awshttp.Value, err error)
	accept func(c *awshttp.NeighbourCall, action string)
	refuse func(c *awshttp.NeighbourCall, e *awshttp.Error)
}

// wireOf tells the protocol of a request.
func (a *API) wireOf(r *http.Request) wire {
	switch {
	case strings.HasPrefix(r.URL.Path, pathPrefix):
		return wire{a.readCBOR, acceptCBOR, a.refuseCBOR}
	case r.Header.Get("X-Amz-Target") != "":
		return wire{readJSON, acceptJSON, refuseJSON}
	}
	return wire{readQuery, acceptQuery, refuseQuery}
}

func (a *API) serve(c *awshttp.NeighbourCall) {
	w := a.wireOf(c.Request)
	if err := inflate(c); err != nil {
		w.refuse(c, &awshttp.Error{Type: "InvalidParameterValue", Message: "The body can not be decompressed."})
		return
	}
	action, in, err := w.read(c)
	switch {
	case err != nil:
		w.refuse(c, &awshttp.Error{Type: "SerializationException", Message: err.Error()})
		return
	case action != "PutMetricData":
		w.refuse(c, &awshttp.Error{
			Status: http.StatusNotImplemented, Type: "UnknownOperationException",
			Message: "The CloudWatch in shardmill takes PutMetricData only and lacks " + strconv.Quote(action[:min(len(action), 100)]) +
				": run an emulator such as moto beside it and point AWS_ENDPOINT_URL_CLOUDWATCH there, or read /metrics.",
		})
		return
	}
	c.Action = action
	if err := a.putMetricData(in); err != nil {
		w.refuse(c, err)
		return
	}
	w.accept(c, action)
}

var errTooLarge = errors.New("more than the limit after decompression")

// inflate unpacks a gzipped body.
func inflate(c *awshttp.NeighbourCall) error {
	if !strings.EqualFold(c.Request.Header.Get("Content-Encoding"), "gzip") {
		return nil
	}
	r, err := gzip.NewReader(bytes.NewReader(c.Body))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return err
	}
	if len(body) > maxBody {
		return errTooLarge
	}
	c.Body = body
	return nil
}

package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/internal/metrics"
	"github.com/shardmill/shardmill/transport/awshttp"
	"github.com/shardmill/shardmill/transport/cloudwatchapi"
	"github.com/shardmill/shardmill/transport/dynamodbapi"
	"github.com/shardmill/shardmill/transport/stsapi"
)

// neighbourNames are the services beside Kinesis that its clients need to start, as health lists them.
func neighbourNames() []string { return []string{"dynamodb", "cloudwatch", "sts"} }

// addNeighbours puts the neighbours behind the front door. Their items lie in neighbours.db in the data folder.
func (n *node) addNeighbours(requests *metrics.Requests) error {
	if !n.opts.Neighbours {
		return nil
	}
	var err error
	n.items, err = itemstore.Open(itemstore.Options{Path: filepath.Join(n.dir, "neighbours.db"), NoSync: n.opts.Ephemeral})
	if err != nil {
		return exitf(codeFailed, "open the neighbours' data: %w. Start without them with --no-neighbours", err)
	}
	watch, err := cloudwatchapi.New()
	if err != nil {
		return exitf(codeFailed, "start the neighbours: %w", err)
	}
	n.metrics.WatchNeighbours(func() metrics.Neighbours { return metrics.Neighbours{MetricData: watch.Taken()} })
	for _, neighbour := range []awshttp.Neighbour{
		dynamodbapi.New(n.items, n.opts.Log).Neighbour(), watch.Neighbour(), new(stsapi.API).Neighbour(),
	} {
		n.http.AddNeighbour(instrumentNeighbour(neighbour, requests))
	}
	return nil
}

// instrumentNeighbour counts and times every request of a neighbour. Actions it does not know are one operation.
func instrumentNeighbour(s awshttp.Neighbour, q *metrics.Requests) awshttp.Neighbour {
	type key struct{ action, protocol string }
	var operations sync.Map // of key to *metrics.Operation; as many as the neighbour knows actions and protocols
	serve := s.Serve
	s.Serve = func(c *awshttp.NeighbourCall) {
		start := time.Now()
		serve(c)
		k := key{action: c.Action, protocol: protocolOf(c.Request)}
		if k.action == "" {
			k.action = "Unknown"
		}
		op, ok := operations.Load(k)
		if !ok {
			op, _ = operations.LoadOrStore(k, q.Operation(s.Name, k.action, k.protocol))
		}
		if o, ok := op.(*metrics.Operation); ok {
			o.Observe(c.Code, time.Since(start))
		}
	}
	return s
}

func protocolOf(r *http.Request) string {
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		return "json"
	case strings.HasPrefix(r.URL.Path, "/service/"):
		return "cbor"
	}
	return "query"
}

// Package metrics is what the server tells Prometheus: a registry of its own, counters for the requests of all
// services, and collectors that read the state of the log and of the native server when asked.
//
// Main types: Registry, Requests, Log, Native. Names begin with shardmill_, units are seconds and bytes, label values are
// bounded: services and operations come from the API tables, codes from the error lists. It writes no bytes but the
// Prometheus text format, which client_golang makes.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Build says which program is running.
type Build struct{ Version, Commit, Go string }

// Registry holds all metrics of one server. Its methods may be called concurrently.
type Registry struct {
	reg *prometheus.Registry
}

// New makes a registry with the metrics of the process, the Go runtime and the build.
func New(b Build) *Registry {
	reg := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "shardmill_build_info", Help: "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "goversion": b.Go},
	})
	info.Set(1)
	reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Registry{reg: reg}
}

// Handler answers scrapes.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.reg, promhttp.HandlerOpts{Registry: r.reg, MaxRequestsInFlight: maxScrapes})
}

// maxScrapes bounds the scrapes answered at once; each holds the whole text in memory.
const maxScrapes = 4

// Requests counts requests by service, operation and code, and times them.
type Requests struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewRequests registers the request metrics. Call it once per registry.
func (r *Registry) NewRequests() *Requests {
	q := &Requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shardmill_api_requests_total", Help: "Requests answered, by service, operation and code (OK or the error type).",
		}, []string{"service", "operation", "code", "protocol"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shardmill_api_request_duration_seconds", Help: "Time to answer a request, body read to reply ready.",
			Buckets: prometheus.ExponentialBuckets(25e-6, 2, 18), // 25 us to 3.3 s
		}, []string{"service", "operation"}),
	}
	r.reg.MustRegister(q.total, q.duration)
	return q
}

// Operation is one operation's metrics, looked up once. Observe may be called concurrently.
type Operation struct {
	ok       prometheus.Counter
	duration func() prometheus.Observer // made with the first request: 20 zeros per unused operation help nobody
	failed   func(code string) prometheus.Counter
}

// OK is the code of requests that succeeded.
const OK = "OK"

// Operation prepares the metrics of an operation, whose counter then shows up as zero before its first request.
func (q *Requests) Operation(service, operation, protocol string) *Operation {
	return &Operation{
		ok:       q.total.WithLabelValues(service, operation, OK, protocol),
		duration: sync.OnceValue(func() prometheus.Observer { return q.duration.WithLabelValues(service, operation) }),
		failed: func(code string) prometheus.Counter {
			return q.total.WithLabelValues(service, operation, code, protocol)
		},
	}
}

// Observe books one request. code is empty or OK for success, else an error type out of a fixed list.
func (o *Operation) Observe(code string, took time.Duration) {
	if code == "" || code == OK {
		o.ok.Inc()
	} else {
		o.failed(code).Inc()
	}
	o.duration().Observe(took.Seconds())
}

// Log is the state of the log at one moment.
type Log struct {
	Published, Written, Durable uint64 // positions
	Streams, OpenShards         int
	Malformed                   uint64 // batches whose producer built them wrongly, left out of answers
	Failed                      bool   // takes no more appends
}

// Native is the state of the native protocol's server at one moment.
type Native struct {
	Sessions                   int64
	Refused, SlowReaders, Held uint64
}

// WatchLog registers the log's metrics. state is called at each scrape and must not block for long.
func (r *Registry) WatchLog(state func() Log) {
	c := &collector[Log]{state: state}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	c.add("shardmill_log_published_bytes_total", "Address space handed out to appends.", counter, func(l *Log) float64 { return float64(l.Published) })
	c.add("shardmill_log_written_bytes_total", "Address space handed to the operating system.", counter, func(l *Log) float64 { return float64(l.Written) })
	c.add("shardmill_log_durable_bytes_total", "Address space that is synced.", counter, func(l *Log) float64 { return float64(l.Durable) })
	c.add("shardmill_log_unsynced_bytes", "Published and not yet synced.", gauge, func(l *Log) float64 { return float64(l.Published - min(l.Durable, l.Published)) })
	c.add("shardmill_log_malformed_batches_total", "Batches, or their ends, that readers left out because their producer built them wrongly.", counter, func(l *Log) float64 { return float64(l.Malformed) })
	c.add("shardmill_log_failed", "1 after a disk failure: the log takes no more appends.", gauge, func(l *Log) float64 { return oneIf(l.Failed) })
	c.add("shardmill_streams", "Streams in the server's default account and region.", gauge, func(l *Log) float64 { return float64(l.Streams) })
	c.add("shardmill_open_shards", "Open shards of those streams.", gauge, func(l *Log) float64 { return float64(l.OpenShards) })
	r.reg.MustRegister(c)
}

// WatchNative registers the metrics of the native protocol, as WatchLog does.
func (r *Registry) WatchNative(state func() Native) {
	c := &collector[Native]{state: state}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	c.add("shardmill_native_sessions", "Connections of the native protocol.", gauge, func(n *Native) float64 { return float64(n.Sessions) })
	c.add("shardmill_native_refused_total", "Connections ended with an error frame.", counter, func(n *Native) float64 { return float64(n.Refused) })
	c.add("shardmill_native_slow_readers_total", "Connections ended for not reading what they asked for.", counter, func(n *Native) float64 { return float64(n.SlowReaders) })
	c.add("shardmill_native_held_frames_total", "PRODUCE frames that waited for room in the ring.", counter, func(n *Native) float64 { return float64(n.Held) })
	r.reg.MustRegister(c)
}

// Neighbours is what was done for the services beside Kinesis.
type Neighbours struct {
	MetricData uint64 // CloudWatch data taken and counted
}

// WatchNeighbours registers the metrics of the neighbours, as WatchLog does.
func (r *Registry) WatchNeighbours(state func() Neighbours) {
	c := &collector[Neighbours]{state: state}
	c.add("shardmill_cloudwatch_metric_data_total", "Metric data that clients sent to the CloudWatch neighbour, which counts and drops them.", prometheus.CounterValue,
		func(n *Neighbours) float64 { return float64(n.MetricData) })
	r.reg.MustRegister(c)
}

// collector asks for a state at each scrape, so that nothing is counted while nobody looks.
type collector[S any] struct {
	mu    sync.Mutex // one scrape at a time asks
	state func() S
	all   []metric[S]
}

// metric is one value of a state.
type metric[S any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*S) float64
}

func (c *collector[S]) add(name, help string, kind prometheus.ValueType, value func(*S) float64) {
	c.all = append(c.all, metric[S]{prometheus.NewDesc(name, help, nil, nil), kind, value})
}

// Describe implements prometheus.Collector.
func (c *collector[S]) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.all {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector[S]) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	s := c.state()
	c.mu.Unlock()
	for _, m := range c.all {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&s))
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

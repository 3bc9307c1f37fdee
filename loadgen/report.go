package loadgen

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the outcome of a run. Its JSON names are stable: scripts read them. A pointer is nil, and its JSON null,
// where the thing was not measured.
type Report struct {
	Started time.Time `json:"started"` // of the measurement, after the warm-up
	Target  string    `json:"target"`
	Stream  string    `json:"stream"`

	// Valid says whether the figures may be compared with others; InvalidReasons why not. An invalid report is kept.
	Valid          bool     `json:"valid"`
	InvalidReasons []string `json:"invalid_reasons"`
	// Partial says why the run ended early; empty if it did not.
	Partial string `json:"partial"`

	MeasuredSeconds   float64 `json:"measured_seconds"`
	RecordsPerSecond  float64 `json:"records_per_second"` // acknowledged within the measured time
	BytesPerSecond    float64 `json:"bytes_per_second"`   // record data alone: no keys, no framing, no base64
	RequestsPerSecond float64 `json:"requests_per_second"`
	Records           int64   `json:"records"`
	Bytes             int64   `json:"bytes"`
	Requests          int64   `json:"requests"`
	SentRecords       int64   `json:"sent_records"`  // over the whole run, warm-up included
	AckedRecords      int64   `json:"acked_records"` // likewise

	// Errors counts failed requests, and refused records of requests that were taken in part, over the whole run.
	Errors     int64            `json:"errors"`
	ErrorKinds map[string]int64 `json:"error_kinds"`
	// ScheduledRecords is how many records the schedule of open mode had in the measured time; 0 in saturate mode.
	ScheduledRecords int64 `json:"scheduled_records"`
	// Unsent is how many requests of the schedule were given up because the target stayed behind to the end.
	Unsent int64 `json:"unsent"`

	Lost           *int64 `json:"lost"`
	Duplicates     *int64 `json:"duplicates"`
	Disorder       *int64 `json:"disorder"`
	Gaps           *int64 `json:"gaps"`
	Corrupt        *int64 `json:"corrupt"`
	Foreign        *int64 `json:"foreign"`
	Unacknowledged *int64 `json:"unacknowledged"` // came back all the same
	Verified       bool   `json:"verified"`       // everything was read back and checked

	Response *Latency `json:"response"`
	Service  *Latency `json:"service"`
	Lag      *Latency `json:"lag"`
	EndToEnd *Latency `json:"end_to_end"`
	// CutValues is how many values lay beyond 60 s and were recorded as 60 s.
	CutValues int64 `json:"cut_values"`

	Intervals []Interval     `json:"intervals"`
	Config    ReportedConfig `json:"config"`
	Payload   PayloadInfo    `json:"payload"`
	Generator *GeneratorUse  `json:"generator"`
	Server    *ServerUse     `json:"server"`
	Machine   Machine        `json:"machine"`

	total histograms
	log   *intervalLog
}

// Latency is a distribution of times in microseconds, 3 significant digits, rounded up.
type Latency struct {
	Count     int64   `json:"count"`
	MinMicros int64   `json:"min_us"`
	Mean      float64 `json:"mean_us"`
	P50       int64   `json:"p50_us"`
	P90       int64   `json:"p90_us"`
	P95       int64   `json:"p95_us"`
	P99       int64   `json:"p99_us"`
	P999      int64   `json:"p999_us"`
	P9999     int64   `json:"p9999_us"`
	MaxMicros int64   `json:"max_us"`
}

func latencyOf(h *hdrhistogram.Histogram) *Latency {
	if h == nil {
		return nil
	}
	at := h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99, 99.9, 99.99})
	return &Latency{
		Count: h.TotalCount(), MinMicros: h.Min(), Mean: h.Mean(), MaxMicros: h.Max(),
		P50: at[0], P90: at[1], P95: at[2], P99: at[3], P999: at[4], P9999: at[5],
	}
}

// ReportedConfig is the Config that ran, defaults filled in, without secrets.
type ReportedConfig struct {
	Mode             Mode         `json:"mode"`
	Ack              Ack          `json:"ack"`
	AckIs            string       `json:"ack_is"` // "requested" or "label": see Config.Ack
	Shards           int          `json:"shards"`
	Producers        int          `json:"producers"`
	Window           int          `json:"window"`
	Workers          int          `json:"workers"`
	Consumers        int          `json:"consumers"`
	Verify           bool         `json:"verify"`
	Size             int          `json:"size"`
	BatchRecords     int          `json:"batch_records"` // of the largest request
	BatchBytes       int          `json:"batch_bytes"`   // at most, as configured
	Keys             int          `json:"keys"`
	Distribution     Distribution `json:"distribution"`
	ZipfS            float64      `json:"zipf_s"`
	Rate             float64      `json:"rate"` // records/s; 0 in saturate mode
	Arrival          Arrival      `json:"arrival"`
	DurationSeconds  float64      `json:"duration_seconds"`
	WarmupSeconds    float64      `json:"warmup_seconds"`
	TimeoutSeconds   float64      `json:"timeout_seconds"`
	Seed             uint64       `json:"seed"`
	Signed           bool         `json:"signed"`
	GeneratorGCTuned bool         `json:"generator_gc_tuned"`
}

func (c *Config) reported(e Endpoint) ReportedConfig {
	native := e.Scheme == SchemeNative
	out := ReportedConfig{
		Mode: c.Mode, Ack: c.Ack, AckIs: "label", Shards: c.Shards, Producers: c.Producers, Window: c.Window,
		Workers: c.workers(native), Consumers: c.Consumers, Verify: !c.NoVerify, Size: c.Size,
		BatchRecords: c.BatchRecords, BatchBytes: c.BatchBytes, Keys: c.Keys, Distribution: c.Distribution,
		Rate: c.Rate, Arrival: c.Arrival, DurationSeconds: c.Duration.Seconds(), WarmupSeconds: c.Warmup.Seconds(),
		TimeoutSeconds: c.Timeout.Seconds(), Seed: c.Seed, Signed: c.AccessKey != "", GeneratorGCTuned: c.TuneGC,
	}
	if native {
		out.AckIs = "requested"
	}
	if c.Distribution == Zipf {
		out.ZipfS = c.ZipfS
	}
	if c.Payload != "" {
		out.Size = 0
	}
	return out
}

// report puts together what is known at the end.
func (r *run) report(verified *Integrity, err, failure error) *Report {
	k := r.collector
	t := &k.totals
	out := &Report{
		Started: r.clock.start.Add(time.Duration(r.when.measure)).UTC().Round(time.Millisecond),
		Target:  r.c.Target, Stream: r.c.Stream, Partial: partialReason(failure),
		Records: t.records, Bytes: t.bytes, Requests: t.requests, AckedRecords: r.book.acked.Load(),
		Errors: t.errors, ErrorKinds: t.kinds, CutValues: t.cut, Intervals: k.intervals,
		Config: r.c.reported(r.endpoint), Payload: r.payload, Generator: k.used, Server: k.server,
		Machine: readMachine(r.c.DataDir), total: k.total, log: k.log,
	}
	out.Config.BatchRecords = 0
	for _, q := range r.workers[0].pool.requests {
		out.Config.BatchRecords = max(out.Config.BatchRecords, len(q.marks))
	}
	for i, w := range r.workers {
		out.Unsent += w.unsent
		out.ScheduledRecords += w.scheduled
		out.SentRecords += int64(r.book.workers[i].sent.Load())
	}
	if out.ErrorKinds == nil {
		out.ErrorKinds = map[string]int64{}
	}
	if out.Intervals == nil {
		out.Intervals = []Interval{}
	}
	measured := r.c.Duration.Seconds()
	if failure != nil {
		measured = float64(min(r.ended, r.when.end)-r.when.measure) / 1e9
	}
	out.rates(measured)
	out.latencies(r.c.Mode)
	out.integrity(verified)
	out.judge(&r.c, err)
	return out
}

func partialReason(failure error) string {
	if failure == nil {
		return ""
	}
	return failure.Error()
}

func (r *Report) rates(seconds float64) {
	if seconds <= 0 {
		return
	}
	r.MeasuredSeconds = seconds
	r.RecordsPerSecond = float64(r.Records) / seconds
	r.BytesPerSecond = float64(r.Bytes) / seconds
	r.RequestsPerSecond = float64(r.Requests) / seconds
	if r.Generator != nil {
		r.Generator.per(r.Records, r.Bytes)
	}
	if r.Server != nil {
		r.Server.per(r.Records, r.Bytes)
	}
}

func (r *Report) latencies(m Mode) {
	r.Service = latencyOf(r.total[opService])
	r.Response = latencyOf(r.total[opResponse])
	r.Lag = latencyOf(r.total[opLag])
	r.EndToEnd = latencyOf(r.total[opEndToEnd])
	if m == Saturate {
		r.Response = r.Service // no schedule: intended is sent
	}
}

func (r *Report) integrity(i *Integrity) {
	if i == nil {
		return
	}
	r.Verified = true
	r.Lost, r.Duplicates, r.Disorder, r.Gaps = &i.Lost, &i.Duplicates, &i.Disorder, &i.Gaps
	r.Corrupt, r.Foreign, r.Unacknowledged = &i.Corrupt, &i.Foreign, &i.Unacknowledged
}

// Gates of a valid open-loop result.
const (
	minAchieved = 0.99 // of the target rate
	maxLagShare = 0.10 // lag p99 of response p99
)

// judge applies the gates that make figures comparable.
func (r *Report) judge(c *Config, err error) {
	r.InvalidReasons = []string{}
	bad := func(format string, args ...any) {
		r.InvalidReasons = append(r.InvalidReasons, fmt.Sprintf(format, args...))
	}
	if r.Partial != "" {
		bad("the run ended early")
	}
	if r.Records == 0 {
		bad("nothing was acknowledged within the measured time")
	}
	if r.Errors > 0 {
		bad("%d errors", r.Errors)
	}
	if c.Mode == Open {
		// Of what was scheduled, not of the rate as such: Poisson arrivals differ from it by chance.
		if got := float64(r.Records) / float64(max(1, r.ScheduledRecords)); got < minAchieved {
			bad("achieved %.1f %% of the target rate, need %.0f %%", got*100, minAchieved*100)
		}
		if r.Lag.Count > 0 && float64(r.Lag.P99) >= maxLagShare*float64(r.Response.P99) {
			bad("lag p99 is %.0f %% of response p99, must be below %.0f %%",
				100*float64(r.Lag.P99)/float64(r.Response.P99), maxLagShare*100)
		}
		if r.Unsent > 0 {
			bad("%d scheduled requests were never sent", r.Unsent)
		}
	}
	if errors.Is(err, ErrIntegrity) || errors.Is(err, ErrVerify) {
		bad("%v", err)
	}
	r.Valid = len(r.InvalidReasons) == 0
}

// WriteJSON writes the report as one indented JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// WriteHistograms writes base.hlog, an interval log with one tag per operation, and one percentile table per operation:
// base.hgrm for the response and base.OPERATION.hgrm for the others that were measured. Values are microseconds. Files
// of these names are replaced.
func (r *Report) WriteHistograms(base string) error {
	if r.log == nil {
		return errors.New("write histograms: this report was not made by Run")
	}
	if r.log.failed != nil {
		return fmt.Errorf("write interval log: %w", r.log.failed)
	}
	if err := os.WriteFile(base+".hlog", r.log.buf.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write interval log: %w", err)
	}
	for op, h := range r.total {
		name := base + "." + operation(op).String() + ".hgrm"
		if operation(op) == opResponse {
			name = base + ".hgrm"
			if h == nil {
				h = r.total[opService]
			}
		}
		if h == nil {
			continue
		}
		if err := writePercentiles(name, h); err != nil {
			return fmt.Errorf("write %s percentiles: %w", operation(op), err)
		}
	}
	return nil
}

func writePercentiles(name string, h *hdrhistogram.Histogram) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	const ticks = 5 // steps per halving of the distance to 100 %, as the plotters expect
	_, err = h.PercentilesPrint(b, ticks, 1)
	return errors.Join(err, b.Flush(), f.Close())
}

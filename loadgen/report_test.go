package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// fixedReport is a report whose every figure is known.
func fixedReport() *Report {
	h := newHistograms(shape{opResponse: true, opService: true, opLag: true})
	for us := int64(1); us <= 1000; us++ {
		h.record(opService, us*1000, 1)
		h.record(opResponse, us*2000, 1)
		h.record(opLag, us*1000, 1)
	}
	n := func(v int64) *int64 { return &v }
	r := &Report{
		Started: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Target: "native://127.0.0.1:4568", Stream: "load",
		MeasuredSeconds: 10, RecordsPerSecond: 1234567.5, BytesPerSecond: 123456750, RequestsPerSecond: 2000,
		Records: 12345675, Bytes: 1234567500, Requests: 20000, SentRecords: 13000000, AckedRecords: 12999990,
		Errors: 1, ErrorKinds: map[string]int64{"timeout": 1}, ScheduledRecords: 12345678, Unsent: 0,
		Verified: true, Lost: n(0), Duplicates: n(0), Disorder: n(0), Gaps: n(1), Corrupt: n(0), Foreign: n(3), Unacknowledged: n(10),
		Intervals: []Interval{{At: 0, Seconds: 1, Records: 1000, Bytes: 100000, Requests: 10, RecordsPerSecond: 1000, BytesPerSecond: 100000, P50Micros: 5, P99Micros: 6, MaxMicros: 7}},
		Config: ReportedConfig{
			Mode: Open, Ack: AckOS, AckIs: "requested", Shards: 4, Producers: 2, Window: 16, Workers: 2, Verify: true, Size: 100,
			BatchRecords: 500, BatchBytes: 65536, Keys: 10000, Distribution: Zipf, ZipfS: 1.1, Rate: 1250000, Arrival: Poisson,
			DurationSeconds: 10, WarmupSeconds: 3, TimeoutSeconds: 10, Seed: 1,
		},
		Payload:   PayloadInfo{Kind: "random", ZstdRatio: 1.25},
		Generator: &GeneratorUse{CPUUse: CPUUse{UserSeconds: 1.5, SystemSeconds: 0.5, NanosPerRecord: 162, NanosPerByte: 1.62}, GCCycles: 2},
		Machine:   Machine{CPU: "Some CPU", Cores: 2, GOMAXPROCS: 2, Kernel: "6.18", OS: "linux", Arch: "amd64", MemoryBytes: 24 << 30, Go: "go1.26"},
		total:     h,
	}
	r.latencies(Open)
	r.judge(&Config{Mode: Open, Rate: 1250000}, nil)
	return r
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil || !bytes.Equal(want, got) {
		t.Errorf("testdata/%s (%v) differs; scripts read this. Now it is:\n%s", name, err, got)
	}
}

func TestReportIsStable(t *testing.T) {
	var j, text bytes.Buffer
	r := fixedReport()
	if err := errors.Join(r.WriteJSON(&j), r.WriteText(&text)); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", j.Bytes())
	golden(t, "report.txt", text.Bytes())
}

// The names that scripts were promised, and null where nothing is known.
func TestReportNames(t *testing.T) {
	names := func(r *Report) map[string]any {
		t.Helper()
		var b bytes.Buffer
		var m map[string]any
		if err := errors.Join(r.WriteJSON(&b), json.Unmarshal(b.Bytes(), &m)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	full := names(fixedReport())
	for _, n := range []string{"records_per_second", "bytes_per_second", "errors", "lost", "duplicates", "disorder", "valid", "started"} {
		if full[n] == nil {
			t.Errorf("%s is missing", n)
		}
	}
	response, _ := full["response"].(map[string]any)
	for _, n := range []string{"p50_us", "p99_us", "p999_us", "max_us"} {
		if response[n] == nil {
			t.Errorf("response.%s is missing", n)
		}
	}
	empty := names(&Report{})
	for _, n := range []string{"lost", "duplicates", "disorder", "gaps", "corrupt", "lag", "end_to_end", "server"} {
		if v, there := empty[n]; !there || v != nil {
			t.Errorf("%s is %v where it is not known, want null", n, v)
		}
	}
}

func TestGates(t *testing.T) {
	f := func(name, want string, change func(r *Report, c *Config) error) {
		t.Helper()
		c := Config{Mode: Open, Rate: 1000}
		r := &Report{
			Records: 1000, ScheduledRecords: 1000, RecordsPerSecond: 1000, Response: &Latency{Count: 100, P99: 1000},
			Lag: &Latency{Count: 100, P99: 50},
		}
		r.judge(&c, change(r, &c))
		if got := strings.Join(r.InvalidReasons, "; "); got != want || r.Valid != (want == "") {
			t.Errorf("%s: valid %v, %q, want %q", name, r.Valid, got, want)
		}
	}
	f("fine", "", func(*Report, *Config) error { return nil })
	f("errors", "1 errors", func(r *Report, _ *Config) error { r.Errors = 1; return nil })
	f("slow", "achieved 98.0 % of the target rate, need 99 %", func(r *Report, _ *Config) error { r.Records = 980; return nil })
	f("just", "", func(r *Report, _ *Config) error { r.Records = 990; return nil })
	f("lag", "lag p99 is 10 % of response p99, must be below 10 %", func(r *Report, _ *Config) error { r.Lag.P99 = 100; return nil })
	f("unsent", "3 scheduled requests were never sent", func(r *Report, _ *Config) error { r.Unsent = 3; return nil })
	f("nothing", "nothing was acknowledged within the measured time; achieved 0.0 % of the target rate, need 99 %",
		func(r *Report, _ *Config) error { r.Records = 0; return nil })
	f("partial", "the run ended early", func(r *Report, _ *Config) error { r.Partial = "x"; return nil })
	f("integrity", "integrity violated", func(*Report, *Config) error { return ErrIntegrity })
	f("saturate has no target", "", func(r *Report, c *Config) error { r.Records, c.Mode, r.Lag = 1, Saturate, nil; return nil })
}

func TestHistogramFilesParseBack(t *testing.T) {
	t.Parallel()
	c := small()
	c.Mode, c.Rate, c.Consumers, c.Duration = Open, 20_000, 1, 1200*time.Millisecond
	r, err := onFaulty(t, c, faults{})
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "run")
	if err := r.WriteHistograms(base); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(base + ".hlog")
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int64)
	intervals := make(map[string]int)
	reader := hdrhistogram.NewHistogramLogReader(bytes.NewReader(b))
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		counts[h.Tag()] += h.TotalCount()
		intervals[h.Tag()]++
	}
	for op, l := range map[operation]*Latency{opResponse: r.Response, opService: r.Service, opLag: r.Lag, opEndToEnd: r.EndToEnd} {
		if l == nil || l.Count == 0 || counts[op.String()] != l.Count || intervals[op.String()] == 0 {
			t.Errorf("%s: %d values in %d intervals, report says %+v", op, counts[op.String()], intervals[op.String()], l)
		}
		name := base + "." + op.String() + ".hgrm"
		if op == opResponse {
			name = base + ".hgrm"
		}
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), "Percentile") || !strings.Contains(string(b), "1.000000") {
			t.Errorf("%s: %v %.80s", name, err, b)
		}
	}
}

// Each interval of each operation carries its tag: resetting a histogram takes it away.
func TestIntervalLogTags(t *testing.T) {
	l := newIntervalLog(time.Unix(1_800_000_000, 0))
	h := newHistograms(shape{opService: true, opLag: true})
	for i := range 3 {
		h.record(opService, 1000, 1)
		h.record(opLag, 2000, 1)
		from := time.Unix(1_800_000_000+int64(i), 0)
		l.add(&h, from, from.Add(time.Second))
		h.reset()
	}
	if text := l.buf.String(); l.failed != nil || strings.Count(text, "Tag=service,") != 3 || strings.Count(text, "Tag=lag,") != 3 {
		t.Fatalf("%v\n%s", l.failed, text)
	}
}

func TestHistogramRange(t *testing.T) {
	h := newHistograms(shape{opService: true})
	f := func(ns, want int64, wantCut bool) {
		t.Helper()
		h.reset()
		if cut := h.record(opService, ns, 1); cut != wantCut {
			t.Errorf("%d ns: cut %v", ns, cut)
		}
		// Within 3 digits: the bucket's highest value.
		if got := h[opService].Max(); got < want || float64(got) > float64(want)*1.001 {
			t.Errorf("%d ns recorded as %d us, want %d", ns, got, want)
		}
	}
	f(-5, 1, false)
	f(0, 1, false)
	f(1, 1, false)
	f(1000, 1, false)
	f(1001, 2, false)
	f(123_456_789, 123_457, false)
	f(60_000_000_000, 60_000_000, false)
	f(61_000_000_000, 60_000_000, true)
}

// No value may be lost or counted twice between the workers' recorders and the totals, whenever they are swapped.
func TestRecorderSwap(t *testing.T) {
	rec := newRecorder(shape{opService: true})
	const n = 200_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range int64(n) {
			rec.acknowledged(sample{acked: 1000 * (i % 500), records: 2, bytes: 3}, true, true)
		}
	}()
	total := newHistograms(rec.measured)
	spare := newHistograms(rec.measured)
	var sum tally
	swaps := 0
	for running := true; running; swaps++ {
		select {
		case <-done:
			running = false
		default:
		}
		spare = rec.take(&total, &sum, spare)
	}
	if total[opService].TotalCount() != n || sum.records != 2*n || sum.bytes != 3*n || sum.requests != n || swaps < 2 {
		t.Fatalf("%d values, %+v after %d swaps", total[opService].TotalCount(), sum, swaps)
	}
}

func TestErrorKindsAreBounded(t *testing.T) {
	rec := newRecorder(shape{opService: true})
	for i := range 1000 {
		rec.failed(strings.Repeat("x", i), 1)
	}
	if len(rec.t.kinds) > maxKinds+1 || rec.t.kinds["other"] == 0 || rec.t.errors != 1000 {
		t.Fatalf("%d kinds, %d other", len(rec.t.kinds), rec.t.kinds["other"])
	}
}

func TestMachine(t *testing.T) {
	m := readMachine(t.TempDir())
	if m.Cores < 1 || m.Go == "" || m.OS == "" {
		t.Fatalf("%+v", m)
	}
	if m.OS == "linux" && (m.Kernel == "" || m.MemoryBytes == 0 || m.Filesystem == "") {
		t.Fatalf("%+v", m)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	before := readUsage(os.Getpid())
	x := 0
	for i := range 200_000_000 {
		x += i
	}
	own, server := before.since(readUsage(os.Getpid()))
	if x == 0 || own.UserSeconds <= 0 {
		t.Fatalf("%+v", own)
	}
	if server == nil {
		t.Skip("this system has no /proc to read another process from")
	}
	if server.UserSeconds < 0 || server.MaxRSSBytes == 0 {
		t.Fatalf("%+v", server)
	}
}

package loadgen

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// gnet, in the servers under test, keeps one pool of goroutines per process.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

// complete fills in a Config for a target that is not really dialled.
func complete(t testing.TB, c Config) (Config, Endpoint) {
	t.Helper()
	if c.Target == "" {
		c.Target = "native://127.0.0.1:1"
	}
	c, e, err := c.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return c, e
}

// onFaulty runs c on a target with faults.
func onFaulty(t *testing.T, c Config, f faults) (*Report, error) {
	t.Helper()
	c, e := complete(t, c)
	return runOn(t.Context(), c, e, newFaultyTarget(&c, f))
}

func small() Config {
	return Config{Duration: 250 * time.Millisecond, BatchRecords: 20, Keys: 50, Shards: 3, Window: 8}
}

func TestFaultsAreFound(t *testing.T) {
	f := func(name string, faults faults, want func(r *Report) (*int64, int64)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := onFaulty(t, small(), faults)
			if !errors.Is(err, ErrIntegrity) {
				t.Fatalf("error %v, want ErrIntegrity", err)
			}
			got, n := want(r)
			if *got != n {
				t.Errorf("found %d, planted %d", *got, n)
			}
			if sum := *r.Lost + *r.Duplicates + *r.Disorder + *r.Corrupt; sum < n || r.Valid {
				t.Errorf("lost %d duplicates %d disorder %d corrupt %d valid %v", *r.Lost, *r.Duplicates, *r.Disorder, *r.Corrupt, r.Valid)
			}
		})
	}
	f("lost", faults{lose: 7}, func(r *Report) (*int64, int64) { return r.Lost, 20 })
	f("duplicates", faults{duplicate: 7}, func(r *Report) (*int64, int64) { return r.Duplicates, 20 })
	f("damaged", faults{damage: 7}, func(r *Report) (*int64, int64) {
		if *r.Lost != 1 {
			t.Errorf("a damaged record is lost too, found %d", *r.Lost)
		}
		return r.Corrupt, 1
	})
}

func TestDisorderIsFound(t *testing.T) {
	t.Parallel()
	c := small()
	c.Producers, c.Keys, c.Shards = 1, 1, 1 // one key: each record of the overtaken batch is out of order
	r, err := onFaulty(t, c, faults{swap: 7})
	if !errors.Is(err, ErrIntegrity) || *r.Disorder != 20 || *r.Lost != 0 {
		t.Fatalf("error %v, disorder %d, lost %d; 20 planted", err, *r.Disorder, *r.Lost)
	}
}

func TestCleanRuns(t *testing.T) {
	f := func(name string, c Config) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			r, err := onFaulty(t, c, faults{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Records == 0 || r.AckedRecords != r.SentRecords || !r.Verified || *r.Foreign != 0 || *r.Gaps != 0 {
				t.Fatalf("records %d acked %d sent %d verified %v foreign %d gaps %d", r.Records, r.AckedRecords,
					r.SentRecords, r.Verified, *r.Foreign, *r.Gaps)
			}
			if r.Response.Count == 0 || (c.Consumers > 0) != (r.EndToEnd != nil && r.EndToEnd.Count > 0) {
				t.Fatalf("response %+v, end to end %+v", r.Response, r.EndToEnd)
			}
			if (r.Lag != nil) != (c.Mode == Open) {
				t.Fatalf("lag %+v in mode %q", r.Lag, c.Mode)
			}
		})
	}
	f("saturate", small())
	along := small()
	along.Consumers = 2
	f("read along", along)
	zipf := small()
	zipf.Distribution, zipf.Size, zipf.BatchRecords = Zipf, MinSize, 1
	f("zipf, smallest records, one per request", zipf)
	open := small()
	open.Mode, open.Rate, open.Arrival, open.Consumers = Open, 20_000, Poisson, 1
	f("poisson, read along", open)
	warm := small()
	warm.Warmup = 100 * time.Millisecond
	f("warm-up", warm)
}

func TestEndToEndCountsEveryMeasuredRecord(t *testing.T) {
	c := small()
	c.Consumers, c.Mode, c.Rate, c.Warmup = 2, Open, 10_000, 50*time.Millisecond
	r, err := onFaulty(t, c, faults{})
	if err != nil {
		t.Fatal(err)
	}
	if r.EndToEnd.Count != r.ScheduledRecords || r.ScheduledRecords == 0 {
		t.Fatalf("%d records measured end to end, %d scheduled", r.EndToEnd.Count, r.ScheduledRecords)
	}
}

func TestWithoutVerificationNothingIsClaimed(t *testing.T) {
	c := small()
	c.NoVerify = true
	r, err := onFaulty(t, c, faults{lose: 3})
	if err != nil {
		t.Fatal(err)
	}
	if r.Lost != nil || r.Duplicates != nil || r.Verified {
		t.Fatal("figures of a check that was not made")
	}
}

func TestRefusedRequests(t *testing.T) {
	r, err := onFaulty(t, small(), faults{refuse: 5})
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors == 0 || r.ErrorKinds["Refused"] != r.Errors || *r.Lost != 0 || *r.Gaps == 0 || r.Valid {
		t.Fatalf("errors %d %v, lost %d, gaps %d, valid %v", r.Errors, r.ErrorKinds, *r.Lost, *r.Gaps, r.Valid)
	}
	r, err = onFaulty(t, small(), faults{refuse: 5, keepAll: true})
	if err != nil {
		t.Fatal(err)
	}
	if *r.Unacknowledged != r.Errors*20 {
		t.Fatalf("%d unacknowledged records came back, %d requests of 20 were refused and kept", *r.Unacknowledged, r.Errors)
	}
}

func TestTargetDies(t *testing.T) {
	t.Parallel()
	c := small()
	c.Duration = 30 * time.Second
	r, err := onFaulty(t, c, faults{dieAt: 50})
	if !errors.Is(err, ErrTargetFailed) || r == nil {
		t.Fatalf("error %v", err)
	}
	if r.Partial == "" || r.Valid || r.AckedRecords == 0 || *r.Lost != 0 {
		t.Fatalf("partial %q, valid %v, acked %d, lost %d", r.Partial, r.Valid, r.AckedRecords, *r.Lost)
	}
}

func TestTargetGoesSilent(t *testing.T) {
	t.Parallel()
	c := small()
	c.Timeout, c.Duration = time.Second, 30*time.Second
	r, err := onFaulty(t, c, faults{muteAt: 50})
	if !errors.Is(err, ErrTargetFailed) || r == nil {
		t.Fatalf("error %v", err)
	}
	if r.Partial == "" || r.Valid || r.MeasuredSeconds > 25 || r.AckedRecords != 49*20 {
		t.Fatalf("partial %q, valid %v, measured %v s, acked %d", r.Partial, r.Valid, r.MeasuredSeconds, r.AckedRecords)
	}
}

func TestUnansweredAtTheEndAreErrors(t *testing.T) {
	t.Parallel()
	c := small()
	c.Timeout, c.Warmup = 600*time.Millisecond, 100*time.Millisecond
	r, err := onFaulty(t, c, faults{muteAt: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.ErrorKinds["unacknowledged"] != 2*8 || r.Valid || r.Records != 0 || *r.Unacknowledged != 2*8*20 {
		t.Fatalf("%v, valid %v, records %d, came back %d", r.ErrorKinds, r.Valid, r.Records, *r.Unacknowledged)
	}
}

func TestNothingButErrors(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes the three seconds after which a refusing target is given up")
	}
	c := small()
	c.Duration = 30 * time.Second
	began := time.Now()
	r, err := onFaulty(t, c, faults{refuse: 1})
	if !errors.Is(err, ErrTargetFailed) || r.Partial == "" {
		t.Fatalf("error %v", err)
	}
	if time.Since(began) > 25*time.Second {
		t.Fatal("the run went on to its end")
	}
}

// A target that stops for 100 ms delays every request that was due meanwhile, and each must show what it waited: half
// of them at least 50 ms. A generator that waits for the target before it sends the next would see a single slow one.
func TestStallShowsInResponse(t *testing.T) {
	t.Parallel()
	c := Config{
		Mode: Open, Rate: 2000, BatchRecords: 1, Producers: 1, Duration: time.Second, Keys: 10, Shards: 1,
	}
	c, e := complete(t, c)
	target := newFaultyTarget(&c, faults{stallAt: 500 * time.Millisecond, stallFor: 100 * time.Millisecond})
	r, err := runOn(t.Context(), c, e, target)
	if err != nil {
		t.Fatal(err)
	}
	if r.ScheduledRecords != 2000 || r.Response.Count != 2000 || r.Unsent != 0 {
		t.Fatalf("scheduled %d, measured %d, unsent %d; want 2000, 2000, 0", r.ScheduledRecords, r.Response.Count, r.Unsent)
	}
	slow := atLeast(r, opResponse, 50_000)
	if slow < 90 {
		t.Fatalf("%d responses of 50 ms or more; a stall of 100 ms at 2000/s makes 100", slow)
	}
	if r.Response.P99 < 85_000 || r.Response.MaxMicros < 95_000 {
		t.Fatalf("response p99 %d us, max %d us: the stall is missing", r.Response.P99, r.Response.MaxMicros)
	}
	if s := atLeast(r, opService, 50_000); s >= slow {
		t.Fatalf("%d service times of 50 ms or more: then this test shows nothing", s)
	}
}

func atLeast(r *Report, op operation, us int64) (n int64) {
	for _, b := range r.total[op].Distribution() {
		if b.From >= us {
			n += b.Count
		}
	}
	return n
}

func TestShardsThatEndAreFollowed(t *testing.T) {
	for _, consumers := range []int{0, 2} {
		c := small()
		c.Consumers = consumers
		r, err := onFaulty(t, c, faults{split: 20})
		if err != nil {
			t.Fatal(err)
		}
		if r.AckedRecords == 0 || *r.Lost != 0 {
			t.Fatalf("records %d lost %d", r.AckedRecords, *r.Lost)
		}
	}
}

func TestCancelEndsPromptly(t *testing.T) {
	c := small()
	c.Duration = time.Hour
	c.Mode, c.Rate = Open, 10
	c, e := complete(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	r, err := runOn(ctx, c, e, newFaultyTarget(&c, faults{}))
	if !errors.Is(err, context.Canceled) || r == nil || r.Partial == "" || r.Valid {
		t.Fatalf("error %v, report %v", err, r)
	}
	if time.Since(began) > time.Minute {
		t.Fatal("cancelling did not end the run")
	}
	if r.MeasuredSeconds <= 0 || r.MeasuredSeconds > 60 {
		t.Fatalf("measured %v s", r.MeasuredSeconds)
	}
}

func TestPayloadFileComesBack(t *testing.T) {
	r, err := onFaulty(t, Config{
		Payload: filepath.Join("testdata", "lines.txt"), Duration: 100 * time.Millisecond, BatchRecords: 7, Shards: 2,
	}, faults{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Payload.Kind != "file" || r.Payload.Lines != 5 || r.Records == 0 || *r.Lost != 0 || *r.Corrupt != 0 {
		t.Fatalf("%+v, %d records, lost %d, corrupt %d", r.Payload, r.Records, *r.Lost, *r.Corrupt)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	f := func(target string) {
		t.Helper()
		r, err := Run(t.Context(), Config{Target: target, Timeout: 2 * time.Second})
		if !errors.Is(err, ErrUnreachable) || r != nil {
			t.Errorf("%s: report %v, error %v", target, r, err)
		}
	}
	f("kinesis+http://127.0.0.1:1")
	f("kinesis+https://127.0.0.1:1")
	f("native://127.0.0.1:1")

	c, e := complete(t, small())
	if _, err := runOn(t.Context(), c, e, newFaultyTarget(&c, faults{closedNow: true})); !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v", err)
	}
}

func TestBadSettings(t *testing.T) {
	f := func(want error, change func(c *Config)) {
		t.Helper()
		c := Config{Target: "native://h:1"}
		change(&c)
		r, err := Run(t.Context(), c)
		if !errors.Is(err, want) || r != nil {
			t.Errorf("report %v, error %v, want %v", r, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
	}
	f(ErrConfig, func(c *Config) { c.Target = "" })
	f(ErrConfig, func(c *Config) { c.Target = "http://h:1" })
	f(ErrConfig, func(c *Config) { c.Target = "native://h" })
	f(ErrConfig, func(c *Config) { c.Target = "native://h:1/x" })
	f(ErrConfig, func(c *Config) { c.Target = "native://h:99999" })
	f(ErrConfig, func(c *Config) { c.Target = "kinesis+http://u@h" })
	f(ErrConfig, func(c *Config) { c.Stream = "a b" })
	f(ErrConfig, func(c *Config) { c.Mode = "ladder" })
	f(ErrConfig, func(c *Config) { c.Ack = "all" })
	f(ErrConfig, func(c *Config) { c.Size = MinSize - 1 })
	f(ErrConfig, func(c *Config) { c.Producers = -1 })
	f(ErrConfig, func(c *Config) { c.Duration = -time.Second })
	f(ErrConfig, func(c *Config) { c.Distribution = "normal" })
	f(ErrConfig, func(c *Config) { c.Distribution, c.ZipfS = Zipf, -1 })
	f(ErrConfig, func(c *Config) { c.AccessKey = "a" })
	f(ErrConfig, func(c *Config) { c.Rate = 5 })
	f(ErrConfig, func(c *Config) { c.Target, c.BatchRecords = "kinesis+http://h", 501 })
	f(ErrConfig, func(c *Config) { c.Target, c.Producers, c.Window = "kinesis+http://h", 100, 100 })
	f(ErrRate, func(c *Config) { c.Mode = Open })
	f(ErrRate, func(c *Config) { c.Mode, c.Rate = Open, -1 })
	f(ErrRate, func(c *Config) { c.Mode, c.Rate, c.Size = Open, 1e9, 1000 })
	f(ErrRate, func(c *Config) { c.Mode, c.Rate, c.BatchRecords = Open, 5e6, 1 })
	f(ErrPayload, func(c *Config) { c.Payload = "testdata/absent" })
	f(ErrPayload, func(c *Config) { c.Payload = "testdata" })
}

// checkDied checks the report of a run whose server went away and did not come back.
func checkDied(t *testing.T, r *Report, err error) {
	t.Helper()
	if !errors.Is(err, ErrTargetFailed) || r == nil {
		t.Fatalf("error %v", err)
	}
	if r.Partial == "" || r.Valid || r.AckedRecords == 0 || r.Lost != nil || r.MeasuredSeconds > 19 {
		t.Fatalf("partial %q, valid %v, acked %d, lost %v, measured %v s", r.Partial, r.Valid, r.AckedRecords, r.Lost, r.MeasuredSeconds)
	}
}

package loadgen

import (
	"fmt"
	"math"
	"time"
)

// Mode is how requests are let go.
type Mode string

const (
	// Saturate keeps Window requests in flight per producer: the highest rate the target takes.
	Saturate Mode = "saturate"
	// Open sends on a schedule that does not wait for the target: the response at a given rate.
	Open Mode = "open"
)

// Arrival is how the schedule of open mode is spaced.
type Arrival string

const (
	Constant Arrival = "constant" // equal gaps
	Poisson  Arrival = "poisson"  // exponential gaps: independent users
)

// Distribution is how often each partition key is used.
type Distribution string

const (
	Uniform Distribution = "uniform"
	Zipf    Distribution = "zipf" // the k-th key in proportion to 1/k^ZipfS
)

// Ack is how far a record must have come before it is acknowledged.
type Ack string

const (
	AckDisk Ack = "disk"
	AckOS   Ack = "os"
	AckMem  Ack = "mem"
)

// Config is what Run does. The zero value of each field is its default; only Target has none.
type Config struct {
	// Target is native://host:port, kinesis+http://host:port or kinesis+https://host:port.
	Target string
	// Stream is the stream's name; made if absent, and left in place. Default "load".
	Stream string
	// Shards is how many shards a stream made by the run gets. Default 4. Native requests are prepared for the shards
	// there are at the start: splitting or merging one while it is loaded makes the rest of its requests errors.
	Shards int
	// Ack is what an acknowledgement means. Default disk. Native: asked for in each request, and the durability of a
	// stream made by the run. HTTP: the durability of a stream made by the run, given as the reserved tag
	// shardmill:durability; on an existing stream and on other endpoints it is only a label of the report.
	Ack Ack

	// Mode is saturate or open. Default saturate.
	Mode Mode
	// Rate is records per second over all producers, for open mode only.
	Rate float64
	// Arrival is constant or poisson, for open mode only. Default constant.
	Arrival Arrival
	// Producers is how many producers send. Default 2.
	Producers int
	// Window is how many requests a producer may have in flight. Saturate: kept full; default 16 native, 1 HTTP. Open: a
	// bound, reached only when the target falls behind; default 4096 native, 16 HTTP. An HTTP producer opens Window
	// connections.
	Window int
	// Duration is how long to measure. Default 10 s, at most 24 h.
	Duration time.Duration
	// Warmup is how long to load before measuring. Default none.
	Warmup time.Duration
	// Timeout is how long to wait for one HTTP reply, and for what is outstanding at the end. Default 10 s.
	Timeout time.Duration

	// Size is bytes of data per record, at least MinSize (42). Default 100. Not used with Payload.
	Size int
	// BatchRecords is records per request. Default: as many as fit BatchBytes; HTTP at most 500. In open mode, if neither is
	// given, as many as keep the rate at 1000 requests/s or above, so that percentiles have something to stand on.
	// One record per request uses PutRecord over HTTP.
	BatchRecords int
	// BatchBytes is the most bytes of one request: the stored batch for native, record data and keys for HTTP.
	// Default 64 KiB native, 1 MiB HTTP.
	BatchBytes int
	// Keys is how many partition keys there are over all workers; each has at least one. Default 10000.
	Keys int
	// Distribution is uniform or zipf. Default uniform.
	Distribution Distribution
	// ZipfS is the exponent of zipf. Default 1.1.
	ZipfS float64
	// Payload is a file whose lines are replayed, over and over, as the data of the records; each is preceded by the integrity
	// header. Empty lines are left out. Default: random bytes that do not compress.
	Payload string
	// Seed makes the payload, the keys and the arrivals repeatable. Default 1.
	Seed uint64

	// Consumers is how many consumers read along and measure end to end. Default 0: read back after the run.
	Consumers int
	// NoVerify leaves out the check of what came back; with Consumers the records are read for end to end only.
	NoVerify bool
	// Poll is the pause after an empty page when consumers read over HTTP. Default 50 ms.
	Poll time.Duration

	// AccessKey and SecretKey sign requests (SigV4; native: the same pair). Empty: HTTP requests carry a fixed
	// Authorization header of the right shape that proves nothing; native connections do not authenticate.
	AccessKey, SecretKey, SessionToken string
	// Region is the region to sign for. Default us-east-1.
	Region string
	// TLSInsecure accepts any certificate of a kinesis+https target.
	TLSInsecure bool

	// TuneGC turns the garbage collector off while loading, with a memory limit 1 GiB above the present use, and
	// restores it. It concerns the whole process: not for a run inside a server.
	TuneGC bool
	// DataDir is where the target stores its data, if on this machine: the report then names the filesystem.
	DataDir string
	// ServerPID is the target's process, if on this machine: the report then has its processor time.
	ServerPID int
	// Progress is called once a second with what the last second brought. It must not block.
	Progress func(Interval)
}

// Bounds of a Config.
const (
	// MinSize is the smallest record: the integrity header alone.
	MinSize = headerLen

	maxDuration  = 24 * time.Hour
	maxWorkers   = 4096    // connections of one generator
	maxWindow    = 1 << 16 // requests in flight per native producer; 32 bytes of bookkeeping each
	maxKeys      = 1 << 22 // 8 bytes each to remember the last record of a key
	maxSize      = 10 << 20
	maxBatch     = 12 << 20 // the native protocol's hard cap of a frame
	maxHTTPBatch = 500      // records of a PutRecords request
	maxRequests  = 1e6      // scheduled requests per second and worker: below 1 us apart pacing is fiction
)

// withDefaults returns c with every zero field set, or says what is wrong with it.
func (c Config) withDefaults() (Config, Endpoint, error) {
	addr, err := ParseTarget(c.Target)
	if err != nil {
		return c, addr, err
	}
	native := addr.Scheme == SchemeNative
	orDefault(&c.Stream, "load")
	orDefault(&c.Shards, 4)
	orDefault(&c.Ack, AckDisk)
	orDefault(&c.Mode, Saturate)
	orDefault(&c.Arrival, Constant)
	orDefault(&c.Producers, 2)
	orDefault(&c.Duration, 10*time.Second)
	orDefault(&c.Timeout, 10*time.Second)
	orDefault(&c.Size, 100)
	orDefault(&c.Keys, 10_000)
	orDefault(&c.Distribution, Uniform)
	orDefault(&c.ZipfS, 1.1)
	orDefault(&c.Seed, 1)
	orDefault(&c.Poll, 50*time.Millisecond)
	orDefault(&c.Region, "us-east-1")
	if c.Window == 0 {
		c.Window = defaultWindow(c.Mode, native)
	}
	if err := c.check(); err != nil {
		return c, addr, err
	}
	if n := c.workers(native); n > maxWorkers {
		return c, addr, fmt.Errorf("%w: producers x window are %d connections, at most %d", ErrConfig, n, maxWorkers)
	}
	return c, addr, c.setBatch(native)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func defaultWindow(m Mode, native bool) int {
	switch {
	case m == Open && native:
		return 4096
	case native, m == Open:
		return 16
	}
	return 1
}

// setBatch fills in the batch bounds and refuses those that do not fit the protocol.
func (c *Config) setBatch(native bool) error {
	explicit := c.BatchRecords != 0 || c.BatchBytes != 0
	most := maxHTTPBatch
	if native {
		most = math.MaxUint16
		orDefault(&c.BatchBytes, 64<<10)
	} else {
		orDefault(&c.BatchBytes, 1<<20)
	}
	if c.BatchRecords > most {
		return fmt.Errorf("%w: %d records per request, the protocol takes at most %d", ErrConfig, c.BatchRecords, most)
	}
	if c.BatchRecords == 0 {
		c.BatchRecords = most
		if c.Mode == Open && !explicit {
			c.BatchRecords = min(most, max(1, int(c.Rate/1000)))
		}
	}
	if c.Payload == "" && c.Size > c.BatchBytes {
		c.BatchBytes = c.Size + batchSlack // one record per request
	}
	if c.Mode != Open {
		return nil
	}
	// The schedule counts records; what bounds it is the requests that carry them.
	perRequest := c.BatchRecords
	if c.Payload == "" {
		perRequest = max(1, min(perRequest, c.BatchBytes/c.Size))
	}
	workers := float64(c.workers(native))
	if perWorker := c.Rate / workers / float64(perRequest); perWorker > maxRequests {
		return fmt.Errorf("%w: %.0f requests/s per worker, at most %.0f; use larger batches or more producers", ErrRate, perWorker, float64(maxRequests))
	}
	return nil
}

// batchSlack is what a batch of one large record needs beside the record's data: batch header, key, table, padding.
const batchSlack = 256

// workers is how many ordered sequences of requests the run has.
func (c *Config) workers(native bool) int {
	if native {
		return c.Producers
	}
	return c.Producers * c.Window
}

func (c *Config) check() error {
	type bound struct {
		name          string
		value, lo, hi int64
	}
	for _, b := range []bound{
		{"shards", int64(c.Shards), 1, 20_000},
		{"producers", int64(c.Producers), 1, maxWorkers},
		{"window", int64(c.Window), 1, maxWindow},
		{"consumers", int64(c.Consumers), 0, maxWorkers},
		{"size", int64(c.Size), MinSize, maxSize},
		{"batch records", int64(c.BatchRecords), 0, math.MaxUint16},
		{"batch bytes", int64(c.BatchBytes), 0, maxBatch},
		{"keys", int64(c.Keys), 1, maxKeys},
		{"duration (ms)", c.Duration.Milliseconds(), 1, maxDuration.Milliseconds()},
		{"warm-up (ms)", c.Warmup.Milliseconds(), 0, maxDuration.Milliseconds()},
		{"timeout (ms)", c.Timeout.Milliseconds(), 1, maxDuration.Milliseconds()},
		{"poll (ms)", c.Poll.Milliseconds(), 1, 60_000},
	} {
		if b.value < b.lo || b.value > b.hi {
			return fmt.Errorf("%w: %s is %d, must be %d to %d", ErrConfig, b.name, b.value, b.lo, b.hi)
		}
	}
	if err := oneOf("mode", c.Mode, Saturate, Open); err != nil {
		return err
	}
	if err := oneOf("arrival", c.Arrival, Constant, Poisson); err != nil {
		return err
	}
	if err := oneOf("distribution", c.Distribution, Uniform, Zipf); err != nil {
		return err
	}
	if err := oneOf("ack", c.Ack, AckDisk, AckOS, AckMem); err != nil {
		return err
	}
	if c.ZipfS <= 0 || c.ZipfS > 10 || math.IsNaN(c.ZipfS) {
		return fmt.Errorf("%w: zipf exponent is %v, must be above 0 and at most 10", ErrConfig, c.ZipfS)
	}
	if !streamName(c.Stream) {
		return fmt.Errorf("%w: stream name %q: 1 to 128 letters, digits, '_', '.', '-'", ErrConfig, c.Stream)
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return fmt.Errorf("%w: access key and secret key come together", ErrConfig)
	}
	return c.checkRate()
}

func (c *Config) checkRate() error {
	if c.Mode == Saturate {
		if c.Rate != 0 {
			return fmt.Errorf("%w: saturate mode takes no rate; use open mode", ErrConfig)
		}
		return nil
	}
	if !(c.Rate > 0) || math.IsInf(c.Rate, 0) { // so that NaN fails too
		return fmt.Errorf("%w: open mode needs a rate above 0, got %v records/s", ErrRate, c.Rate)
	}
	if c.Rate*float64(c.Size) > 100e9 {
		return fmt.Errorf("%w: %.0f records/s of %d bytes are %.0f GB/s", ErrRate, c.Rate, c.Size, c.Rate*float64(c.Size)/1e9)
	}
	return nil
}

func streamName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 128
}

func oneOf[T ~string](name string, value T, allowed ...T) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is %q, must be one of %q", ErrConfig, name, value, allowed)
}

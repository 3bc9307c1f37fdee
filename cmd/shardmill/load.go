package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/loadgen"
)

// loadCmd groups what has to do with load.
type loadCmd struct {
	Run loadRunCmd `cmd:"" help:"Load a stream, check what came back, and print rates and percentiles."`
}

// loadRunCmd holds every setting of loadgen.Config. See there for what each means in full.
type loadRunCmd struct {
	Target       string        `default:"native://127.0.0.1:4568" help:"native://host:port, or kinesis+http://host:port (any Kinesis-compatible server), or kinesis+https://."`
	Stream       string        `default:"load" help:"Stream to load; made if there is none, and left in place."`
	Shards       int           `default:"4" help:"Shards of a stream made by the run."`
	Ack          string        `enum:"disk,os,mem" default:"disk" help:"What an acknowledgement means: disk (synced), os (survives kill -9) or mem."`
	Mode         string        `enum:"saturate,open" default:"saturate" help:"saturate: as fast as it goes. open: on a schedule that does not wait."`
	Rate         rate          `help:"Records per second, for open mode." placeholder:"5000/s"`
	Arrival      string        `enum:"constant,poisson" default:"constant" help:"Spacing in open mode: constant or poisson."`
	Producers    int           `default:"2" help:"Producers that send."`
	Window       int           `help:"Requests each producer keeps in flight. Default: 16 native, 1 HTTP; in open mode a bound." placeholder:"N"`
	Duration     time.Duration `default:"10s" help:"How long to measure."`
	Warmup       time.Duration `help:"How long to load before measuring." placeholder:"3s"`
	WaitReply    time.Duration `default:"10s" help:"How long to wait for a reply."`
	Size         byteSize      `default:"100" help:"Bytes of data in a record."`
	BatchRecords int           `help:"Records in a request. Default: as many as fit." placeholder:"N"`
	BatchBytes   byteSize      `help:"Bytes in a request. Default: 64KiB native, 1MiB HTTP." placeholder:"SIZE"`
	Keys         int           `default:"10000" help:"Partition keys."`
	Distribution string        `enum:"uniform,zipf" default:"uniform" help:"How often each key is used: uniform or zipf."`
	ZipfS        float64       `name:"zipf-s" default:"1.1" help:"Exponent of zipf."`
	Payload      string        `help:"Replay the lines of this file as data. Default: random bytes." placeholder:"FILE"`
	Seed         uint64        `default:"1" help:"Makes payload, keys and arrivals repeatable."`
	Consumers    int           `help:"Consumers that read along and measure end to end. Default: none, read back afterwards." placeholder:"N"`
	NoVerify     bool          `help:"Do not check what came back."`
	Poll         time.Duration `default:"50ms" help:"Pause after an empty page when reading over HTTP."`
	Region       string        `default:"us-east-1" help:"Region to sign for."`
	TLSInsecure  bool          `name:"tls-insecure" help:"Accept any certificate."`
	TuneGC       bool          `name:"tune-gc" help:"Turn this generator's garbage collector off while loading."`
	DataDir      string        `help:"Where the server keeps its data, to name the file system in the report." placeholder:"DIR"`
	ServerPID    int           `name:"server-pid" help:"Process id of the server, to report its processor time." placeholder:"PID"`
	JSON         string        `name:"json" help:"Write the report as JSON to this file; - is stdout." placeholder:"FILE"`
	Hist         string        `help:"Write the histograms (.hlog, .hgrm) to files that begin with this." placeholder:"PREFIX"`
	Output       string        `short:"o" enum:"text,json" default:"text" help:"What to print: text or json."`
	Quiet        bool          `short:"q" help:"No progress on stderr."`
}

// config makes the generator's settings. Keys to sign with come from the AWS environment, as for any AWS tool.
func (l *loadRunCmd) config(a *app) loadgen.Config {
	env := func(name string) string { v, _ := a.getenv(name); return v }
	return loadgen.Config{
		Target: l.Target, Stream: l.Stream, Shards: l.Shards, Ack: loadgen.Ack(l.Ack), Mode: loadgen.Mode(l.Mode),
		Rate: float64(l.Rate), Arrival: loadgen.Arrival(l.Arrival), Producers: l.Producers, Window: l.Window,
		Duration: l.Duration, Warmup: l.Warmup, Timeout: l.WaitReply, Size: int(l.Size), BatchRecords: l.BatchRecords,
		BatchBytes: int(l.BatchBytes), Keys: l.Keys, Distribution: loadgen.Distribution(l.Distribution), ZipfS: l.ZipfS,
		Payload: l.Payload, Seed: l.Seed, Consumers: l.Consumers, NoVerify: l.NoVerify, Poll: l.Poll,
		AccessKey: env("AWS_ACCESS_KEY_ID"), SecretKey: env("AWS_SECRET_ACCESS_KEY"), SessionToken: env("AWS_SESSION_TOKEN"),
		Region: l.Region, TLSInsecure: l.TLSInsecure, TuneGC: l.TuneGC, DataDir: l.DataDir, ServerPID: l.ServerPID,
	}
}

// byteSize is a flag such as 100, 128B, 64KiB or 1MB.
type byteSize int64

// UnmarshalText is called by kong.
func (b *byteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	units := []struct {
		suffix string
		factor int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > 1<<50/u.factor {
			break
		}
		*b = byteSize(n * u.factor)
		return nil
	}
	return fmt.Errorf("%q: want a size such as 100, 64KiB or 1MB", s)
}

// rate is a flag such as 500/s or 2e6.
type rate float64

// UnmarshalText is called by kong.
func (r *rate) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "/s"), 64)
	if err != nil || v < 0 {
		return fmt.Errorf("%q: want a rate such as 5000/s", text)
	}
	*r = rate(v)
	return nil
}

// exitCodeOfLoad maps the generator's kinds of failure.
func exitCodeOfLoad(err error) int {
	switch {
	case errors.Is(err, loadgen.ErrConfig), errors.Is(err, loadgen.ErrRate), errors.Is(err, loadgen.ErrPayload):
		return codeUsage
	case errors.Is(err, loadgen.ErrUnreachable):
		return codeUnreachable
	case errors.Is(err, loadgen.ErrIntegrity), errors.Is(err, loadgen.ErrVerify):
		return codeCheckFailed
	}
	return codeFailed
}

// Run is called by kong.
func (l *loadRunCmd) Run(a *app) error {
	c := l.config(a)
	line := a.newStatus(l.Quiet)
	c.Progress = func(i loadgen.Interval) {
		line.set(func() string {
			return fmt.Sprintf("%.0fs  %s records/s  %.1f MB/s  p99 %s", i.At, count(int64(i.RecordsPerSecond)),
				i.BytesPerSecond/1e6, duration(float64(i.P99Micros)))
		})
	}
	r, err := loadgen.Run(a.ctx, c)
	line.clear()
	if r != nil {
		err = errors.Join(err, l.write(a, r))
	}
	if err == nil || exitCodeOf(a.ctx, err) == codeInterrupted {
		return err
	}
	return exitf(exitCodeOfLoad(err), "load %s: %w%s", l.Target, err, loadNextStep(err))
}

// write prints the report and writes the files that were asked for.
func (l *loadRunCmd) write(a *app, r *loadgen.Report) error {
	var errs []error
	switch {
	case l.Output == "json" || l.JSON == "-":
		errs = append(errs, r.WriteJSON(a.stdout))
	default:
		errs = append(errs, r.WriteText(a.stdout))
	}
	if l.JSON != "" && l.JSON != "-" {
		errs = append(errs, writeFile(l.JSON, r.WriteJSON))
	}
	if l.Hist != "" {
		errs = append(errs, r.WriteHistograms(l.Hist))
	}
	return errors.Join(errs...)
}

func loadNextStep(err error) string {
	if errors.Is(err, loadgen.ErrUnreachable) {
		return ". Start a server with: shardmill serve"
	}
	return ""
}

// writeFile writes what fill writes to a file.
func writeFile(path string, fill func(w io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// demoCmd runs the whole thing once, as a user would: a server with real sockets and a real disk, a web access log
// written through both protocols and tailed back while it is written, and every record checked. It is an acceptance
// test that one can watch.
type demoCmd struct {
	Input   string `help:"Access log to load, one record per line. Default: lines from a seeded generator." placeholder:"FILE"`
	Records int    `default:"0" help:"How many lines. Default: all of --input, else 10,000." placeholder:"N"`
	Keep    bool   `help:"Keep the data folder, and say where it is."`
	Output  string `short:"o" enum:"text,json,yaml" default:"text" help:"Output format: text, json or yaml."`
	Quiet   bool   `short:"q" help:"Say nothing but errors on stderr."`
}

const defaultDemoRecords = 10_000

// demoReport is the demo's outcome.
type demoReport struct {
	Lines   int               `json:"lines"`
	Bytes   int64             `json:"bytes"`
	Keys    int               `json:"keys"`
	Paths   []pathResult      `json:"paths"`
	Faults  map[string]faults `json:"faults"`
	Errors  map[string]string `json:"errors,omitempty"`
	Seconds float64           `json:"seconds"`
	Passed  bool              `json:"passed"`
}

// Run is called by kong.
func (d *demoCmd) Run(a *app) (err error) {
	begin := time.Now()
	lines, source, err := d.lines()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shardmill-demo-")
	if err != nil {
		return exitf(codeFailed, "make a temporary folder: %w", err)
	}
	if !d.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	n, err := startNode(a.ctx, demoOptions(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop(shutdownGrace)) }()
	if !d.Quiet && d.Output == "text" {
		fmt.Fprintf(a.stdout, "%s\nserver on %s and %s, %d shards a stream, acknowledged when synced to disk\n\n",
			source, n.httpURL(), n.nativeAddr, demoShards)
	}
	r := d.load(a, n, lines)
	r.Seconds = time.Since(begin).Seconds()
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	if err := d.print(a, r); err != nil {
		return err
	}
	if d.Keep {
		a.say("data kept in %s; look at it with: shardmill inspect %s/log/lane-0/*.seg, or shardmill --data %s", dir, dir, dir)
	}
	if !r.Passed {
		return exitf(codeCheckFailed, "demo: not every acknowledged record came back once, in order and unchanged")
	}
	return nil
}

// lines reads or makes the log, and says where it is from.
func (d *demoCmd) lines() ([]logLine, string, error) {
	if d.Records < 0 {
		return nil, "", usagef("--records %d: want at least 1", d.Records)
	}
	if d.Input == "" {
		n := d.Records
		if n == 0 {
			n = defaultDemoRecords
		}
		return makeLines(n, weblogSeed), fmt.Sprintf("%s of a made-up web access log (seed %d)", plural(int64(n), "line"), weblogSeed), nil
	}
	f, err := os.Open(d.Input)
	if err != nil {
		return nil, "", usagef("--input: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read from
	lines, err := readLog(f, d.Records)
	if err != nil {
		return nil, "", usagef("--input %s: %w", d.Input, err)
	}
	if len(lines) == 0 {
		return nil, "", usagef("--input %s: no lines in it", d.Input)
	}
	return lines, fmt.Sprintf("%s of %s", plural(int64(len(lines)), "line"), d.Input), nil
}

// demoOptions is a server on free ports of this machine.
func demoOptions(dir string) nodeOptions {
	return nodeOptions{
		serveCmd: serveCmd{
			Data: dir, Listen: "127.0.0.1:0", TLS: off, Native: "127.0.0.1:0", Durability: "disk", Region: defaultRegion,
			Account: defaultAccount, ShardLimit: 1000, RingSize: 64 << 20, SegmentSize: 64 << 20,
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// load runs both paths, one after the other, so that each has the machine to itself.
func (d *demoCmd) load(a *app, n *node, lines []logLine) *demoReport {
	r := &demoReport{Lines: len(lines), Faults: map[string]faults{}, Errors: map[string]string{}}
	for i := range lines {
		r.Bytes += int64(len(lines[i].data))
	}
	r.Passed = true
	paths := []struct {
		name string
		run  func(ctx context.Context, l *ledger) error
	}{
		{"AWS API", func(ctx context.Context, l *ledger) error { return viaAWS(ctx, n.httpURL(), "web-logs", l) }},
		{"native", func(ctx context.Context, l *ledger) error { return viaNative(ctx, n.nativeAddr, "web-logs-native", l) }},
	}
	for _, p := range paths {
		l := newLedger(lines)
		r.Keys = len(l.ofKey)
		err := p.run(a.ctx, l)
		put, tail := l.results(p.name)
		r.Paths = append(r.Paths, put, tail)
		f := l.verdict()
		r.Faults[p.name] = f
		if err != nil {
			r.Errors[p.name] = oneLine(err.Error())
		}
		if err != nil || f.any() || put.Records != int64(len(lines)) {
			r.Passed = false
		}
	}
	return r
}

func (d *demoCmd) print(a *app, r *demoReport) error {
	if d.Output != "text" {
		return printAs(a.stdout, d.Output, r, nil)
	}
	t := &table{head: []string{"PATH", "RECORDS", "SECONDS", "RECORDS/S", "MB/S", "P50", "P99", "P99.9", "MAX"}}
	for _, p := range r.Paths {
		t.add(p.Path, count(p.Records), fmt.Sprintf("%.3f", p.Seconds), count(int64(p.PerSec)), fmt.Sprintf("%.1f", p.MBPerS),
			duration(p.P50), duration(p.P99), duration(p.P999), duration(p.Max))
	}
	if err := t.write(a.stdout); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\nput: sent to acknowledged. tail: sent to read back. Percentiles are over records.\n")
	for _, path := range []string{"AWS API", "native"} {
		mark := "ok    "
		if r.Faults[path].any() || r.Errors[path] != "" {
			mark = "FAILED"
		}
		fmt.Fprintf(a.stdout, "%s %s: %s\n", mark, path, r.Faults[path])
		if e := r.Errors[path]; e != "" {
			fmt.Fprintf(a.stdout, "       %s\n", e)
		}
	}
	if r.Passed {
		fmt.Fprintf(a.stdout, "Every one of %s acknowledged records of %s came back once, in order and unchanged.\n",
			count(2*int64(r.Lines)), plural(int64(r.Keys), "key"))
	}
	return nil
}

// duration prints microseconds in a unit that suits them.
func duration(us float64) string {
	d := time.Duration(us * float64(time.Microsecond))
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine/lane"
)

// inspectCmd prints a segment file, verifying everything in it. It only reads, so the file may be that of a running
// server.
type inspectCmd struct {
	Segments []string `arg:"" name:"segment" help:"Segment files: DATA/log/lane-0/*.seg."`
	Records  bool     `help:"Print the records too."`
	Output   string   `short:"o" enum:"text,json" default:"text" help:"Output format: text, or json with one object per line."`
}

// inspectTotals is the last line.
type inspectTotals struct {
	Batches  int64  `json:"batches"`
	Records  int64  `json:"records"`
	Pads     int64  `json:"pads"`
	PadBytes int64  `json:"pad_bytes"`
	Bytes    int64  `json:"bytes"` // of batches
	Sealed   bool   `json:"sealed"`
	End      uint64 `json:"end"`
}

// batchLine is a batch.
type batchLine struct {
	Position uint64       `json:"position"`
	Shard    uint32       `json:"shard"`
	Records  int          `json:"records"`
	Bytes    int          `json:"bytes"`
	Codec    string       `json:"codec"`
	RawBytes int          `json:"raw_bytes"`
	Arrived  string       `json:"arrived"`
	Producer uint64       `json:"producer,omitempty"`
	Content  []recordLine `json:"content,omitempty"`
}

// recordLine is a record of a batch.
type recordLine struct {
	Key      string `json:"key"`
	Explicit string `json:"explicit_hash,omitempty"`
	Data     []byte `json:"data"` // base64
}

// Run is called by kong.
func (c *inspectCmd) Run(a *app) error {
	for i, path := range c.Segments {
		if len(c.Segments) > 1 && c.Output == "text" {
			if i > 0 {
				fmt.Fprintln(a.stdout)
			}
			fmt.Fprintf(a.stdout, "%s\n", path)
		}
		if err := c.inspect(a, path); err != nil {
			return err
		}
	}
	return nil
}

func (c *inspectCmd) inspect(a *app, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return exitf(codeFailed, "%w", err)
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err != nil {
		return exitf(codeFailed, "%w", err)
	}
	out := bufio.NewWriter(a.stdout)
	p := &segmentPrinter{cmd: c, out: out}
	sum, err := lane.InspectSegment(f, info.Size(), p.batch)
	if sum != nil {
		p.totals.Sealed, p.totals.End = sum.Sealed, sum.End
		if printErr := errors.Join(p.finish(sum), out.Flush()); printErr != nil && err == nil {
			return exitf(codeFailed, "%w", printErr)
		}
	}
	if errors.Is(err, lane.ErrCorrupt) {
		return exitf(codeCheckFailed, "inspect %s: %w", path, err)
	}
	if err != nil {
		return exitf(codeFailed, "inspect %s: %w", path, err)
	}
	return nil
}

// segmentPrinter prints what InspectSegment shows it.
type segmentPrinter struct {
	cmd    *inspectCmd
	out    io.Writer
	it     batch.Iterator
	totals inspectTotals
}

func (p *segmentPrinter) batch(position uint64, b batch.Batch) error {
	if b.Kind() == batch.KindPad {
		p.totals.Pads++
		p.totals.PadBytes += int64(b.Len())
		return nil
	}
	if p.totals.Batches == 0 && p.cmd.Output == "text" {
		fmt.Fprintf(p.out, "%-18s %8s %8s %10s %-5s %s\n", "POSITION", "SHARD", "RECORDS", "BYTES", "CODEC", "ARRIVED")
	}
	p.totals.Batches++
	p.totals.Records += int64(b.Records())
	p.totals.Bytes += int64(b.Len())
	line := batchLine{
		Position: position, Shard: b.Shard(), Records: b.Records(), Bytes: b.Len(), Codec: b.Codec().String(), RawBytes: b.RawLen(),
		Arrived: microsTime(b.AppendMicros()), Producer: b.ProducerID(),
	}
	if err := p.records(&line, b); err != nil {
		return err
	}
	if p.cmd.Output == "json" {
		return printJSON(p.out, line)
	}
	fmt.Fprintf(p.out, "%#-18x %8d %8d %10d %-5s %s\n", line.Position, line.Shard, line.Records, line.Bytes, line.Codec, line.Arrived)
	for _, r := range line.Content {
		fmt.Fprintf(p.out, "    %s  %s\n", readable([]byte(r.Key)), readable(r.Data))
	}
	return nil
}

// records walks a batch even where nothing is to be printed: a malformed record is a finding.
func (p *segmentPrinter) records(line *batchLine, b batch.Batch) error {
	if err := p.it.Reset(b); err != nil {
		return fmt.Errorf("batch at %#x: %w", line.Position, err)
	}
	for p.it.Next() {
		if !p.cmd.Records {
			continue
		}
		r := recordLine{Key: string(p.it.Key()), Data: append([]byte{}, p.it.Data()...)}
		if hk, ok := p.it.Explicit(); ok {
			r.Explicit = fmt.Sprintf("%016x%016x", hk.Hi, hk.Lo)
		}
		line.Content = append(line.Content, r)
	}
	if err := p.it.Err(); err != nil {
		return fmt.Errorf("batch at %#x: %w", line.Position, err)
	}
	return nil
}

// finish prints what the segment says about itself.
func (p *segmentPrinter) finish(s *lane.SegmentSummary) error {
	if p.cmd.Output == "json" {
		text, err := json.Marshal(struct {
			*lane.SegmentSummary
			Totals inspectTotals `json:"totals"`
		}{s, p.totals})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.out, "%s\n", text)
		return err
	}
	if p.totals.Batches > 0 {
		fmt.Fprintln(p.out)
	}
	t := &table{}
	t.add("lane", s.Lane)
	t.add("positions", fmt.Sprintf("%#x to %#x, of %s", s.Base, s.End, plural(int64(s.Size), "byte")))
	t.add("created", microsTime(s.CreatedMicros))
	state := "open, or cut off by a crash"
	if s.Sealed {
		state = "sealed, " + plural(int64(len(s.Shards)), "shard")
	}
	t.add("state", state)
	t.add("batches", fmt.Sprintf("%s, %s, %s", count(p.totals.Batches), plural(p.totals.Records, "record"), plural(p.totals.Bytes, "byte")))
	t.add("pads", fmt.Sprintf("%s, %s", count(p.totals.Pads), plural(p.totals.PadBytes, "byte")))
	if err := t.write(p.out); err != nil {
		return err
	}
	if len(s.Shards) == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	d := &table{head: strings.Fields("SHARD BATCHES RECORDS BYTES FIRST LAST")}
	for _, sh := range s.Shards {
		d.add(fmt.Sprint(sh.Shard), count(int64(sh.Batches)), count(int64(sh.Records)), count(int64(sh.Bytes)), microsTime(sh.FirstMicros), microsTime(sh.LastMicros))
	}
	return d.write(p.out)
}

func microsTime(us int64) string {
	if us == 0 {
		return "-"
	}
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.000000Z")
}

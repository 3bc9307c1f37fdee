package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardmill/shardmill/bench"
)

// benchCmd measures the parts of this build in this process, each beside a probe. It needs no server.
type benchCmd struct {
	Components []string      `arg:"" optional:"" help:"codec, engine, native, kinesis. Default: all."`
	Match      string        `help:"Only cells whose name contains this." placeholder:"TEXT"`
	Quick      bool          `help:"Short rounds: about a quarter of the time, and wider spreads."`
	Rounds     int           `help:"Alternating rounds of each cell. Default: 7, quick 5." placeholder:"N"`
	Round      time.Duration `help:"Length of each side of a round. Default: 400ms, quick 150ms." placeholder:"TIME"`
	Dir        string        `help:"Folder for the files that are written. Default: the system's temporary folder." placeholder:"DIR"`
	JSON       string        `name:"json" help:"Write the report as JSON to this file; - is stdout." placeholder:"FILE"`
	Slack      float64       `default:"1" help:"Multiply the floors by this, for machines that others use too (0.5: half the floor will do)."`
	Quiet      bool          `short:"q" help:"No progress on stderr."`
}

// options are the bench package's.
func (b *benchCmd) options() bench.Options {
	o := bench.Options{Components: b.Components, Match: b.Match, Rounds: b.Rounds, Round: b.Round, Dir: b.Dir, Slack: b.Slack}
	if b.Quick && o.Rounds == 0 {
		o.Rounds = 5
	}
	if b.Quick && o.Round == 0 {
		o.Round = 150 * time.Millisecond
	}
	return o
}

// Run is called by kong.
func (b *benchCmd) Run(a *app) error {
	o := b.options()
	line := a.newStatus(b.Quiet)
	o.Progress = func(cell string, i, n int) {
		line.set(func() string { return fmt.Sprintf("%d/%d  %s", i+1, n, cell) })
	}
	r, err := bench.Run(a.ctx, o)
	line.clear()
	var unknown *bench.ErrUnknownComponent
	if errors.As(err, &unknown) {
		return usagef("%v", err)
	}
	if r == nil {
		return err
	}
	if b.JSON == "-" {
		err = errors.Join(err, r.WriteJSON(a.stdout))
	} else {
		err = errors.Join(err, r.WriteText(a.stdout))
		if b.JSON != "" {
			err = errors.Join(err, writeFile(b.JSON, r.WriteJSON))
		}
	}
	if err != nil {
		return err
	}
	if failed := r.Failed(); len(failed) > 0 {
		names := make([]string, len(failed))
		for i, c := range failed {
			names[i] = c.Component + " " + c.Name
		}
		return exitf(codeCheckFailed, "%d of %d cells are under their floor: %s", len(failed), len(r.Cells), strings.Join(names, "; "))
	}
	return nil
}

package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Options say what to measure. The zero value measures every component in full length.
type Options struct {
	Components []string      // codec, engine, native, kinesis; empty: all
	Match      string        // only cells whose name contains this
	Rounds     int           // alternating rounds per cell; default 7
	Round      time.Duration // length of one side of a round; default 400 ms
	Dir        string        // folder for files that are written; default the system's temporary folder
	// Slack scales the floors that Pass is judged by; default 1. On a machine that others use at the same time a smaller
	// one tells a broken part from a busy neighbour.
	Slack float64
	// Progress, when set, is called before each cell.
	Progress func(cell string, index, total int)
}

func (o *Options) setDefaults() {
	if o.Rounds == 0 {
		o.Rounds = 7
	}
	if o.Round == 0 {
		o.Round = 400 * time.Millisecond
	}
	if o.Slack == 0 {
		o.Slack = 1
	}
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
}

// ErrUnknownComponent names a component that has no scenarios.
type ErrUnknownComponent struct{ Component string }

func (e *ErrUnknownComponent) Error() string {
	return fmt.Sprintf("bench: no component %q; there are codec, engine, native and kinesis", e.Component)
}

// scenario is one cell: a measured side and a probe side that are run in turn.
type scenario struct {
	component string
	name      string
	probe     string // what the probe does, in words
	// floor is the ratio below which the cell has failed, goal the one we work towards. Where lower is true the ratio is
	// a multiple of the probe's latency and they are ceilings.
	floor, goal float64
	lower       bool
	setup       func(env *environment) (bencher, error)
}

// bencher holds both sides of a cell. Each call works for about d and returns what it did.
type bencher struct {
	value func(ctx context.Context, d time.Duration) (sample, error)
	probe func(ctx context.Context, d time.Duration) (sample, error)
	close func() error
}

// sample is what one side did in one round.
type sample struct {
	ops   int64 // records, batches or requests: the cell's unit
	bytes int64
	wall  time.Duration
	cpu   time.Duration // user and system time of the whole process
	// figure is what is compared: bytes or operations per second, or seconds of latency where lower is better.
	figure float64
	allocs uint64
}

// environment is what a scenario may use: a scratch folder of its own and the run's options.
type environment struct {
	opts Options
	dir  string
}

func scenarios() []scenario {
	return slices.Concat(codecScenarios(), engineScenarios(), nativeScenarios(), kinesisScenarios(), fanoutScenarios())
}

// Run measures the cells that o asks for, one after another, and returns what it saw. An error in one cell is recorded
// in that cell and does not stop the others; Run's own error means that nothing was measured.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.setDefaults()
	all := scenarios()
	for _, c := range o.Components {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.component == c }) {
			return nil, &ErrUnknownComponent{c}
		}
	}
	chosen := slices.DeleteFunc(all, func(s scenario) bool {
		return len(o.Components) > 0 && !slices.Contains(o.Components, s.component) || !matches(s.name, o.Match)
	})
	r := newReport(o)
	for i, s := range chosen {
		if ctx.Err() != nil {
			break
		}
		if o.Progress != nil {
			o.Progress(s.component+" "+s.name, i, len(chosen))
		}
		r.Cells = append(r.Cells, measure(ctx, o, s))
	}
	r.finish()
	return r, ctx.Err()
}

// measure runs the rounds of one cell in the order A B B A, so that a drift of the machine's speed hits both sides.
func measure(ctx context.Context, o Options, s scenario) Cell {
	c := Cell{Component: s.component, Name: s.name, Probe: s.probe, Floor: s.floor, Goal: s.goal, LowerIsBetter: s.lower}
	dir, err := os.MkdirTemp(o.Dir, "shardmill-bench-")
	if err != nil {
		c.Error = err.Error()
		return c
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch data; nothing to do about a failure
	b, err := s.setup(&environment{opts: o, dir: dir})
	if err != nil {
		c.Error = fmt.Sprintf("set up: %v", err)
		return c
	}
	if _, err := b.value(ctx, o.Round/2); err == nil { // warm up: page faults, pools, connections
		_, err = b.probe(ctx, o.Round/2)
		if err == nil {
			err = rounds(ctx, o, b, &c)
		}
		c.setError(err)
	} else {
		c.setError(err)
	}
	if b.close != nil {
		c.setError(b.close())
	}
	c.summarise(o.Slack)
	debug.FreeOSMemory()
	return c
}

func rounds(ctx context.Context, o Options, b bencher, c *Cell) error {
	for i := range o.Rounds {
		first, second := b.value, b.probe
		if i%2 == 1 {
			first, second = second, first
		}
		runtime.GC()
		x, err := first(ctx, o.Round)
		if err != nil {
			return err
		}
		runtime.GC()
		y, err := second(ctx, o.Round)
		if err != nil {
			return err
		}
		if i%2 == 1 {
			x, y = y, x
		}
		c.add(x, y)
	}
	return nil
}

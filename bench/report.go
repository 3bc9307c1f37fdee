package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is one run. It is written as JSON for machines and as a table for people.
type Report struct {
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Machine Machine   `json:"machine"`
	Slack   float64   `json:"slack"`
	Rounds  int       `json:"rounds"`
	RoundMS int64     `json:"round_ms"`
	Cells   []Cell    `json:"cells"`
}

// Cell is one measured thing beside its probe. Figures are medians over the rounds.
type Cell struct {
	Component     string  `json:"component"`
	Name          string  `json:"name"`
	Probe         string  `json:"probe"`
	LowerIsBetter bool    `json:"lower_is_better,omitempty"`
	Ratio         float64 `json:"ratio"`
	RatioLow      float64 `json:"ratio_low"` // the worst and the best round
	RatioHigh     float64 `json:"ratio_high"`
	Floor         float64 `json:"floor"`
	Goal          float64 `json:"goal,omitempty"`
	Pass          bool    `json:"pass"`
	// Value and ProbeValue are bytes or operations per second, or seconds where lower is better.
	Value        float64 `json:"value"`
	ProbeValue   float64 `json:"probe_value"`
	OpsPerSecond float64 `json:"ops_per_second"`
	NanosPerOp   float64 `json:"ns_per_op"`
	BytesPerSec  float64 `json:"bytes_per_second"`
	CPUNanosPerB float64 `json:"cpu_ns_per_byte,omitempty"`
	AllocsPerOp  float64 `json:"allocs_per_op"`
	Error        string  `json:"error,omitempty"`
	values       []sample
	probes       []sample
}

func newReport(o Options) *Report {
	return &Report{Started: time.Now().UTC(), Machine: thisMachine(o.Dir), Slack: o.Slack, Rounds: o.Rounds, RoundMS: o.Round.Milliseconds()}
}

func (r *Report) finish() { r.Seconds = time.Since(r.Started).Seconds() }

// Failed lists the cells that missed their floor or could not be measured.
func (r *Report) Failed() []Cell {
	return slices.DeleteFunc(slices.Clone(r.Cells), func(c Cell) bool { return c.Pass })
}

func (c *Cell) add(v, p sample) {
	c.values = append(c.values, v)
	c.probes = append(c.probes, p)
}

func (c *Cell) setError(err error) {
	if err != nil && c.Error == "" {
		c.Error = err.Error()
	}
}

// summarise takes medians; the ratio is the median of the paired ratios, not the ratio of medians. slack scales the
// floor that the cell is judged by.
func (c *Cell) summarise(slack float64) {
	if len(c.values) == 0 {
		return
	}
	var ratios, values, probes, ops, bytes, cpu, allocs []float64
	for i, v := range c.values {
		p := c.probes[i]
		ratios = append(ratios, v.figure/p.figure)
		values = append(values, v.figure)
		probes = append(probes, p.figure)
		ops = append(ops, float64(v.ops)/v.wall.Seconds())
		bytes = append(bytes, float64(v.bytes)/v.wall.Seconds())
		if v.bytes > 0 {
			cpu = append(cpu, float64(v.cpu)/float64(v.bytes))
		}
		allocs = append(allocs, float64(v.allocs)/float64(max(v.ops, 1)))
	}
	c.Ratio, c.RatioLow, c.RatioHigh = median(ratios), slices.Min(ratios), slices.Max(ratios)
	c.Value, c.ProbeValue = median(values), median(probes)
	c.OpsPerSecond, c.BytesPerSec = median(ops), median(bytes)
	c.CPUNanosPerB, c.AllocsPerOp = median(cpu), median(allocs)
	if c.OpsPerSecond > 0 {
		c.NanosPerOp = 1e9 / c.OpsPerSecond
	}
	c.Pass = c.Error == "" && (c.LowerIsBetter && c.Ratio*slack <= c.Floor || !c.LowerIsBetter && c.Ratio >= c.Floor*slack)
}

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes a table, one cell a line.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %d cores, %s, %s\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, runtime.Version())
	fmt.Fprintln(t, "\tcell\tops/s\tMB/s\tallocs/op\tratio\tfloor\tgoal\tprobe")
	for _, c := range r.Cells {
		mark, bound := "ok", ">="
		if !c.Pass {
			mark = "MISS"
		}
		if c.LowerIsBetter {
			bound = "<="
		}
		if c.Error != "" {
			fmt.Fprintf(t, "ERROR\t%s %s\t%s\n", c.Component, c.Name, strings.ReplaceAll(c.Error, "\n", " "))
			continue
		}
		fmt.Fprintf(t, "%s\t%s %s\t%.0f\t%.1f\t%.2f\t%.2f\t%s %.2f\t%.2f\t%s\n", mark, c.Component, c.Name, c.OpsPerSecond,
			c.BytesPerSec/1e6, c.AllocsPerOp, c.Ratio, bound, c.Floor, c.Goal, c.Probe)
	}
	return t.Flush()
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func matches(name, part string) bool { return part == "" || strings.Contains(name, part) }

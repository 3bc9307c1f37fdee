package loadgen

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the report for people: a compact table.
func (r *Report) WriteText(w io.Writer) error {
	t := &text{}
	t.head(r)
	t.rates(r)
	t.latencies(r)
	t.integrity(r)
	t.judgement(r)
	if _, err := io.WriteString(w, t.b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

type text struct{ b strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(&t.b, format+"\n", args...) }

func (t *text) head(r *Report) {
	c := &r.Config
	what := fmt.Sprintf("%d B random", c.Size)
	if r.Payload.Kind == "file" {
		what = fmt.Sprintf("lines of %s", r.Payload.File)
	}
	t.line("%s  stream %s  %s  ack %s", r.Target, r.Stream, c.Mode, c.Ack)
	t.line("%s (zstd %.2f:1), up to %d records a request, %d workers, %s keys", what, r.Payload.ZstdRatio,
		c.BatchRecords, c.Workers, c.Distribution)
	t.line("")
}

func (t *text) rates(r *Report) {
	t.line("  records   %14s /s   %s in %s", count(r.RecordsPerSecond), count(float64(r.Records)), seconds(r.MeasuredSeconds))
	t.line("  bytes     %14s /s", size(r.BytesPerSecond))
	t.line("  requests  %14s /s", count(r.RequestsPerSecond))
	if r.Config.Mode == Open {
		t.line("  target    %14s /s   %.1f %% of the schedule acknowledged in time", count(r.Config.Rate),
			100*float64(r.Records)/float64(max(1, r.ScheduledRecords)))
	}
	t.line("")
}

func (t *text) latencies(r *Report) {
	tw := tabwriter.NewWriter(&t.b, 10, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, l *Latency) {
		if l == nil || l.Count == 0 {
			return
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name,
			micros(l.P50), micros(l.P90), micros(l.P99), micros(l.P999), micros(l.P9999), micros(l.MaxMicros))
	}
	fmt.Fprint(tw, "  latency\tp50\tp90\tp99\tp99.9\tp99.99\tmax\t\n")
	row("response", r.Response)
	if r.Config.Mode == Open {
		row("service", r.Service)
		row("lag", r.Lag)
	}
	row("end to end", r.EndToEnd)
	tw.Flush() //nolint:errcheck // writes to memory
	t.line("")
}

func (t *text) integrity(r *Report) {
	if !r.Verified {
		t.line("  integrity not verified")
	} else {
		t.line("  integrity lost %d  duplicates %d  disorder %d  gaps %d  corrupt %d", *r.Lost, *r.Duplicates, *r.Disorder,
			*r.Gaps, *r.Corrupt)
	}
	t.line("  errors    %d", r.Errors)
	for _, k := range sortedKeys(r.ErrorKinds) {
		t.line("            %d x %s", r.ErrorKinds[k], k)
	}
	if g := r.Generator; g != nil {
		t.line("  generator %.2f s user, %.2f s system, %.0f ns/record, %d GC cycles", g.UserSeconds, g.SystemSeconds,
			g.NanosPerRecord, g.GCCycles)
	}
	if s := r.Server; s != nil {
		t.line("  server    %.2f s user, %.2f s system, %.0f ns/record, %s resident", s.UserSeconds, s.SystemSeconds,
			s.NanosPerRecord, size(float64(s.MaxRSSBytes)))
	}
}

func (t *text) judgement(r *Report) {
	if r.Partial != "" {
		t.line("  PARTIAL   %s", r.Partial)
	}
	if r.Valid {
		t.line("  valid")
		return
	}
	for i, why := range r.InvalidReasons {
		word := ""
		if i == 0 {
			word = "INVALID"
		}
		t.line("  %-9s %s", word, why)
	}
}

// count writes a number with thousands set off.
func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	if v < 100 {
		s = fmt.Sprintf("%.1f", v)
	}
	whole, fraction, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction == "" || fraction == "0" {
		return whole
	}
	return whole + "." + fraction
}

// size writes bytes with a binary unit.
func size(v float64) string {
	for _, u := range []string{"B", "KiB", "MiB"} {
		if v < 1024 {
			return fmt.Sprintf("%.1f %s", v, u)
		}
		v /= 1024
	}
	return fmt.Sprintf("%.2f GiB", v)
}

// micros writes microseconds with a fitting unit.
func micros(us int64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%d us", us)
	case us < 1_000_000:
		return fmt.Sprintf("%.2f ms", float64(us)/1e3)
	}
	return fmt.Sprintf("%.2f s", float64(us)/1e6)
}

func seconds(s float64) string { return time.Duration(s * 1e9).Round(10 * time.Millisecond).String() }

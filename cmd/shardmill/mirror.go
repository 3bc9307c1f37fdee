package main

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// mirrorCmd copies records: a stream to a file, a file to a stream, or a stream to a stream of any two servers. It writes
// down how far it came, and goes on from there when it is run again.
//
// Partition keys stay, and the records of a key stay in order. A record that its key alone would not have brought to its
// shard was put with an explicit hash key; it gets one of its shard again. Aggregated records stay aggregated where they
// fit into one shard of the destination, and are taken apart where they do not. Sequence numbers and arrival times are the
// destination's own; a file keeps those of the source.
//
// Whatever is interrupted is repeated, never lost: a stream may get records twice after a crash or a throttled request, a
// file does not.
type mirrorCmd struct {
	clientFlags
	Source  string `arg:"" name:"src" help:"Where to read: a stream by name or as 'kinesis://NAME?endpoint=URL&region=R&profile=P' (endpoint=aws for Amazon's), or a file: a path with a slash, a name ending in .json, .jsonl or .ndjson, or - for stdin."`
	Dest    string `arg:"" name:"dst" help:"Where to write, likewise; - for stdout."`
	From    string `default:"horizon" help:"Where to begin in a stream the first time: horizon, latest, 5m (ago), or a time (RFC 3339 or epoch seconds)."`
	Follow  bool   `help:"Go on with what comes later, until interrupted."`
	Create  bool   `help:"Make the destination stream if there is none."`
	Shards  int    `help:"Shards of a stream made by --create. Default: as many as are open at the source." placeholder:"N"`
	State   string `help:"File that remembers how far the mirror came. Default: FILE.state when a file is written, FILE-STREAM.state when one is read, mirror-SRC-DST.state for two streams." placeholder:"FILE"`
	Restart bool   `help:"Forget how far an earlier run came, overwrite the file, and begin again."`
	Output  string `short:"o" enum:"text,json,yaml" default:"text" help:"What to print at the end: text, json or yaml."`
}

// mirrorReport is what mirror did.
type mirrorReport struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Records     int64  `json:"records"` // of this run
	Bytes       int64  `json:"bytes"`   // of their data
	Resent      int64  `json:"resent"`  // sent again because the destination throttled them, or others before them
	Resumed     bool   `json:"resumed"`
	State       string `json:"state,omitempty"`
}

// place is a source or a destination.
type place struct {
	file   string // "-" for stdin or stdout; empty for a stream
	stream string
	flags  clientFlags
}

// parsePlace understands SRC and DST. f is what the command line says of all streams.
func parsePlace(s string, f *clientFlags) (place, error) {
	switch {
	case s == "-" || strings.ContainsRune(s, filepath.Separator) && !strings.Contains(s, "://"):
		return place{file: s}, nil
	case strings.HasPrefix(s, "kinesis://"):
		return parseStreamURL(s, f)
	case strings.Contains(s, "://"):
		return place{}, usagef("%s: want a stream (kinesis://NAME), or the path of a file", s)
	}
	switch filepath.Ext(s) {
	case ".json", ".jsonl", ".ndjson":
		return place{file: s}, nil
	}
	if !streamName(s) {
		return place{}, usagef("%q is neither the name of a stream nor, without a slash or .jsonl, a file", s)
	}
	return place{stream: s, flags: *f}, nil
}

func parseStreamURL(s string, f *clientFlags) (place, error) {
	u, err := url.Parse(s)
	if err != nil || !streamName(u.Host) || u.Path != "" && u.Path != "/" || u.User != nil || u.Fragment != "" {
		return place{}, usagef("%s: want kinesis://NAME?endpoint=URL&region=NAME&profile=NAME", s)
	}
	p := place{stream: u.Host, flags: *f}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return place{}, usagef("%s: %w", s, err)
	}
	for name, values := range query {
		switch name {
		case "endpoint":
			p.flags.Endpoint = values[0]
		case "region":
			p.flags.Region = values[0]
		case "profile":
			p.flags.Profile = values[0]
		default:
			return place{}, usagef("%s: there is no setting %s, only endpoint, region and profile", s, name)
		}
	}
	return p, nil
}

func streamName(s string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`).MatchString(s)
}

// mirror is a running mirrorCmd.
type mirror struct {
	cmd      *mirrorCmd
	app      *app
	from, to place
	source   *client // nil for a file
	dest     *client
	routed   bool // the source puts records into shards by the MD5 of their keys, as all streams but some of ours
	rep      mirrorReport
	progress *mirrorProgress
}

// Run is called by kong.
func (m *mirrorCmd) Run(a *app) error {
	w := &mirror{cmd: m, app: a}
	begin, err := w.places()
	if err != nil {
		return err
	}
	ctx, cancel := a.ctx, context.CancelFunc(func() {})
	if m.Timeout > 0 {
		ctx, cancel = context.WithTimeout(a.ctx, m.Timeout)
	}
	defer cancel()
	if err := w.dial(ctx); err != nil {
		return err
	}
	if err := w.resume(ctx, begin); err != nil {
		return err
	}
	err = w.copy(ctx)
	err = errors.Join(err, w.progress.finish())
	w.progress.fill(&w.rep)
	if err != nil {
		if code := exitCodeOf(a.ctx, err); w.rep.Records > 0 && code != codeInterrupted && code != codeTimeout {
			return exitf(codePartly, "%w. Mirrored before that: %s. Run it again to go on", err, plural(w.rep.Records, "record"))
		}
		return err
	}
	if m.Output != "text" && m.Dest != "-" {
		return printAs(a.stdout, m.Output, &w.rep, nil)
	}
	if !m.Quiet {
		a.say("%s from %s to %s", plural(w.rep.Records, "record"), w.rep.Source, w.rep.Destination)
	}
	return nil
}

// places checks the arguments.
func (w *mirror) places() (begin startPoint, err error) {
	m := w.cmd
	if w.from, err = parsePlace(m.Source, &m.clientFlags); err != nil {
		return begin, err
	}
	if w.to, err = parsePlace(m.Dest, &m.clientFlags); err != nil {
		return begin, err
	}
	if begin, err = parseFrom(m.From, time.Now()); err != nil {
		return begin, err
	}
	if begin.kind == types.ShardIteratorTypeLatest {
		// A later run must go on from the same point, also in shards that nothing has come from yet.
		begin = startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: time.Now()}
	}
	switch {
	case begin.kind == types.ShardIteratorTypeAtSequenceNumber:
		return begin, usagef("--from %s: a mirror reads all shards, and a sequence number belongs to one", m.From)
	case w.from.stream == "" && w.to.stream == "":
		return begin, usagef("mirror: %s and %s are both files; one of them must be a stream", m.Source, m.Dest)
	case m.Source == "-" && m.Follow:
		return begin, usagef("--follow: stdin is read to its end anyway")
	}
	return begin, nil
}

// dial makes the clients, and the destination stream where that is wanted.
func (w *mirror) dial(ctx context.Context) (err error) {
	w.rep.Source, w.rep.Destination = w.from.file, w.to.file
	if w.from.stream != "" {
		if w.source, err = newClient(ctx, &w.from.flags, w.app); err != nil {
			return err
		}
		w.rep.Source = w.from.stream + " at " + w.source.endpoint
	}
	if w.to.stream == "" {
		return nil
	}
	if w.dest, err = newClient(ctx, &w.to.flags, w.app); err != nil {
		return err
	}
	w.rep.Destination = w.to.stream + " at " + w.dest.endpoint
	if w.rep.Source == w.rep.Destination {
		return usagef("mirror: the source is the destination: %s", w.rep.Source)
	}
	_, err = w.dest.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &w.to.stream})
	if err == nil {
		return nil
	}
	if !isAPIError(err, "ResourceNotFoundException") {
		return w.dest.fail(err, "mirror to %s", w.to.stream)
	}
	if !w.cmd.Create {
		return exitf(codeNotFound, "mirror: there is no stream %s at %s. Add --create to make it", w.to.stream, w.dest.endpoint)
	}
	return w.create(ctx)
}

// create makes the destination stream.
func (w *mirror) create(ctx context.Context) error {
	shards := w.cmd.Shards
	if shards == 0 {
		shards = 1
		if w.source != nil {
			open, err := w.source.openShards(ctx, w.from.stream)
			if err != nil {
				return err
			}
			shards = max(1, len(open))
		}
	}
	_, err := w.dest.CreateStream(ctx, &kinesis.CreateStreamInput{
		StreamName: &w.to.stream, ShardCount: aws.Int32(int32(min(shards, 1<<30))),
	})
	if err != nil && !isAPIError(err, "ResourceInUseException") {
		return w.dest.fail(err, "create stream %s", w.to.stream)
	}
	return w.dest.waitActive(ctx, w.to.stream)
}

// copy moves the records.
func (w *mirror) copy(ctx context.Context) error {
	var sink mirrorSink
	var file *fileSink
	if w.to.stream != "" {
		sink = &streamSink{client: w.dest, stream: w.to.stream, progress: w.progress}
	} else {
		var err error
		if file, err = openFileSink(w); err != nil {
			return err
		}
		sink = file
		w.progress.beforeSave = file.sync
	}
	if w.from.file != "" {
		return w.fromFile(ctx, sink)
	}
	r := &streamReader{
		client: w.source, stream: w.from.stream, from: w.progress.begin(), stay: w.cmd.Follow,
		resume: w.progress.shard, ended: w.progress.drained,
		emit: func(ctx context.Context, s *types.Shard, records []types.Record) error {
			return sink.put(ctx, fromShard(s, records, w.routed))
		},
	}
	err := r.run(ctx)
	if file != nil {
		err = errors.Join(err, w.progress.finish(), file.close())
	}
	return err
}

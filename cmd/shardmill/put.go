package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Limits of PutRecords.
const (
	maxPutRecords    = 500
	maxPutBytes      = 5 << 20
	maxPutLine       = 10 << 20 // the largest record a stream may be set to take
	putLinger        = 50 * time.Millisecond
	maxPutAttempts   = 12
	firstPutBackoff  = 25 * time.Millisecond
	longestPutPause  = 2 * time.Second
	putLinesBuffered = 2 * maxPutRecords
)

// putCmd writes records to a stream. A batch goes out when it is full, or putLinger after its first line, so that a
// person typing sees each line arrive. Records that the server throttles are sent again.
type putCmd struct {
	clientFlags
	Stream  string `arg:"" help:"Name of the stream."`
	Create  bool   `help:"Make the stream if there is none."`
	Shards  int    `default:"1" help:"Shards of a stream made by --create."`
	Key     string `xor:"key" help:"Partition key of every record. Default: a random one for each." placeholder:"K"`
	KeyFrom string `xor:"key" help:"Take the partition key from this field of the JSON line." placeholder:".user.id"`
	File    string `short:"f" default:"-" help:"Read from this file; - is stdin."`
	Base64  bool   `name:"base64" help:"Lines are base64: decode them."`
	Agg     bool   `help:"Gather the records of each shard into aggregated ones, as the Kinesis Producer Library does: fewer, larger records, which the Kinesis Client Library, Lambda and tail take apart."`
	Output  string `short:"o" enum:"text,json,yaml" default:"text" help:"What to print at the end: text, json or yaml."`
}

// putReport is what put did.
type putReport struct {
	Stream  string         `json:"stream"`
	Records int64          `json:"records"` // accepted
	Failed  int64          `json:"failed"`
	Retried int64          `json:"retried"`
	Bytes   int64          `json:"bytes"`            // of data accepted
	Stored  int64          `json:"stored,omitempty"` // with --agg: Kinesis records that hold them
	Shards  map[string]int `json:"shards"`
	Error   string         `json:"error,omitempty"` // of the last record that failed
}

// Run is called by kong.
func (p *putCmd) Run(a *app) error {
	if p.KeyFrom != "" && !strings.HasPrefix(p.KeyFrom, ".") {
		return usagef("--key-from %s: want a path such as .user.id", p.KeyFrom)
	}
	in, closeIn, err := openInput(a, p.File)
	if err != nil {
		return err
	}
	defer closeIn()
	c, ctx, cancel, err := p.dial(a)
	if err != nil {
		return err
	}
	defer cancel()
	if p.Create {
		if err := p.create(ctx, c); err != nil {
			return err
		}
	}
	w := &putter{cmd: p, client: c, rep: putReport{Stream: p.Stream, Shards: map[string]int{}}}
	if p.Agg {
		if w.agg, err = newAggregator(ctx, c, p.Stream); err != nil {
			return w.explain(err)
		}
	}
	w.status = a.newStatus(p.Quiet)
	err = w.pump(ctx, in)
	w.status.clear()
	if err != nil {
		return err
	}
	return p.report(a, &w.rep)
}

func (p *putCmd) create(ctx context.Context, c *client) error {
	_, err := c.CreateStream(ctx, &kinesis.CreateStreamInput{
		StreamName: &p.Stream, ShardCount: aws.Int32(int32(min(p.Shards, 1<<30))),
	})
	if err != nil && !isAPIError(err, "ResourceInUseException") {
		return c.fail(err, "create stream %s", p.Stream)
	}
	return c.waitActive(ctx, p.Stream)
}

func (p *putCmd) report(a *app, r *putReport) error {
	if p.Output != "text" {
		if err := printAs(a.stdout, p.Output, r, nil); err != nil {
			return err
		}
	} else if !p.Quiet {
		stored := ""
		if p.Agg {
			stored = ", stored as " + count(r.Stored)
		}
		a.say("%s to %s in %s%s", plural(r.Records, "record"), r.Stream, plural(int64(len(r.Shards)), "shard"), stored)
	}
	if r.Failed > 0 {
		return exitf(codePartly, "put %s: %s failed, the last with: %s", r.Stream, plural(r.Failed, "record"), r.Error)
	}
	return nil
}

func openInput(a *app, file string) (io.Reader, func(), error) {
	if file == "-" {
		return a.stdin, func() {}, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, exitf(codeFailed, "%w", err)
	}
	return f, func() { f.Close() }, nil //nolint:errcheck // only read from
}

// putter gathers lines into requests.
type putter struct {
	cmd     *putCmd
	client  *client
	agg     *aggregator // nil without --agg
	batch   []putEntry
	bytes   int
	waiting int // lines taken since everything was last sent
	rep     putReport
	status  *status
	lineNum int64
}

// putEntry is a record of a request.
type putEntry struct {
	types.PutRecordsRequestEntry
	records int    // user records in it
	bytes   int    // of their data
	shard   string // where an aggregated record must end up; empty for others
}

type putLine struct {
	data []byte
	err  error
}

// pump sends everything in holds. On an error, what was gathered before it has been sent.
func (w *putter) pump(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := readLines(ctx, in)
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return w.sendAll(ctx)
			}
			if err := w.take(ctx, line); err != nil {
				return w.partly(errors.Join(w.sendAll(ctx), err)) // what was good before it goes in
			}
			if w.waiting == 1 {
				linger.Reset(putLinger)
			}
		case <-linger.C:
			if err := w.sendAll(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readLines reads on its own goroutine, so that a slow writer does not hold back what it has written. The goroutine
// ends with the input or, once unblocked, with ctx.
func readLines(ctx context.Context, in io.Reader) <-chan putLine {
	lines := make(chan putLine, putLinesBuffered)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(in)
		s.Buffer(make([]byte, 64<<10), maxPutLine)
		for s.Scan() {
			select {
			case lines <- putLine{data: append([]byte(nil), s.Bytes()...)}:
			case <-ctx.Done():
				return
			}
		}
		if err := s.Err(); err != nil {
			select {
			case lines <- putLine{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	return lines
}

// take adds a line to the batch, and sends the batch first where it would grow too large.
func (w *putter) take(ctx context.Context, line putLine) error {
	w.lineNum++
	if line.err != nil {
		return exitf(codeFailed, "read %s, line %d: %w", w.cmd.File, w.lineNum, line.err)
	}
	data := line.data
	if w.cmd.Base64 {
		decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
		if err != nil {
			return exitf(codeFailed, "line %d: not base64: %w", w.lineNum, err)
		}
		data = decoded
	}
	key, err := w.cmd.keyOf(data)
	if err != nil {
		return exitf(codeFailed, "line %d: %w", w.lineNum, err)
	}
	if w.agg != nil {
		w.waiting++
		return w.addAll(ctx, w.agg.add(key, "", data))
	}
	if err := w.add(ctx, plainEntry(key, "", data)); err != nil {
		return err
	}
	w.waiting++
	return nil
}

// plainEntry is one record by itself.
func plainEntry(key, explicit string, data []byte) putEntry {
	e := putEntry{records: 1, bytes: len(data)}
	e.Data, e.PartitionKey = data, &key
	if explicit != "" {
		e.ExplicitHashKey = &explicit
	}
	return e
}

// add puts a record into the request, and sends the request first where it would grow too large.
func (w *putter) add(ctx context.Context, e putEntry) error {
	size := len(e.Data) + len(*e.PartitionKey)
	if len(w.batch) == maxPutRecords || len(w.batch) > 0 && w.bytes+size > maxPutBytes {
		if err := w.send(ctx); err != nil {
			return err
		}
	}
	w.batch = append(w.batch, e)
	w.bytes += size
	return nil
}

func (w *putter) addAll(ctx context.Context, entries []putEntry) error {
	for _, e := range entries {
		if err := w.add(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// sendAll writes everything taken so far. Records that come back, because their aggregate ended up in a wrong shard, go
// into it again.
func (w *putter) sendAll(ctx context.Context) error {
	for {
		if w.agg != nil {
			if err := w.addAll(ctx, w.agg.flush()); err != nil {
				return err
			}
		}
		if len(w.batch) == 0 {
			w.waiting = 0
			return nil
		}
		if err := w.send(ctx); err != nil {
			return err
		}
	}
}

// send writes the batch, and writes the records the server throttled again until they are in or time is up.
func (w *putter) send(ctx context.Context) error {
	pending := w.batch
	w.batch, w.bytes, w.waiting = nil, 0, 0
	if w.agg != nil {
		w.waiting = w.agg.held()
	}
	pause := firstPutBackoff
	var astray []putEntry
	for attempt := 1; len(pending) > 0; attempt++ {
		request := make([]types.PutRecordsRequestEntry, len(pending))
		for i := range pending {
			request[i] = pending[i].PutRecordsRequestEntry
		}
		out, err := w.client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &w.cmd.Stream, Records: request})
		if err != nil {
			return w.partly(w.explain(w.client.fail(err, "put %s", w.cmd.Stream)))
		}
		strayed, err := w.strayed(ctx, pending, out.Records)
		if err != nil {
			return w.partly(err)
		}
		astray = append(astray, strayed...)
		pending = w.settle(pending, out.Records, attempt == maxPutAttempts)
		w.status.set(func() string { return count(w.rep.Records) + " records" })
		if len(pending) == 0 {
			break
		}
		w.rep.Retried += int64(len(pending))
		if err := sleep(ctx, pause/2+rand.N(pause)); err != nil {
			return err
		}
		pause = min(2*pause, longestPutPause)
	}
	w.rep.Retried += int64(len(astray))
	return w.addAll(ctx, astray)
}

// explain says what to do where there is no such stream.
func (w *putter) explain(err error) error {
	if exitCodeOf(w.client.app.ctx, err) == codeNotFound {
		return exitf(codeNotFound, "put: there is no stream %s at %s. Make it with: shardmill put %s --create",
			w.cmd.Stream, w.client.endpoint, w.cmd.Stream)
	}
	return err
}

// partly turns a failure into "some records failed" where others are already in the stream.
func (w *putter) partly(err error) error {
	if w.rep.Records == 0 || w.client.app.ctx.Err() != nil {
		return err
	}
	return exitf(codePartly, "%w. %s were accepted before", err, plural(w.rep.Records, "record"))
}

// settle books the answers and returns the records to send again: those that failed for a passing reason.
func (w *putter) settle(sent []putEntry, answers []types.PutRecordsResultEntry, last bool) []putEntry {
	again := sent[:0]
	for i := range answers {
		if i >= len(sent) {
			break
		}
		if answers[i].ErrorCode == nil {
			if sent[i].records > 0 {
				w.rep.Records += int64(sent[i].records)
				w.rep.Bytes += int64(sent[i].bytes)
				w.rep.Shards[aws.ToString(answers[i].ShardId)] += sent[i].records
				if w.agg != nil {
					w.rep.Stored++
				}
			}
			continue
		}
		code := *answers[i].ErrorCode
		passing := code == "ProvisionedThroughputExceededException" || code == "InternalFailure"
		if passing && !last {
			again = append(again, sent[i])
			continue
		}
		w.rep.Failed += int64(sent[i].records)
		w.rep.Error = code + ": " + aws.ToString(answers[i].ErrorMessage)
	}
	return again
}

// keyOf chooses a record's partition key.
func (p *putCmd) keyOf(data []byte) (string, error) {
	switch {
	case p.Key != "":
		return p.Key, nil
	case p.KeyFrom != "":
		return jsonField(data, p.KeyFrom)
	}
	return strconv.FormatUint(rand.Uint64(), 36), nil
}

// jsonField returns the text of a field of a JSON object, ".user.id" for {"user":{"id":7}}.
func jsonField(data []byte, path string) (string, error) {
	raw := json.RawMessage(data)
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return "", fmt.Errorf("--key-from %s: not a JSON object", path)
		}
		field, ok := object[name]
		if !ok {
			return "", fmt.Errorf("--key-from %s: no field %q", path, name)
		}
		raw = field
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text == "" {
			return "", fmt.Errorf("--key-from %s: empty", path)
		}
		return text, nil
	}
	if raw[0] == '{' || raw[0] == '[' || string(raw) == "null" {
		return "", fmt.Errorf("--key-from %s: want a string or a number", path)
	}
	return string(raw), nil
}

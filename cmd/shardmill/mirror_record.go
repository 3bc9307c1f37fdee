package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// Limits of a file of records.
const (
	maxMirrorLine   = 2*maxPutLine + 4<<10 // the largest record as text of which every byte is escaped
	mirrorLinesHeld = 64
	mirrorFilePause = 100 * time.Millisecond // between looks at a file that may grow
)

// mirrorRecord is a record on its way.
type mirrorRecord struct {
	key      string
	explicit string // explicit hash key; empty: none
	data     []byte
	arrived  time.Time

	shard, sequence string // where it was read; empty for files
	end             int64  // where its line ends in the file it was read from; 0 for streams
}

// mirrorLine is a record in a file: a line of JSON. tail -o json writes lines that can be read as such.
type mirrorLine struct {
	ShardId                     string `json:",omitempty"`
	SequenceNumber              string `json:",omitempty"`
	ApproximateArrivalTimestamp string `json:",omitempty"`
	PartitionKey                string
	ExplicitHashKey             string  `json:",omitempty"`
	Text                        *string `json:",omitempty"` // the data, where it is text
	Data                        []byte  `json:",omitempty"` // the data in base64, where it is not; wins where there are both
}

// fromShard makes records to mirror of a page of a shard. Where the source routes by MD5, a record whose key belongs to
// another shard must have been put with an explicit hash key; the API does not tell which, and any of the shard will do.
func fromShard(s *types.Shard, records []types.Record, routed bool) []mirrorRecord {
	shard := rangeOf(s)
	out := make([]mirrorRecord, len(records))
	for i := range records {
		r := &records[i]
		out[i] = mirrorRecord{
			key: aws.ToString(r.PartitionKey), data: r.Data, arrived: aws.ToTime(r.ApproximateArrivalTimestamp),
			shard: aws.ToString(s.ShardId), sequence: aws.ToString(r.SequenceNumber),
		}
		if routed && !shard.Contains(hashkey.MD5.Of([]byte(out[i].key))) {
			out[i].explicit = shard.First.String()
		}
	}
	return out
}

// appendLine writes a record as a line.
func appendLine(dst []byte, r *mirrorRecord) ([]byte, error) {
	line := mirrorLine{
		ShardId: r.shard, SequenceNumber: r.sequence, PartitionKey: r.key, ExplicitHashKey: r.explicit,
		ApproximateArrivalTimestamp: r.arrived.UTC().Format(tailTime),
	}
	if text := string(r.data); isText(text) {
		line.Text = &text
	} else {
		line.Data = r.data
	}
	var b strings.Builder
	if err := printJSON(&b, line); err != nil {
		return dst, exitf(codeFailed, "write a record: %w", err)
	}
	return append(dst, b.String()...), nil
}

// isText tells whether a person can read s and JSON does not blow it up.
func isText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) < 0
}

// parseLine reads a record.
func parseLine(text []byte) (mirrorRecord, error) {
	var line mirrorLine
	if err := json.Unmarshal(text, &line); err != nil {
		return mirrorRecord{}, err
	}
	r := mirrorRecord{key: line.PartitionKey, explicit: line.ExplicitHashKey, data: line.Data}
	switch {
	case r.key == "":
		return r, errors.New("no PartitionKey")
	case line.Data == nil && line.Text == nil:
		return r, errors.New("neither Data nor Text")
	case line.Data == nil:
		r.data = []byte(*line.Text)
	}
	if r.explicit != "" {
		if _, err := hashkey.Parse(r.explicit); err != nil {
			return r, fmt.Errorf("ExplicitHashKey: %w", err)
		}
	}
	return r, nil
}

// fromFile mirrors a file, from where the state says.
func (w *mirror) fromFile(ctx context.Context, sink mirrorSink) error {
	in := w.app.stdin
	start := int64(0)
	if w.from.file != "-" {
		f, err := os.Open(w.from.file)
		if err != nil {
			return exitf(codeFailed, "%w", err)
		}
		defer f.Close() //nolint:errcheck // only read from
		start = w.progress.state.Read
		if info, err := f.Stat(); err != nil {
			return exitf(codeFailed, "%w", err)
		} else if info.Mode().IsRegular() && info.Size() < start {
			return exitf(codeFailed, "%s has %d bytes, but %d were mirrored before: it is another file. Add --restart to begin again",
				w.from.file, info.Size(), start)
		}
		if _, err := f.Seek(start, io.SeekStart); err != nil {
			return exitf(codeFailed, "%w", err)
		}
		in = f
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := mirrorLines(ctx, in, start, w.cmd.Follow)
	batch := &mirrorBatch{sink: sink}
	for {
		line, open, err := batch.next(ctx, lines)
		if err != nil {
			return err
		}
		if !open || line.err != nil {
			err := batch.send(ctx) // what was good before it goes in
			if err == nil && line.err != nil {
				err = exitf(codeFailed, "%s: %w", w.from.file, line.err)
			}
			if err == nil {
				err = ctx.Err()
			}
			return err
		}
		if err := batch.add(ctx, line.record); err != nil {
			return err
		}
	}
}

// mirrorBatch gathers records of a file.
type mirrorBatch struct {
	sink    mirrorSink
	records []mirrorRecord
	size    int
}

// next takes the next line. Before it waits for one, it sends what is in hand. open is false after the last one.
func (b *mirrorBatch) next(ctx context.Context, lines <-chan mirrorIn) (line mirrorIn, open bool, err error) {
	select {
	case line, open = <-lines:
		return line, open, nil
	default:
	}
	if err := b.send(ctx); err != nil {
		return line, false, err
	}
	select {
	case line, open = <-lines:
		return line, open, nil
	case <-ctx.Done():
		return line, false, ctx.Err()
	}
}

func (b *mirrorBatch) add(ctx context.Context, r mirrorRecord) error {
	b.records = append(b.records, r)
	if b.size += len(r.data); len(b.records) < maxPutRecords && b.size < maxPutBytes {
		return nil
	}
	return b.send(ctx)
}

func (b *mirrorBatch) send(ctx context.Context) error {
	if len(b.records) == 0 {
		return nil
	}
	err := b.sink.put(ctx, b.records)
	b.records, b.size = nil, 0
	return err
}

// mirrorIn is a line of a file, or the error that ends it.
type mirrorIn struct {
	record mirrorRecord
	err    error
}

// mirrorLines reads records on its own goroutine, which ends with the input, the first bad line, or ctx. at is where in
// begins.
func mirrorLines(ctx context.Context, in io.Reader, at int64, follow bool) <-chan mirrorIn {
	out := make(chan mirrorIn, mirrorLinesHeld)
	go func() {
		defer close(out)
		buf := bufio.NewReaderSize(in, 256<<10)
		var partial []byte
		for n := 1; ; {
			piece, err := buf.ReadSlice('\n')
			partial = append(partial, piece...)
			whole := err == nil
			switch {
			case len(partial) > maxMirrorLine:
				err = fmt.Errorf("line %d is longer than %d bytes", n, maxMirrorLine)
			case errors.Is(err, bufio.ErrBufferFull):
				continue
			case errors.Is(err, io.EOF) && follow:
				if sleep(ctx, mirrorFilePause) != nil {
					return
				}
				continue
			case errors.Is(err, io.EOF) && len(partial) > 0:
				whole, err = true, nil
			}
			if errors.Is(err, io.EOF) {
				return
			}
			item := mirrorIn{err: err}
			at += int64(len(partial))
			if whole && err == nil {
				if len(strings.TrimSpace(string(partial))) == 0 {
					partial, n = partial[:0], n+1
					continue
				}
				if item.record, err = parseLine(partial); err != nil {
					item.err = fmt.Errorf("line %d: %w", n, err)
				}
				item.record.end = at
			}
			select {
			case out <- item:
			case <-ctx.Done():
				return
			}
			if item.err != nil {
				return
			}
			partial, n = partial[:0], n+1
		}
	}()
	return out
}

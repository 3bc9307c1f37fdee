package main

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/codec/kpl"
)

// mirrorSink takes records, and books them when they have arrived. It is called for different shards concurrently.
type mirrorSink interface {
	put(ctx context.Context, records []mirrorRecord) error
}

// fileSink appends records to a file, or stdout.
type fileSink struct {
	progress *mirrorProgress

	mu   sync.Mutex // guards the following
	out  io.Writer
	file *os.File // nil for stdout
	page []byte
}

// openFileSink opens the destination file and cuts off what the state does not know of: a page that was written when an
// earlier run was killed, and that is read again now.
func openFileSink(w *mirror) (*fileSink, error) {
	s := &fileSink{progress: w.progress, out: w.app.stdout}
	if w.to.file == "-" {
		return s, nil
	}
	f, err := os.OpenFile(w.to.file, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // a file the user asks for, with the usual mode
	if err != nil {
		return nil, exitf(codeFailed, "%w", err)
	}
	fail := func(format string, args ...any) (*fileSink, error) {
		f.Close() //nolint:errcheck // nothing was written
		return nil, exitf(codeFailed, format, args...)
	}
	info, err := f.Stat()
	if err != nil {
		return fail("%w", err)
	}
	size := w.progress.state.Written
	if info.Mode().IsRegular() {
		switch {
		case info.Size() < size:
			return fail("%s has %d bytes, but %d were written before. Add --restart to begin again", w.to.file, info.Size(), size)
		case !w.rep.Resumed && !w.cmd.Restart && info.Size() > 0:
			return fail("%s exists, and %s does not say how it was made. Add --restart to overwrite it", w.to.file, w.progress.path)
		}
		if err := f.Truncate(size); err != nil {
			return fail("%w", err)
		}
		if _, err := f.Seek(size, io.SeekStart); err != nil {
			return fail("%w", err)
		}
	}
	s.out, s.file = f, f
	return s, nil
}

// put writes a page at once.
func (s *fileSink) put(_ context.Context, records []mirrorRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = s.page[:0]
	bytes := 0
	for i := range records {
		var err error
		if s.page, err = appendLine(s.page, &records[i]); err != nil {
			return err
		}
		bytes += len(records[i].data)
	}
	if _, err := s.out.Write(s.page); err != nil {
		return exitf(codeFailed, "%w", err)
	}
	return s.progress.done(&records[len(records)-1], len(records), bytes, int64(len(s.page)), 0)
}

// sync makes what is written durable. The caller holds the progress, and with it no put can be between its write and its
// booking that this would miss: such lines are cut off at the next start and written again.
func (s *fileSink) sync() error {
	if s.file == nil {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return exitf(codeFailed, "%w", err)
	}
	return nil
}

func (s *fileSink) close() error {
	if s.file == nil {
		return nil
	}
	if err := s.file.Close(); err != nil {
		return exitf(codeFailed, "%w", err)
	}
	return nil
}

// streamSink puts records into a stream.
type streamSink struct {
	client   *client
	stream   string
	progress *mirrorProgress

	mu     sync.Mutex // guards shards
	shards shardMap   // of the destination; nil until an aggregated record comes by
}

// put writes records in requests as large as the API takes, one after the other.
func (s *streamSink) put(ctx context.Context, records []mirrorRecord) error {
	for len(records) > 0 {
		n, size, bytes := 0, 0, 0
		var request []putEntry
		for n < len(records) {
			r := &records[n]
			entries, err := s.entries(ctx, r)
			if err != nil {
				return err
			}
			more := 0
			for i := range entries {
				more += len(entries[i].Data) + len(*entries[i].PartitionKey)
			}
			if n > 0 && (len(request)+len(entries) > maxPutRecords || size+more > maxPutBytes) {
				break
			}
			request = append(request, entries...)
			size, bytes, n = size+more, bytes+len(r.data), n+1
		}
		resent, err := s.send(ctx, request)
		if err != nil {
			return err
		}
		if err := s.progress.done(&records[n-1], n, bytes, 0, resent); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// entries makes what is sent for a record: itself, or the user records in it where they would not all end up in one
// shard of the destination and so be dropped by readers.
func (s *streamSink) entries(ctx context.Context, r *mirrorRecord) ([]putEntry, error) {
	var users kpl.Aggregated
	if users.Reset(r.data) != nil || users.Len() == 0 {
		return []putEntry{plainEntry(r.key, r.explicit, r.data)}, nil
	}
	shards, err := s.targets(ctx, false)
	if err != nil {
		return nil, err
	}
	var first kpl.Record
	users.Next(&first)
	if hash, ok := first.HashKey(); ok {
		if shard := shards.find(hash); shard != nil && users.Within(shard.Range) {
			e := plainEntry(r.key, hash.String(), r.data)
			e.shard = shard.id
			return []putEntry{e}, nil
		}
	}
	users.Rewind()
	return unwrap(&users), nil
}

// targets returns the shards of the destination.
func (s *streamSink) targets(ctx context.Context, again bool) (shardMap, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shards == nil || again {
		shards, err := s.client.openShards(ctx, s.stream)
		if err != nil {
			return nil, err
		}
		s.shards = shards
	}
	return s.shards, nil
}

// send writes entries until all are in, at most maxPutRecords at a time. Where the destination refuses some for a passing
// reason, they are sent again with all later ones of their keys, so that the last copies are in order.
func (s *streamSink) send(ctx context.Context, entries []putEntry) (resent int64, err error) {
	pause := firstPutBackoff
	for len(entries) > 0 {
		n := min(len(entries), maxPutRecords)
		request := make([]types.PutRecordsRequestEntry, n)
		for i := range request {
			request[i] = entries[i].PutRecordsRequestEntry
		}
		out, err := s.client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &s.stream, Records: request})
		if err != nil && !isAPIError(err, "ProvisionedThroughputExceededException") {
			return resent, s.client.fail(err, "mirror to %s", s.stream)
		}
		again := entries[:n:n]
		if err == nil {
			if again, err = s.again(ctx, again, out.Records); err != nil {
				return resent, err
			}
		}
		resent += int64(len(again))
		if len(again) == 0 {
			entries, pause = entries[n:], firstPutBackoff
			continue
		}
		entries = append(again[:len(again):len(again)], entries[n:]...)
		if err := sleep(ctx, pause/2+rand.N(pause)); err != nil {
			return resent, err
		}
		pause = min(2*pause, longestPutPause)
	}
	return resent, nil
}

// again chooses what must be sent once more.
func (s *streamSink) again(ctx context.Context, sent []putEntry, answers []types.PutRecordsResultEntry) (again []putEntry, err error) {
	behind := map[string]bool{}
	for i := range sent {
		key := *sent[i].PartitionKey
		var answer types.PutRecordsResultEntry
		if i < len(answers) {
			answer = answers[i]
		} else {
			answer.ErrorCode = aws.String("InternalFailure")
		}
		switch code := aws.ToString(answer.ErrorCode); {
		case code == "" && sent[i].shard != "" && aws.ToString(answer.ShardId) != sent[i].shard:
			// The destination was split or merged: a reader drops an aggregate that is not in its shard.
			if _, err := s.targets(ctx, true); err != nil {
				return nil, err
			}
			var users kpl.Aggregated
			if err := users.Reset(sent[i].Data); err != nil {
				panic("BUG: mirror: an aggregated record does not open again: " + err.Error())
			}
			again = append(again, unwrap(&users)...)
		case code == "" && !behind[key]:
		case code == "", code == "ProvisionedThroughputExceededException", code == "InternalFailure":
			behind[key] = true
			again = append(again, sent[i])
		default:
			return nil, exitf(codeFailed, "mirror to %s: %s: %s", s.stream, code, aws.ToString(answer.ErrorMessage))
		}
	}
	return again, nil
}

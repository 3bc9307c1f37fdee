package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	mirrorStateVersion = 1
	mirrorSaveEvery    = 500 * time.Millisecond
)

// mirrorState is the contents of a state file: how far a mirror came.
type mirrorState struct {
	Version     int                    `json:"version"`
	Source      string                 `json:"source"`
	Destination string                 `json:"destination"`
	Created     string                 `json:"created,omitempty"` // when the source stream was made: another one of its name is another stream
	From        *time.Time             `json:"from,omitempty"`    // where shards without a mark begin; none: at their horizon
	Shards      map[string]*mirrorMark `json:"shards,omitempty"`  // of a source stream
	Read        int64                  `json:"read,omitempty"`    // bytes of a source file that are mirrored
	Written     int64                  `json:"written,omitempty"` // bytes of a destination file that count; what follows is half a step
	Records     int64                  `json:"records"`           // of all runs
}

// mirrorMark is how far a mirror came in a shard.
type mirrorMark struct {
	After   string `json:"after,omitempty"` // sequence number of the last record mirrored
	Drained bool   `json:"drained,omitempty"`
}

// mirrorProgress counts what is done and writes it down. Its methods may be called concurrently.
type mirrorProgress struct {
	path       string       // of the state file; empty: nothing is remembered
	beforeSave func() error // makes durable what the state will say is there

	mu      sync.Mutex // guards the following
	state   mirrorState
	run     mirrorReport // counts of this run
	dirty   bool
	nextAt  time.Time // when to save again
	failure error     // of a save; sticks
	status  *status
}

// resume reads the state file, or begins a new state.
func (w *mirror) resume(ctx context.Context, begin startPoint) error {
	p := &mirrorProgress{path: w.statePath(), status: w.app.newStatus(w.cmd.Quiet), nextAt: time.Now().Add(mirrorSaveEvery)}
	w.progress = p
	w.rep.State = p.path
	fresh := mirrorState{
		Version: mirrorStateVersion, Source: w.rep.Source, Destination: w.rep.Destination, Shards: map[string]*mirrorMark{},
	}
	if begin.kind == types.ShardIteratorTypeAtTimestamp {
		fresh.From = &begin.at
	}
	if w.source != nil {
		var own struct{ StreamDescriptionSummary ownSettings }
		out, err := w.source.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &w.from.stream}, alsoInto(&own))
		if err != nil {
			return w.source.fail(err, "mirror %s", w.from.stream)
		}
		routing := own.StreamDescriptionSummary.ShardmillRouting
		w.routed = routing == "" || routing == "md5"
		fresh.Created = aws.ToTime(out.StreamDescriptionSummary.StreamCreationTimestamp).UTC().Format(time.RFC3339)
	}
	p.state = fresh
	if p.path == "" || w.cmd.Restart {
		return nil
	}
	text, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return exitf(codeFailed, "read the state: %w", err)
	}
	var old mirrorState
	if err := json.Unmarshal(text, &old); err != nil || old.Version != mirrorStateVersion {
		return exitf(codeFailed, "%s is not the state of a mirror of this version. Name another one with --state, or add --restart", p.path)
	}
	if old.Source != fresh.Source || old.Destination != fresh.Destination || old.Created != fresh.Created {
		return exitf(codeFailed, "%s is the state of a mirror from %s (made %s) to %s. Name another one with --state, or add --restart",
			p.path, old.Source, old.Created, old.Destination)
	}
	if old.Shards == nil {
		old.Shards = map[string]*mirrorMark{}
	}
	p.state, w.rep.Resumed = old, true
	return nil
}

// statePath is where the state is kept; empty where a pipe can not be resumed anyway.
func (w *mirror) statePath() string {
	switch {
	case w.cmd.State != "":
		return w.cmd.State
	case w.from.file == "-" || w.to.file == "-":
		return ""
	case w.from.file != "":
		return w.from.file + "-" + w.to.stream + ".state" // one file may go to several streams
	case w.to.file != "":
		return w.to.file + ".state"
	}
	return "mirror-" + w.from.stream + "-" + w.to.stream + ".state"
}

// begin is where shards without a mark are read from.
func (p *mirrorProgress) begin() startPoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.From != nil {
		return startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: *p.state.From}
	}
	return startPoint{kind: types.ShardIteratorTypeTrimHorizon}
}

// shard is the resume of a streamReader.
func (p *mirrorProgress) shard(id string) (at startPoint, drained, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark := p.state.Shards[id]
	if mark == nil || mark.After == "" && !mark.Drained {
		return at, false, false
	}
	return startPoint{kind: types.ShardIteratorTypeAfterSequenceNumber, seq: mark.After}, mark.Drained, true
}

// drained is the ended of a streamReader.
func (p *mirrorProgress) drained(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mark(id).Drained = true
	p.dirty = true
}

func (p *mirrorProgress) mark(id string) *mirrorMark {
	m := p.state.Shards[id]
	if m == nil {
		m = &mirrorMark{}
		p.state.Shards[id] = m
	}
	return m
}

// done books records that have arrived, of which last is the last one, and saves the state now and then. written is the
// bytes they took in a file.
func (p *mirrorProgress) done(last *mirrorRecord, records, bytes int, written, resent int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last.shard != "" {
		p.mark(last.shard).After = last.sequence
	}
	p.state.Read = max(p.state.Read, last.end)
	p.state.Written += written
	p.state.Records += int64(records)
	p.run.Records += int64(records)
	p.run.Bytes += int64(bytes)
	p.run.Resent += resent
	p.dirty = true
	p.status.set(func() string { return count(p.run.Records) + " records" })
	if time.Now().Before(p.nextAt) {
		return p.failure
	}
	return p.save()
}

// finish saves what is not saved yet, and takes the status line away.
func (p *mirrorProgress) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.clear()
	if p.failure != nil {
		return nil // it has been told
	}
	return p.save()
}

func (p *mirrorProgress) fill(r *mirrorReport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Records, r.Bytes, r.Resent = p.run.Records, p.run.Bytes, p.run.Resent
}

// save writes the state, under p.mu.
func (p *mirrorProgress) save() error {
	if !p.dirty {
		return nil
	}
	if p.beforeSave != nil {
		p.failure = p.beforeSave()
	}
	if p.failure == nil && p.path != "" {
		p.failure = replaceFile(p.path, &p.state)
	}
	p.dirty, p.nextAt = false, time.Now().Add(mirrorSaveEvery)
	return p.failure
}

// replaceFile writes v as JSON: whoever reads path sees the old contents or the new ones, also after a power cut.
func replaceFile(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return exitf(codeFailed, "write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return exitf(codeFailed, "write %s: %w", path, err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return exitf(codeFailed, "write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

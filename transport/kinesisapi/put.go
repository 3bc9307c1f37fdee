package kinesisapi

import (
	"context"
	"strconv"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// Limits of writing.
const (
	maxPutRecords  = 500
	maxPutBytes    = 10 << 20 // data and keys of one PutRecords
	smallestRecord = 1 << 20  // what every stream takes
	largestRecord  = 10 << 20 // what a stream may be made to take
)

// putBuffer is the memory of one put: taken from a pool, given back when the reply is written.
type putBuffer struct {
	recs  []engine.Record
	keys  []hashkey.Key // explicit hash keys; recs point here
	out   []engine.Appended
	arena []byte // decoded data
	dry   bool   // everything but the append
}

// maxPooled is the largest arena that goes back to the pool.
const maxPooled = 2 << 20

func (a *API) takePut() *putBuffer {
	b, ok := a.puts.Get().(*putBuffer)
	if !ok {
		panic("BUG: pool of put buffers holds something else")
	}
	return b
}

func (a *API) givePut(b *putBuffer) {
	if cap(b.arena) > maxPooled {
		b.arena = nil
	}
	clear(b.recs) // they alias request bodies
	b.recs, b.keys, b.arena, b.dry = b.recs[:0], b.keys[:0], b.arena[:0], false
	a.puts.Put(b)
}

// grow makes room for n records, so that later appends never move the keys that records point to.
func (b *putBuffer) grow(n int) {
	if cap(b.keys) < n {
		b.recs, b.keys, b.out = make([]engine.Record, 0, n), make([]hashkey.Key, 0, n), make([]engine.Appended, n)
	}
}

// explicit parses an explicit hash key into the buffer. The text has passed the pattern of the API or is refused.
func (b *putBuffer) explicit(text string) (*hashkey.Key, error) {
	k, err := hashkey.Parse(text)
	if err != nil {
		return nil, invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was " + text)
	}
	b.keys = append(b.keys, k)
	return &b.keys[len(b.keys)-1], nil
}

// append sends the gathered records to a stream and waits until they are as safe as the stream asks.
func (b *putBuffer) append(ctx context.Context, s *engine.Stream, n engine.Name) ([]engine.Appended, error) {
	if st := s.Info().Status; st == creating || st == deleting {
		return nil, streamNotFound(n)
	}
	if b.dry {
		return nil, dryRunError()
	}
	out := b.out[:len(b.recs)]
	clear(out)
	// The weakest level: the engine raises it to the stream's own.
	return out, s.Append(ctx, b.recs, engine.LevelMem, out)
}

// dryRun tells whether a request is to be checked only.
func dryRun(flag *bool) bool { return flag != nil && *flag }

// dryRunError is the answer to a dry run that finds nothing wrong.
func dryRunError() error {
	return &awshttp.Error{Type: "DryRunOperationException", Message: "Request would have succeeded, but DryRun flag is set."}
}

// oversize finds the first record that is larger than the stream takes, data and key together.
func (b *putBuffer) oversize(limit int) int {
	for i := range b.recs {
		if len(b.recs[i].Data)+len(b.recs[i].Key) > limit {
			return i
		}
	}
	return -1
}

// recordLimit is how large a record of a stream may be.
func recordLimit(info *engine.StreamInfo) int {
	if info.MaxRecordBytes == 0 {
		return smallestRecord
	}
	return info.MaxRecordBytes
}

// tooLarge is what the API answers to a record over the limit of its stream.
func tooLarge(path string, size, limit int) error {
	n := strconv.Itoa(size)
	return awshttp.Validation("1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=" + n + " cap=" + n + "]' at '" + path +
		"' failed to satisfy constraint: Member must have length less than or equal to " + strconv.Itoa(limit))
}

// widen gives requests to streams with a larger record limit a shape with that limit, and those to streams with AUTO
// distribution one that wants no partition keys.
func (a *API) widen(action string) func(*awshttp.Call, awshttp.Value) *awshttp.Shape {
	wide, auto := inputShapes()[action], inputShapes()[action]
	for _, s := range []*awshttp.Shape{wide, auto} {
		if err := s.Compile(); err != nil {
			panic("BUG: generated shape does not compile: " + err.Error())
		}
		raiseData(s)
	}
	withoutKey(auto)
	return func(c *awshttp.Call, doc awshttp.Value) *awshttp.Shape {
		name, arn := doc.Get("StreamName"), doc.Get("StreamARN")
		s, _, err := a.stream(c, name.Str, arn.Str)
		switch {
		case err != nil:
			return nil
		case s.Info().Settings.Auto:
			return auto
		case recordLimit(s.Info()) > smallestRecord:
			return wide
		}
		return nil
	}
}

// withoutKey makes each PartitionKey member optional.
func withoutKey(s *awshttp.Shape) {
	if s.Elem != nil {
		withoutKey(s.Elem)
	}
	for i := range s.Members {
		m := &s.Members[i]
		if m.Name == "PartitionKey" {
			m.Required = false
		}
		withoutKey(m.Shape)
	}
}

// raiseData lifts the limit of each Data member; the exact one is checked when the records are known.
func raiseData(s *awshttp.Shape) {
	if s.Elem != nil {
		raiseData(s.Elem)
	}
	for i := range s.Members {
		m := &s.Members[i]
		if m.Name == "Data" {
			m.Shape.Max = some(largestRecord)
		}
		raiseData(m.Shape)
	}
}

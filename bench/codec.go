package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/shardmill/shardmill/codec/batch"
)

// codecBatchBytes is the size of the batches that producers build by default.
const codecBatchBytes = 64 << 10

func codecScenarios() []scenario {
	return []scenario{
		{component: "codec", name: "encode raw 100 B", probe: "memcpy of the same records, cold destination", floor: 0.20, goal: 0.35, setup: encodeRaw(100)},
		{component: "codec", name: "encode raw 1 KiB", probe: "memcpy of the same records, cold destination", floor: 0.60, goal: 0.80, setup: encodeRaw(1 << 10)},
		{component: "codec", name: "encode zstd", probe: "EncodeAll of the same body", floor: 0.93, goal: 0.97, setup: encodeZstd},
		{component: "codec", name: "decode zstd", probe: "DecodeAll of the same body", floor: 0.90, goal: 0.97, setup: decodeZstd},
		{component: "codec", name: "iterate raw 100 B", probe: "6 ns per record", floor: 1, goal: 2, setup: iterateRaw},
		{component: "codec", name: "check 64 KiB", probe: "xxh64 of the same bytes", floor: 0.90, goal: 0.95, setup: checkBatch},
	}
}

// fill appends records of size bytes until the batch has codecBatchBytes, and returns how many fit.
func fill(b *batch.Builder, o batch.BuildOptions, records [][]byte) (int, error) {
	b.Reset(0, o)
	for n := 0; ; n++ {
		r := records[n%len(records)]
		if b.Len()+len(r)+32 > codecBatchBytes {
			return n, nil
		}
		if err := b.Append(r[:8], r[8:]); err != nil {
			return n, err
		}
	}
}

// equalRecords cuts one block into records of size bytes.
func equalRecords(block []byte, size int) [][]byte {
	var out [][]byte
	for len(block) >= size {
		out, block = append(out, block[:size]), block[size:]
	}
	return out
}

func encodeRaw(size int) func(*environment) (bencher, error) {
	return func(*environment) (bencher, error) {
		records := equalRecords(noise(codecBatchBytes), size)
		var b batch.Builder
		ring, at := touched(ringBytes), 0
		return bencher{
			value: perStep(func() (int64, int64, error) {
				n, err := fill(&b, batch.BuildOptions{}, records)
				if err != nil {
					return 0, 0, err
				}
				_, err = b.Finish()
				return int64(n), int64(n * size), err
			}),
			probe: perStep(func() (int64, int64, error) {
				// The destination is cold, as the socket or the ring that a batch goes to next is.
				if at+codecBatchBytes > len(ring) {
					at = 0
				}
				start := at
				for _, r := range records {
					at += copy(ring[at:], r)
				}
				return int64(len(records)), int64(at - start), nil
			}),
		}, nil
	}
}

// perStep turns a step into a side of a bencher.
func perStep(f step) func(context.Context, time.Duration) (sample, error) {
	return func(ctx context.Context, d time.Duration) (sample, error) { return timed(ctx, d, f) }
}

// logBatch is a batch of log lines, and the lines.
func logBatch(c batch.Codec) (batch.Batch, [][]byte, error) {
	records := logLines(600)
	var b batch.Builder
	if _, err := fill(&b, batch.BuildOptions{Codec: c}, records); err != nil {
		return nil, nil, err
	}
	done, err := b.Finish()
	return done, records, err
}

func encodeZstd(*environment) (bencher, error) {
	plain, records, err := logBatch(batch.CodecRaw)
	if err != nil {
		return bencher{}, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithSingleSegment(true))
	if err != nil {
		return bencher{}, err
	}
	var b batch.Builder
	var dst []byte
	return bencher{
		value: perStep(func() (int64, int64, error) {
			n, err := fill(&b, batch.BuildOptions{Codec: batch.CodecZstd}, records)
			if err != nil {
				return 0, 0, err
			}
			done, err := b.Finish()
			if err != nil {
				return 0, 0, err
			}
			return int64(n), int64(done.RawLen()), nil
		}),
		probe: perStep(func() (int64, int64, error) {
			dst = enc.EncodeAll(plain.Body(), dst[:0])
			return int64(plain.Records()), int64(plain.BodyLen()), nil
		}),
	}, nil
}

func decodeZstd(*environment) (bencher, error) {
	packed, _, err := logBatch(batch.CodecZstd)
	if err != nil {
		return bencher{}, err
	}
	if packed.Codec() != batch.CodecZstd {
		return bencher{}, fmt.Errorf("the sample did not compress")
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.IgnoreChecksum(true))
	if err != nil {
		return bencher{}, err
	}
	var it batch.Iterator
	var dst []byte
	return bencher{
		value: perStep(func() (int64, int64, error) {
			n, err := walk(&it, packed)
			return n, int64(packed.RawLen()), err
		}),
		probe: perStep(func() (int64, int64, error) {
			var err error
			dst, err = dec.DecodeAll(packed.Body(), dst[:0])
			return int64(packed.Records()), int64(len(dst)), err
		}),
		close: func() error { dec.Close(); return nil },
	}, nil
}

// walk visits each record of a batch.
func walk(it *batch.Iterator, b batch.Batch) (int64, error) {
	if err := it.Reset(b); err != nil {
		return 0, err
	}
	var n, bytes int64
	for it.Next() {
		n++
		bytes += int64(len(it.Key()) + len(it.Data()))
	}
	if bytes == 0 {
		return n, fmt.Errorf("an empty batch")
	}
	return n, it.Err()
}

func iterateRaw(*environment) (bencher, error) {
	records := equalRecords(noise(codecBatchBytes), 100)
	var b batch.Builder
	if _, err := fill(&b, batch.BuildOptions{}, records); err != nil {
		return bencher{}, err
	}
	done, err := b.Finish()
	if err != nil {
		return bencher{}, err
	}
	var it batch.Iterator
	return bencher{
		value: perStep(func() (int64, int64, error) {
			n, err := walk(&it, done)
			return n, 0, err
		}),
		probe: func(context.Context, time.Duration) (sample, error) {
			return sample{ops: 1, wall: 6 * time.Nanosecond, figure: 1e9 / 6}, nil
		},
	}, nil
}

func checkBatch(*environment) (bencher, error) {
	records := equalRecords(noise(codecBatchBytes), 1<<10)
	var b batch.Builder
	if _, err := fill(&b, batch.BuildOptions{}, records); err != nil {
		return bencher{}, err
	}
	done, err := b.Finish()
	if err != nil {
		return bencher{}, err
	}
	var sink uint64
	return bencher{
		value: perStep(func() (int64, int64, error) {
			for range 16 {
				if _, err := batch.Check(done, batch.MaxLen); err != nil {
					return 0, 0, err
				}
			}
			return 16, int64(16 * done.BodyLen()), nil
		}),
		probe: perStep(func() (int64, int64, error) {
			for range 16 {
				sink += xxhash.Sum64(done.Body())
			}
			return 16, int64(16 * done.BodyLen()), nil
		}),
	}, nil
}

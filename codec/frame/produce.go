package frame

import (
	"encoding/binary"

	"github.com/shardmill/shardmill/codec/batch"
)

// PrefixLen is the fixed part of the bodies that carry batches, so that batches keep their alignment within a frame.
const PrefixLen = 16

// MaxBatches bounds the batches of one PRODUCE frame.
const MaxBatches = 1024

// Produce carries ready-made batches. Body:
//
//	u8 level | zero[3] | u32 count | u64 zero | batch ...
//
// Each batch is as package batch draws it, its client fields set. The response is one ACK.
type Produce struct {
	Level   uint8 // how far each batch must come before it is acknowledged: 0 disk, 1 os, 2 mem
	Count   int
	batches []byte
}

// AppendProducePrefix appends the header and fixed part of a PRODUCE frame; the caller appends, or sends right behind
// it, batchBytes bytes of batches.
func AppendProducePrefix(dst []byte, corr, handle uint32, level uint8, count, batchBytes int) []byte {
	dst = AppendHeader(dst, OpProduce, 0, corr, handle, PrefixLen+batchBytes)
	dst = append(dst, level, 0, 0, 0)
	dst = appendU32(dst, uint32(count))
	return appendU64(dst, 0)
}

// DecodeProduce reads the fixed part of a PRODUCE body. The batches are walked with Next.
func DecodeProduce(body []byte) (Produce, error) {
	if len(body) < PrefixLen+batch.HeaderLen {
		return Produce{}, malformed(OpProduce, "body holds no batch")
	}
	n := binary.LittleEndian.Uint32(body[4:])
	if body[0] > MaxDurability || body[1]|body[2]|body[3] != 0 || n == 0 || n > MaxBatches ||
		binary.LittleEndian.Uint64(body[8:]) != 0 {
		return Produce{}, malformed(OpProduce, "has a field out of range")
	}
	return Produce{Level: body[0], Count: int(n), batches: body[PrefixLen:]}, nil
}

// Next returns the next batch, nil after the last. It checks only where the batch ends; batch.Check checks the rest. An
// error means that the frame's batches and its count disagree.
func (p *Produce) Next() (batch.Batch, error) {
	if p.Count == 0 {
		if len(p.batches) != 0 {
			return nil, malformed(OpProduce, "has bytes after the last batch")
		}
		return nil, nil
	}
	b, rest, err := SplitBatch(p.batches)
	if err != nil {
		return nil, err
	}
	p.batches = rest
	p.Count--
	return b, nil
}

// SplitBatch cuts the first batch off a run of batches. It checks only the length field.
func SplitBatch(run []byte) (b batch.Batch, rest []byte, err error) {
	if len(run) < batch.HeaderLen {
		return nil, nil, malformed(OpProduce, "batch header is cut off")
	}
	n := batch.Batch(run).Len()
	if n < batch.HeaderLen || n > len(run) || n%batch.Align != 0 {
		return nil, nil, malformed(OpProduce, "batch length is out of range")
	}
	return batch.Batch(run[:n:n]), run[n:], nil
}

// AckResult is what became of one batch: 20 bytes, u64 position | i64 micros | u16 code | u16 zero.
type AckResult struct {
	Position uint64
	Micros   int64
	Code     Code // OK: at the asked level
}

const (
	ackFixed  = 8
	ackResult = 20
)

// Ack answers one PRODUCE frame, results in the order of its batches. Acknowledgements of a session come in the order
// of its PRODUCE frames. Body: u32 credit | u16 count | u16 zero | result ...
type Ack struct {
	Credit  uint32 // bytes given back to the client's budget
	results []byte
}

// AppendAckPrefix appends the header and fixed part of an ACK of count results, appended next with AppendAckResult.
func AppendAckPrefix(dst []byte, corr, handle, credit uint32, count int) []byte {
	dst = AppendHeader(dst, OpAck, FlagResponse, corr, handle, ackFixed+count*ackResult)
	dst = appendU32(dst, credit)
	dst = appendU16(dst, uint16(count))
	return appendU16(dst, 0)
}

// AppendAckResult appends one result.
func AppendAckResult(dst []byte, a AckResult) []byte {
	dst = appendU64(dst, a.Position)
	dst = appendU64(dst, uint64(a.Micros))
	dst = appendU16(dst, uint16(a.Code))
	return appendU16(dst, 0)
}

// DecodeAck reads the body of an ACK. Ack aliases it.
func DecodeAck(body []byte) (Ack, error) {
	r := reader{b: body}
	a := Ack{Credit: r.u32()}
	n := int(r.u16())
	r.zero(2)
	if n == 0 || n > MaxBatches {
		r.bad = true
	}
	a.results = r.take(n * ackResult)
	return a, r.end(OpAck)
}

// Len is the number of results.
func (a *Ack) Len() int { return len(a.results) / ackResult }

// At returns result i, i < Len.
func (a *Ack) At(i int) AckResult {
	b := a.results[i*ackResult : (i+1)*ackResult]
	return AckResult{
		Position: binary.LittleEndian.Uint64(b),
		Micros:   int64(binary.LittleEndian.Uint64(b[8:])),
		Code:     Code(binary.LittleEndian.Uint16(b[16:])),
	}
}

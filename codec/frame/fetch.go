package frame

import "encoding/binary"

// FromKind is how a reader says where to start.
type FromKind uint8

const (
	FromPosition FromKind = 0 // at a position; the batch that contains it comes first
	FromHorizon  FromKind = 1 // the oldest batch kept
	FromLatest   FromKind = 2 // what arrives from now on
	FromMicros   FromKind = 3 // the first batch that arrived at or after a time, microseconds since 1970
)

const (
	// MaxWaitMillis bounds how long a FETCH may wait for data.
	MaxWaitMillis = 60_000
	// MaxShardsPerSubscribe bounds the shards of one SUBSCRIBE.
	MaxShardsPerSubscribe = 4096
)

// Fetch asks once for stored batches of a shard. Body, 32 bytes:
//
//	u32 shard | u8 kind | zero[3] | u64 value | u32 minBytes | u32 maxBytes | u32 waitMillis | u32 zero
//
// The server answers with a FETCH response (see Deliver) as soon as minBytes are there, or half of what fits the answer, or
// when the wait is over with what there is. minBytes 0 does not wait.
type Fetch struct {
	Shard      uint32 // lane id
	Kind       FromKind
	Value      uint64
	MinBytes   uint32
	MaxBytes   uint32 // at least one batch comes even where it is larger; the session's frame limit cuts it too
	WaitMillis uint32
}

// AppendFetch appends a whole FETCH request.
func AppendFetch(dst []byte, corr, handle uint32, f *Fetch) []byte {
	dst = AppendHeader(dst, OpFetch, 0, corr, handle, 32)
	dst = appendU32(dst, f.Shard)
	dst = append(dst, byte(f.Kind), 0, 0, 0)
	dst = appendU64(dst, f.Value)
	dst = appendU32(dst, f.MinBytes)
	dst = appendU32(dst, f.MaxBytes)
	dst = appendU32(dst, f.WaitMillis)
	return appendU32(dst, 0)
}

// DecodeFetch reads the body of a FETCH request.
func DecodeFetch(body []byte) (Fetch, error) {
	r := reader{b: body}
	f := Fetch{Shard: r.u32(), Kind: FromKind(r.u8())}
	r.zero(3)
	f.Value, f.MinBytes, f.MaxBytes, f.WaitMillis = r.u64(), r.u32(), r.u32(), r.u32()
	r.zero(4)
	if f.Kind > FromMicros || f.WaitMillis > MaxWaitMillis {
		r.bad = true
	}
	return f, r.end(OpFetch)
}

// Deliver is the body of a FETCH response and of a DELIVER push:
//
//	u32 shard | u8 end | zero[3] | u64 next | batch ...
//
// A push carries the corrID of its SUBSCRIBE. Its credit cost is the bytes of its batches.
type Deliver struct {
	Shard   uint32
	End     bool   // the shard is closed and this is the last of it
	Next    uint64 // position to go on from
	Batches []byte // whole stored batches back to back; aliases the frame
}

// AppendDeliverPrefix appends the header and fixed part of a FETCH response or DELIVER push. The caller appends the
// batches and closes the frame with EndDeliver.
func AppendDeliverPrefix(dst []byte, op Op, corr, handle, shard uint32) []byte {
	flags := Flags(0)
	if op == OpFetch {
		flags = FlagResponse
	}
	dst = AppendHeader(dst, op, flags, corr, handle, 0)
	dst = appendU32(dst, shard)
	dst = appendU32(dst, 0)
	return appendU64(dst, 0)
}

// EndDeliver fills in what was not known before the batches were read, and the length.
func EndDeliver(dst []byte, start int, next uint64, end bool) []byte {
	if end {
		dst[start+HeaderLen+4] = 1
	}
	binary.LittleEndian.PutUint64(dst[start+HeaderLen+8:], next)
	return End(dst, start)
}

// DecodeDeliver reads the body of a FETCH response or DELIVER push. It does not look into the batches.
func DecodeDeliver(body []byte) (Deliver, error) {
	r := reader{b: body}
	d := Deliver{Shard: r.u32(), End: r.flag()}
	r.zero(3)
	d.Next = r.u64()
	d.Batches, r.b = r.b, nil
	return d, r.end(OpDeliver)
}

// Subscribe asks for pushes of several shards' batches, all from the same kind of start. Body:
//
//	u8 kind | zero[3] | u32 credit | u64 value | u32 count | u32 zero | u32 shard ...
//
// The response has no body; the frame's corrID names the subscription in DELIVER, CREDIT and UNSUBSCRIBE.
type Subscribe struct {
	Kind   FromKind
	Value  uint64
	Credit uint32 // bytes the server may push before the client returns some
	shards []byte
}

// AppendSubscribe appends a whole SUBSCRIBE request.
func AppendSubscribe(dst []byte, corr, handle uint32, s *Subscribe, shards []uint32) []byte {
	dst = AppendHeader(dst, OpSubscribe, 0, corr, handle, 24+4*len(shards))
	dst = append(dst, byte(s.Kind), 0, 0, 0)
	dst = appendU32(dst, s.Credit)
	dst = appendU64(dst, s.Value)
	dst = appendU32(dst, uint32(len(shards)))
	dst = appendU32(dst, 0)
	for _, id := range shards {
		dst = appendU32(dst, id)
	}
	return dst
}

// DecodeSubscribe reads the body of a SUBSCRIBE request.
func DecodeSubscribe(body []byte) (Subscribe, error) {
	r := reader{b: body}
	s := Subscribe{Kind: FromKind(r.u8())}
	r.zero(3)
	s.Credit, s.Value = r.u32(), r.u64()
	n := r.u32()
	r.zero(4)
	if s.Kind > FromMicros || n == 0 || n > MaxShardsPerSubscribe {
		r.bad = true
		n = 0
	}
	s.shards = r.take(int(n) * 4)
	return s, r.end(OpSubscribe)
}

// Len is the number of shards.
func (s *Subscribe) Len() int { return len(s.shards) / 4 }

// At returns shard i's lane id, i < Len.
func (s *Subscribe) At(i int) uint32 { return binary.LittleEndian.Uint32(s.shards[4*i:]) }

// AppendUnsubscribe appends a whole UNSUBSCRIBE request, body u32 subscription. The response has no body and comes after
// the subscription's last DELIVER.
func AppendUnsubscribe(dst []byte, corr, subscription uint32) []byte {
	return appendU32(AppendHeader(dst, OpUnsubscribe, 0, corr, 0, 4), subscription)
}

// DecodeUnsubscribe reads the body of an UNSUBSCRIBE request.
func DecodeUnsubscribe(body []byte) (subscription uint32, err error) {
	r := reader{b: body}
	subscription = r.u32()
	return subscription, r.end(OpUnsubscribe)
}

// AppendCredit appends a whole CREDIT frame, body u32 subscription | u32 bytes. It has no response.
func AppendCredit(dst []byte, subscription, bytes uint32) []byte {
	dst = AppendHeader(dst, OpCredit, 0, 0, 0, 8)
	return appendU32(appendU32(dst, subscription), bytes)
}

// DecodeCredit reads the body of a CREDIT frame.
func DecodeCredit(body []byte) (subscription, bytes uint32, err error) {
	r := reader{b: body}
	subscription, bytes = r.u32(), r.u32()
	return subscription, bytes, r.end(OpCredit)
}

package frame

import "github.com/shardmill/shardmill/codec/hashkey"

const (
	// MaxStreamName bounds the names in OPEN, in bytes (the AWS limit of a stream name).
	MaxStreamName = 128
	// MaxCreateShards bounds the shards asked for in one OPEN.
	MaxCreateShards = 1 << 20
)

// Open asks for a stream's handle. Body:
//
//	u8 length | account | u8 length | region | u8 length | stream | u8 create | (u32 shards | u8 routing | u8 durability)?
type Open struct {
	Account, Region, Stream []byte // alias the frame; account and region may be empty: the server's defaults
	Create                  bool   // make the stream where it is absent
	Shards                  uint32 // of the stream to make
	Routing                 hashkey.Routing
	Durability              uint8 // the engine's level: 0 disk, 1 os, 2 mem
}

// MaxDurability is the largest durability level on the wire.
const MaxDurability = 2

// AppendOpen appends a whole OPEN request. Names have at most MaxStreamName bytes.
func AppendOpen(dst []byte, corr uint32, o *Open) []byte {
	start := len(dst)
	dst = AppendHeader(dst, OpOpen, 0, corr, 0, 0)
	for _, s := range [...][]byte{o.Account, o.Region, o.Stream} {
		dst = append(dst, byte(len(s)))
		dst = append(dst, s...)
	}
	dst = appendFlag(dst, o.Create)
	if o.Create {
		dst = appendU32(dst, o.Shards)
		dst = append(dst, byte(o.Routing), o.Durability)
	}
	return End(dst, start)
}

// DecodeOpen reads the body of an OPEN request.
func DecodeOpen(body []byte) (Open, error) {
	r := reader{b: body}
	o := Open{
		Account: r.bytes(int(r.u8()), MaxStreamName),
		Region:  r.bytes(int(r.u8()), MaxStreamName),
		Stream:  r.bytes(int(r.u8()), MaxStreamName),
		Create:  r.flag(),
	}
	if o.Create {
		o.Shards, o.Routing, o.Durability = r.u32(), hashkey.Routing(r.u8()), r.u8()
		if o.Shards == 0 || o.Shards > MaxCreateShards || o.Routing > hashkey.XXH64 || o.Durability > MaxDurability {
			r.bad = true
		}
	}
	return o, r.end(OpOpen)
}

// Shard is one shard in an OPEN response, 52 bytes:
//
//	u32 index | u32 id | u8 open | zero[3] | u64 firstHi | u64 firstLo | u64 lastHi | u64 lastLo | i32 parent | i32 adjacent
type Shard struct {
	Index          uint32
	ID             uint32 // in the lane: what a batch header and FETCH name
	Open           bool
	Range          hashkey.Range
	Parent         int32 // index, -1 for none
	AdjacentParent int32
}

const (
	shardLen  = 52
	openedLen = 16
)

// Opened answers OPEN; the frame's handle field is the stream's handle from now on. Where the shards do not fit one
// frame, several frames with FlagMore on all but the last carry them in order. Body:
//
//	u8 routing | u8 durability | u16 routeEpoch | u32 streamID | u32 total shards | u32 shards here | shard ...
type Opened struct {
	Routing    hashkey.Routing
	Durability uint8
	RouteEpoch uint16
	StreamID   uint32
	Total      uint32 // shards in all frames of the response
	shards     []byte
}

// MaxShardsPerFrame is how many shards an OPEN response of at most maxFrame carries.
func MaxShardsPerFrame(maxFrame int) int { return (maxFrame - MinLen - openedLen) / shardLen }

// AppendOpened appends a whole OPEN response with n shards, each read through shard.
func AppendOpened(dst []byte, flags Flags, corr, handle uint32, o *Opened, n int, shard func(i int) Shard) []byte {
	dst = AppendHeader(dst, OpOpen, flags|FlagResponse, corr, handle, openedLen+n*shardLen)
	dst = append(dst, byte(o.Routing), o.Durability)
	dst = appendU16(dst, o.RouteEpoch)
	dst = appendU32(dst, o.StreamID)
	dst = appendU32(dst, o.Total)
	dst = appendU32(dst, uint32(n))
	for i := range n {
		s := shard(i)
		dst = appendU32(dst, s.Index)
		dst = appendU32(dst, s.ID)
		dst = appendFlag(dst, s.Open)
		dst = append(dst, 0, 0, 0)
		for _, v := range [...]uint64{s.Range.First.Hi, s.Range.First.Lo, s.Range.Last.Hi, s.Range.Last.Lo} {
			dst = appendU64(dst, v)
		}
		dst = appendU32(dst, uint32(s.Parent))
		dst = appendU32(dst, uint32(s.AdjacentParent))
	}
	return dst
}

// DecodeOpened reads the body of an OPEN response.
func DecodeOpened(body []byte) (Opened, error) {
	r := reader{b: body}
	o := Opened{Routing: hashkey.Routing(r.u8()), Durability: r.u8(), RouteEpoch: r.u16(), StreamID: r.u32(), Total: r.u32()}
	n := r.u32()
	if o.Routing > hashkey.XXH64 || o.Durability > MaxDurability || n > o.Total || int64(n) > int64(len(r.b)/shardLen) {
		r.bad = true
		n = 0
	}
	o.shards = r.take(int(n) * shardLen)
	for i := range o.Len() {
		s := reader{b: o.shards[i*shardLen+8:]}
		s.flag()
		s.zero(3)
		r.bad = r.bad || s.bad
	}
	return o, r.end(OpOpen)
}

// Len is the number of shards in this frame.
func (o *Opened) Len() int { return len(o.shards) / shardLen }

// At returns shard i of this frame, i < Len.
func (o *Opened) At(i int) Shard {
	r := reader{b: o.shards[i*shardLen : (i+1)*shardLen]}
	s := Shard{Index: r.u32(), ID: r.u32(), Open: r.flag()}
	r.zero(3)
	s.Range.First = hashkey.Key{Hi: r.u64(), Lo: r.u64()}
	s.Range.Last = hashkey.Key{Hi: r.u64(), Lo: r.u64()}
	s.Parent, s.AdjacentParent = int32(r.u32()), int32(r.u32())
	return s
}

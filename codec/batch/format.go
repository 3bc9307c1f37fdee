package batch

import "encoding/binary"

// The layout below is part of the wire format and of the on-disk format. It never changes; a new layout gets a new
// Version in the segment header and in HELLO.
//
// All integers are little endian. A batch is a 96-byte header, a body, and zero padding to a multiple of Align.
//
//	off size field           set by   meaning
//	  0  8  commit           server   position XOR lane key while stored; the plain position once delivered
//	  8  4  len              server   the whole batch, a multiple of Align
//	 12  1  kind             server   KindPad or KindData
//	 13  1  flags            client   bits 0-2 codec, bit 3 key-hash table present
//	 14  2  records          client   records in the batch, 1..MaxRecords
//	 16  4  shard            client   the shard's id in the lane
//	 20  4  bodyLen          client   stored body, without padding
//	 24  4  rawLen           client   body before compression
//	 28  4  dictID           client   zstd dictionary, 0 = none
//	 32  8  appendMicros     server   arrival time, microseconds since 1970; never decreases with position
//	 40  8  reserved         server   zero
//	 48  8  producerID       client   idempotent producer, 0 = none
//	 56  4  producerSeq      client
//	 60  2  producerEpoch    client
//	 62  2  routeEpoch       client   version of the shard map the producer routed with
//	 64  8  clientMicros     client   the producer's own clock, informational
//	 72  8  bodySum          client   xxh64 of the stored body
//	 80  8  durableHint      server   the lane's durable watermark at append: tells a torn tail from corruption
//	 88  8  headerSum        server   xxh64 of bytes [8,88) XOR position
//
// The body, before compression, keeps the records first so that a builder writes each byte once:
//
//	record[records] | keyHash u64[records]? | end u32[records]
//	record = u16 keyLen (bit 15 = explicit hash follows the key) | key | explicit hash 16 B? | data
//
// end[i] is where record i stops, counted from the start of the body: any record is found in O(1).
//
// A batch occupies Len bytes of its lane's address space, and Len >= records, so that position+i is a distinct
// sequence number for each record i. Its producer fills in len and kind too; the rest of the server's fields are zero
// until the server has stamped them.
//
// The key hash is the xxh64 of the partition key, whatever the stream routes by. The explicit hash is the 128-bit hash
// key that a producer gave in place of the hash of the key.
//
// A pad fills a gap between batches. Gaps are multiples of Align and may be shorter than HeaderLen, so a pad has a
// header of its own; the rest of it holds anything:
//
//	off size field           meaning
//	  0  8  commit           as above
//	  8  4  len              the whole gap, a multiple of Align
//	 12  1  kind             KindPad
//	 13 11  reserved         zero
//	 24  8  padSum           xxh64 of bytes [8,24) XOR position
const (
	HeaderLen  = 96
	Align      = 32
	MaxRecords = 1<<16 - 1
	// MaxLen bounds a whole batch: a quarter of the default ring (64 MiB), and room for one 10 MiB record.
	MaxLen = 16 << 20
	// MaxKeyLen bounds a partition key in bytes: 256 characters of at most 4 bytes.
	MaxKeyLen = 1024

	offCommit        = 0
	offLen           = 8
	offKind          = 12
	offFlags         = 13
	offRecords       = 14
	offShard         = 16
	offBodyLen       = 20
	offRawLen        = 24
	offDictID        = 28
	offAppendMicros  = 32
	offReserved      = 40
	offProducerID    = 48
	offProducerSeq   = 56
	offProducerEpoch = 60
	offRouteEpoch    = 62
	offClientMicros  = 64
	offBodySum       = 72
	offDurableHint   = 80
	offHeaderSum     = 88

	// PadHeaderLen is the length of a pad's header and of the shortest pad.
	PadHeaderLen = 32
	// MaxPad bounds a pad: one that is longer than any ring cannot have been written.
	MaxPad = 1 << 31

	offPadSum = 24
)

// Kind tells what a batch in a lane is.
type Kind uint8

const (
	KindPad  Kind = 0 // a gap that keeps batches from crossing a ring boundary; of its fields only commit, len and kind are a batch's
	KindData Kind = 1
)

// Codec is how a body is stored.
type Codec uint8

const (
	CodecRaw  Codec = 0
	CodecZstd Codec = 1
)

const (
	flagCodecMask = 0x07
	flagKeyHashes = 0x08
)

// Batch is one whole stored batch: header, body, padding. It is a view: whoever made the slice owns it, and methods
// neither copy nor allocate. Methods other than Check assume at least HeaderLen bytes.
type Batch []byte

func (b Batch) Position() uint64      { return binary.LittleEndian.Uint64(b[offCommit:]) }
func (b Batch) Len() int              { return int(binary.LittleEndian.Uint32(b[offLen:])) }
func (b Batch) Kind() Kind            { return Kind(b[offKind]) }
func (b Batch) Codec() Codec          { return Codec(b[offFlags] & flagCodecMask) }
func (b Batch) HasKeyHashes() bool    { return b[offFlags]&flagKeyHashes != 0 }
func (b Batch) Records() int          { return int(binary.LittleEndian.Uint16(b[offRecords:])) }
func (b Batch) Shard() uint32         { return binary.LittleEndian.Uint32(b[offShard:]) }
func (b Batch) BodyLen() int          { return int(binary.LittleEndian.Uint32(b[offBodyLen:])) }
func (b Batch) RawLen() int           { return int(binary.LittleEndian.Uint32(b[offRawLen:])) }
func (b Batch) DictID() uint32        { return binary.LittleEndian.Uint32(b[offDictID:]) }
func (b Batch) AppendMicros() int64   { return int64(binary.LittleEndian.Uint64(b[offAppendMicros:])) }
func (b Batch) ProducerID() uint64    { return binary.LittleEndian.Uint64(b[offProducerID:]) }
func (b Batch) ProducerSeq() uint32   { return binary.LittleEndian.Uint32(b[offProducerSeq:]) }
func (b Batch) ProducerEpoch() uint16 { return binary.LittleEndian.Uint16(b[offProducerEpoch:]) }
func (b Batch) RouteEpoch() uint16    { return binary.LittleEndian.Uint16(b[offRouteEpoch:]) }
func (b Batch) ClientMicros() int64   { return int64(binary.LittleEndian.Uint64(b[offClientMicros:])) }
func (b Batch) BodySum() uint64       { return binary.LittleEndian.Uint64(b[offBodySum:]) }
func (b Batch) DurableHint() uint64   { return binary.LittleEndian.Uint64(b[offDurableHint:]) }
func (b Batch) HeaderSum() uint64     { return binary.LittleEndian.Uint64(b[offHeaderSum:]) }

// Body is the stored body, compressed or not. It aliases b.
func (b Batch) Body() []byte { return b[HeaderLen : HeaderLen+b.BodyLen()] }

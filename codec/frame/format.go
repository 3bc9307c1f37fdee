// Package frame is the native protocol's unit on the wire: a 16-byte header and a body whose layout its operation fixes.
// Encoders append to a slice and return it; decoders take untrusted bytes, never panic, and check every length before
// use. Header is the fixed part, Reader the bounded cursor the decoders share, Produce, Ack, Deliver and the others are
// the bodies. Stored batches (package batch) travel inside PRODUCE, FETCH and DELIVER bodies as they are.
package frame

import "encoding/binary"

// The layout below is part of the wire format. It never changes; a new layout of an operation gets a new opVersion, a
// new layout of the header a new protocol version in HELLO.
//
// All integers are little endian.
//
//	 0       4    5       6           8         12        16
//	+-------+----+-------+-----------+---------+---------+--------
//	|  len  | op | flags | opVersion | corrID  | handle  | body ...
//	+-------+----+-------+-----------+---------+---------+--------
//
//	len        bytes after this field: 12 + the body
//	op         what the body is
//	flags      bit 0 response, bit 1 error, bit 2 more frames of this response follow, bit 3 drain
//	opVersion  layout of the body, 0 now
//	corrID     chosen by the client, repeated in the response
//	handle     the stream, as OPEN answered it; 0 where there is none
//
// Batches start at a multiple of 32 within a frame: bodies that carry them have a 16-byte fixed part.
const (
	HeaderLen = 16
	lenField  = 4
	// MinLen is the smallest valid len: a header without a body.
	MinLen = HeaderLen - lenField

	offOp      = 4
	offFlags   = 5
	offVersion = 6
	offCorr    = 8
	offHandle  = 12

	// Version is the protocol version this package speaks.
	Version = 1
	// DefaultMaxFrame is the default limit of a frame's len field: a 1 MiB batch and its envelope.
	DefaultMaxFrame = 1<<20 + 4<<10
	// HardMaxFrame is what no negotiation goes above: one 10 MiB record and its envelope.
	HardMaxFrame = 12 << 20
	// MinMaxFrame is what no negotiation goes below.
	MinMaxFrame = 4 << 10
	// MaxFrameBeforeAuth limits the frames of a session that has not said who it is.
	MaxFrameBeforeAuth = 4 << 10
)

// Op is the operation of a frame.
type Op uint8

const (
	OpHello       Op = 1
	OpAuth        Op = 2
	OpOpen        Op = 3
	OpProduce     Op = 4
	OpAck         Op = 5
	OpFetch       Op = 6
	OpSubscribe   Op = 7
	OpUnsubscribe Op = 8
	OpDeliver     Op = 9
	OpCredit      Op = 10
	OpPing        Op = 11
	OpGoAway      Op = 12
	OpError       Op = 13
)

// Flags of a frame.
type Flags uint8

const (
	FlagResponse Flags = 1 << 0
	FlagError    Flags = 1 << 1
	FlagMore     Flags = 1 << 2
	FlagDrain    Flags = 1 << 3
)

// Header is the fixed part of a frame.
type Header struct {
	Len     uint32 // bytes after the len field
	Op      Op
	Flags   Flags
	Version uint16
	Corr    uint32
	Handle  uint32
}

// Size is the whole frame in bytes.
func (h *Header) Size() int { return int(h.Len) + lenField }

// ParseHeader reads a header. b has at least HeaderLen bytes. Whether Len lies within MinLen and the negotiated maximum
// is the caller's question to ask before it waits for, or keeps, that many bytes.
func ParseHeader(b []byte) Header {
	_ = b[HeaderLen-1]
	return Header{
		Len:     binary.LittleEndian.Uint32(b),
		Op:      Op(b[offOp]),
		Flags:   Flags(b[offFlags]),
		Version: binary.LittleEndian.Uint16(b[offVersion:]),
		Corr:    binary.LittleEndian.Uint32(b[offCorr:]),
		Handle:  binary.LittleEndian.Uint32(b[offHandle:]),
	}
}

// AppendHeader appends the header of a frame whose body will have bodyLen bytes.
func AppendHeader(dst []byte, op Op, flags Flags, corr, handle uint32, bodyLen int) []byte {
	var h [HeaderLen]byte
	binary.LittleEndian.PutUint32(h[:], uint32(MinLen+bodyLen))
	h[offOp] = byte(op)
	h[offFlags] = byte(flags)
	binary.LittleEndian.PutUint32(h[offCorr:], corr)
	binary.LittleEndian.PutUint32(h[offHandle:], handle)
	return append(dst, h[:]...)
}

// End sets the len field of the frame that starts at start and ends at the end of dst.
func End(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-lenField))
	return dst
}

// SetFlags sets the flags of the frame that starts at start.
func SetFlags(dst []byte, start int, flags Flags) { dst[start+offFlags] = byte(flags) }

func (o Op) String() string {
	names := [...]string{"", "HELLO", "AUTH", "OPEN", "PRODUCE", "ACK", "FETCH", "SUBSCRIBE", "UNSUBSCRIBE", "DELIVER",
		"CREDIT", "PING", "GOAWAY", "ERROR"}
	if o == 0 || int(o) >= len(names) {
		return "UNKNOWN"
	}
	return names[o]
}

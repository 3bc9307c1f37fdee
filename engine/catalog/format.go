package catalog

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// The layout below never changes; a new one gets a new fileVersion, entryVersion or kind.
//
// The folder holds "snapshot-G" and "log-G", G being the generation in 16 hex digits. Both are a header and entries.
// Integers are little endian, varints are those of encoding/binary.
//
//	header  off size            entry  off size
//	          0  8  magic                0  4  mark: low half of the file's salt
//	          8  4  file version         4  4  length of the payload
//	         12  4  role                 8  8  xxh64 of salt, entry's offset, length, payload
//	         16  8  generation          16  n  payload: entry version u8, then changes
//	         24  8  salt, random           .. zero padding to a multiple of 8
//	         32  8  xxh64 of [0,32)
//
// One entry is one transaction. Its changes are each: kind u8, uvarint length, body.
//
//	1 counters  uvarint next stream id, next shard id
//	2 secret    32 bytes
//	3 stream    uvarint id; account, region, name (uvarint length, bytes); u8 status; u8 flags (1 on demand); u8 routing;
//	            u8 durability; uvarint retention hours, max record bytes; varint created (ns since 1970); uvarint route
//	            epoch, next index
//	4 shards    uvarint stream id, n; n shards: uvarint index, id; u64 x4 first.hi first.lo last.hi last.lo; uvarint
//	            parent+1, adjacent parent+1; varint created, closed; uvarint start, end
//	5 dropped   uvarint stream id, n, n shard indexes
//	6 tags      uvarint stream id, n; n times key, value (uvarint length, bytes): all the tags of the stream
//	7 removed   uvarint stream id
//	9 settings  uvarint stream id; u8 flags (1 auto distribution); u8 metrics; uvarint warm MiB/s; key id (uvarint length,
//	            bytes); uvarint n, n spans: uvarint from, to; uvarint n, n mode changes: varint seconds; uvarint n, n times
//	            resource, policy (uvarint length, bytes)
//	10 account  account, region (uvarint length, bytes); u8 flags (1 committed); varint started, ended (ns since 1970, 0 none)
//	11 consumers  uvarint stream id, n; n consumers by name: name (uvarint length, bytes); varint created (s since 1970);
//	            u8 status; uvarint n, n times key, value (uvarint length, bytes): all the consumers of the stream
//	8 end       uvarint number of entries before: the last entry of a snapshot
//
// The salt makes it impossible that bytes a client sent (tags) pass for an entry.
const (
	fileMagic    = "shmlcat\n"
	fileVersion  = 1
	entryVersion = 1

	roleSnapshot = 1
	roleLog      = 2

	headerLen   = 40
	entryHeader = 16
	entryAlign  = 8

	// maxPayload bounds one entry: 10,000 shards resharded to 10,000 others, with every shard in between, is 4 MiB.
	maxPayload = 16 << 20
	// maxString bounds account, region and name. The API stops at 128.
	maxString = 1 << 10
	// maxTags and maxTagBytes bound the tags of a stream. The API stops at 50 tags of 128 and 256 characters.
	maxTags     = 1 << 10
	maxTagBytes = 4 << 10

	shardMinLen = 2 + 32 + 2 + 2 + 2

	kindCounters = 1
	kindSecret   = 2
	kindStream   = 3
	kindShards   = 4
	kindDropped  = 5
	kindTags     = 6
	kindRemoved  = 7
	kindEnd      = 8
	kindSettings = 9
	kindAccount  = 10

	kindConsumers = 11
)

func statusCode(s Status) byte {
	switch s {
	case Creating:
		return 1
	case Active:
		return 2
	case Updating:
		return 3
	case Deleting:
		return 4
	}
	return 0
}

func statusOf(c byte) Status {
	switch c {
	case 1:
		return Creating
	case 2:
		return Active
	case 3:
		return Updating
	case 4:
		return Deleting
	}
	return ""
}

// header describes a file.
type header struct {
	role       uint32
	generation uint64
	salt       uint64
}

func appendHeader(dst []byte, h header) []byte {
	n := len(dst)
	dst = append(dst, fileMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, fileVersion)
	dst = binary.LittleEndian.AppendUint32(dst, h.role)
	dst = binary.LittleEndian.AppendUint64(dst, h.generation)
	dst = binary.LittleEndian.AppendUint64(dst, h.salt)
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[n:]))
}

func parseHeader(b []byte, file string, role uint32) (header, error) {
	bad := func(off int64, cause string) (header, error) { return header{}, &CorruptionError{file, off, cause} }
	if len(b) < headerLen {
		return bad(int64(len(b)), "shorter than its header")
	}
	if string(b[:8]) != fileMagic {
		return bad(0, "not a catalog file")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != fileVersion {
		return header{}, &VersionError{file, 8, "file", v}
	}
	if binary.LittleEndian.Uint64(b[32:]) != xxhash.Sum64(b[:32]) {
		return bad(32, "header checksum")
	}
	if r := binary.LittleEndian.Uint32(b[12:]); r != role {
		return bad(12, fmt.Sprintf("role %d where %d belongs", r, role))
	}
	return header{role, binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])}, nil
}

// beginEntry appends room for an entry's header and its version byte. endEntry completes it.
func beginEntry(dst []byte) []byte {
	return append(append(dst, make([]byte, entryHeader)...), entryVersion)
}

// endEntry fills the header of the entry that starts at dst[at:], which will lie at offset off of a file with that salt.
func endEntry(dst []byte, at int, off int64, salt uint64) ([]byte, error) {
	n := len(dst) - at - entryHeader
	if n > maxPayload {
		return dst[:at], fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, maxPayload)
	}
	e := dst[at:]
	binary.LittleEndian.PutUint32(e, uint32(salt))
	binary.LittleEndian.PutUint32(e[4:], uint32(n))
	binary.LittleEndian.PutUint64(e[8:], entrySum(salt, off, e[entryHeader:]))
	for len(dst)%entryAlign != at%entryAlign {
		dst = append(dst, 0)
	}
	return dst, nil
}

func entrySum(salt uint64, off int64, payload []byte) uint64 {
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	binary.LittleEndian.PutUint64(b[8:], uint64(off))
	binary.LittleEndian.PutUint32(b[16:], uint32(len(payload)))
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(b[:]) // a Digest does not fail
	_, _ = d.Write(payload)
	return d.Sum64()
}

// badSum is the cause that costs the search for a later entry a checksum.
const badSum = "entry checksum"

// entryAt returns the payload of the entry at file[off:] and where the next one starts. It does not look inside.
func entryAt(file []byte, off int64, salt uint64) (payload []byte, next int64, cause string) {
	rest := file[off:]
	if len(rest) < entryHeader {
		return nil, 0, "shorter than an entry"
	}
	n := int64(binary.LittleEndian.Uint32(rest[4:]))
	whole := (entryHeader + n + entryAlign - 1) / entryAlign * entryAlign
	switch {
	case binary.LittleEndian.Uint32(rest) != uint32(salt):
		return nil, 0, "no entry"
	case n < 1 || n > maxPayload:
		return nil, 0, fmt.Sprintf("entry length %d", n)
	case whole > int64(len(rest)):
		return nil, 0, "entry ends behind the file"
	}
	payload = rest[entryHeader : entryHeader+n]
	if binary.LittleEndian.Uint64(rest[8:]) != entrySum(salt, off, payload) {
		return nil, 0, badSum
	}
	return payload, off + whole, ""
}

// appendChange appends a change whose body the function appends.
func appendChange(dst []byte, kind byte, body func([]byte) []byte) []byte {
	const room = binary.MaxVarintLen32
	at := len(dst)
	dst = append(dst, kind)
	dst = append(dst, make([]byte, room)...)
	dst = body(dst)
	n := len(dst) - at - 1 - room
	used := binary.PutUvarint(dst[at+1:at+1+room], uint64(n))
	copy(dst[at+1+used:], dst[at+1+room:])
	return dst[:at+1+used+n]
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendStream(dst []byte, s *StreamInfo) []byte {
	return appendChange(dst, kindStream, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(s.ID))
		b = appendString(b, s.Name.Account)
		b = appendString(b, s.Name.Region)
		b = appendString(b, s.Name.Stream)
		flags := byte(0)
		if s.OnDemand {
			flags |= 1
		}
		b = append(b, statusCode(s.Status), flags, byte(s.Routing), s.Durability)
		b = binary.AppendUvarint(b, uint64(s.RetentionHours))
		b = binary.AppendUvarint(b, uint64(s.MaxRecordBytes))
		b = binary.AppendVarint(b, s.Created.UnixNano())
		b = binary.AppendUvarint(b, uint64(s.RouteEpoch))
		return binary.AppendUvarint(b, uint64(s.NextIndex))
	})
}

func appendShards(dst []byte, stream uint32, shards []ShardInfo) []byte {
	return appendChange(dst, kindShards, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(stream))
		b = binary.AppendUvarint(b, uint64(len(shards)))
		for i := range shards {
			s := &shards[i]
			b = binary.AppendUvarint(b, uint64(s.Index))
			b = binary.AppendUvarint(b, uint64(s.ID))
			for _, k := range [...]uint64{s.Range.First.Hi, s.Range.First.Lo, s.Range.Last.Hi, s.Range.Last.Lo} {
				b = binary.LittleEndian.AppendUint64(b, k)
			}
			b = binary.AppendUvarint(b, uint64(s.Parent+1))
			b = binary.AppendUvarint(b, uint64(s.AdjacentParent+1))
			b = binary.AppendVarint(b, s.CreatedSeconds)
			b = binary.AppendVarint(b, s.ClosedSeconds)
			b = binary.AppendUvarint(b, s.Start)
			b = binary.AppendUvarint(b, s.End)
		}
		return b
	})
}

// decoder reads a payload. The first thing that does not fit makes bad non-empty, and everything after it zero.
type decoder struct {
	b   []byte
	bad string
}

func (d *decoder) fail(what string) {
	if d.bad == "" {
		d.bad = what
	}
	d.b = nil
}

func (d *decoder) uvarint(what string, limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint(what string) int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(what string, n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail(what)
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte(what string, limit byte) byte {
	b := d.bytes(what, 1)
	if len(b) == 0 || b[0] > limit {
		d.fail(what)
		return 0
	}
	return b[0]
}

func (d *decoder) u64(what string) uint64 {
	b := d.bytes(what, 8)
	if len(b) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (d *decoder) string(what string, limit uint64) string {
	return string(d.bytes(what, d.uvarint(what+" length", limit)))
}

func (d *decoder) id(what string) uint32 { return uint32(d.uvarint(what, math.MaxUint32)) }

func (d *decoder) stream() *StreamInfo {
	s := &StreamInfo{ID: d.id("stream id")}
	s.Name.Account = d.string("account", maxString)
	s.Name.Region = d.string("region", maxString)
	s.Name.Stream = d.string("name", maxString)
	s.Status = statusOf(d.byte("status", 4))
	s.OnDemand = d.byte("flags", 1) == 1
	s.Routing = hashkey.Routing(d.byte("routing", byte(hashkey.XXH64)))
	s.Durability = d.byte("durability", 2)
	s.RetentionHours = int(d.uvarint("retention", math.MaxInt32))
	s.MaxRecordBytes = int(d.uvarint("max record bytes", math.MaxInt32))
	s.Created = time.Unix(0, d.varint("created"))
	s.RouteEpoch = uint16(d.uvarint("route epoch", math.MaxUint16))
	s.NextIndex = uint32(d.uvarint("next index", math.MaxInt32))
	if s.Status == "" {
		d.fail("status")
	}
	return s
}

// count reads how many items follow, each of at least size bytes: a lie costs no memory.
func (d *decoder) count(what string, size int) int {
	return int(d.uvarint(what, uint64(len(d.b)/size)))
}

func (d *decoder) shard() ShardInfo {
	var s ShardInfo
	s.Index = uint32(d.uvarint("shard index", math.MaxInt32))
	s.ID = d.id("shard id")
	s.Range.First = hashkey.Key{Hi: d.u64("range"), Lo: d.u64("range")}
	s.Range.Last = hashkey.Key{Hi: d.u64("range"), Lo: d.u64("range")}
	s.Parent = int32(d.uvarint("parent", math.MaxInt32)) - 1
	s.AdjacentParent = int32(d.uvarint("adjacent parent", math.MaxInt32)) - 1
	s.CreatedSeconds = d.varint("created")
	s.ClosedSeconds = d.varint("closed")
	s.Start = d.uvarint("start", math.MaxUint64)
	s.End = d.uvarint("end", math.MaxUint64)
	return s
}

func appendTags(dst []byte, s *StreamInfo) []byte {
	return appendChange(dst, kindTags, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(s.ID))
		b = binary.AppendUvarint(b, uint64(len(s.Tags)))
		for _, k := range slices.Sorted(maps.Keys(s.Tags)) {
			b = appendString(b, k)
			b = appendString(b, s.Tags[k])
		}
		return b
	})
}

func appendDropped(dst []byte, stream uint32, indexes []uint32) []byte {
	return appendChange(dst, kindDropped, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(stream))
		b = binary.AppendUvarint(b, uint64(len(indexes)))
		for _, i := range indexes {
			b = binary.AppendUvarint(b, uint64(i))
		}
		return b
	})
}

func appendNumber(dst []byte, kind byte, numbers ...uint64) []byte {
	return appendChange(dst, kind, func(b []byte) []byte {
		for _, n := range numbers {
			b = binary.AppendUvarint(b, n)
		}
		return b
	})
}

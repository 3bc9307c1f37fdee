package lane

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"

	"github.com/shardmill/shardmill/codec/batch"
)

// The footer of a sealed segment. The layout is part of the on-disk format, see format.go.
//
// Directory, one entry per shard, by shard id:
//
//	 0 4  shard
//	 4 4  batches
//	 8 4  first   offset of the first batch from base, in units of 32
//	12 4  last    likewise of the last
//	16 8  records
//	24 8  bytes   of the batches, headers and padding included
//	32 8  arrival of the first batch, microseconds
//	40 8  arrival of the last
//	48 4  where the shard's extents start, from the end of the directory
//	52 4  their length
//	56 8  xxh64 of them
//
// Extents, per batch three varints: gap since the end of the shard's batch before (of the first: since base) / 32,
// length / 32, records.
//
// Summary, which alone is read when a lane is opened:
//
//	 0 8  base
//	 8 8  end     where the batches end
//	16 8  arrival of the first batch, 0 where there is none
//	24 8  arrival of the last
//	32 4  entries of the directory
//	36 4  shard that bit 0 of the bitmap stands for
//	40 4  bytes of the bitmap; 0: it would be too long, any shard may be there
//	44 4  bytes of all extents
//	48 8  xxh64 of the directory
//	56 8  zero
//	64    bitmap of the shards in the directory
//
// Trailer:
//
//	 0 8  offset of the footer in the file
//	 8 4  length of directory, extents and summary
//	12 4  length of the summary with its bitmap
//	16 8  xxh64 of the summary and the 16 bytes above, XOR key: nobody can make stored records look like a trailer
//	24 8  magic "shardend"
const (
	entryLen       = 64
	summaryLen     = 64
	trailerLen     = 32
	trailerMagic   = "shardend"
	maxFooterLen   = 1 << 31
	maxBitmapLen   = 8 << 10 // 64 Ki shards; 4096 segments keep at most 32 MiB of bitmaps in memory
	minExtentBytes = 3       // one byte per varint
)

// footer is what stays in memory of a sealed segment: the summary.
type footer struct {
	end         uint64
	firstMicros int64
	lastMicros  int64
	entries     int
	extentsLen  int
	dirOffset   int64 // in the file
	dirSum      uint64
	fileSize    int64
	firstShard  uint32
	bitmap      []byte // nil: any shard may be there
}

// mayHold tells whether the directory can have an entry for shard.
func (f *footer) mayHold(shard uint32) bool {
	if f.bitmap == nil {
		return f.entries > 0
	}
	bit := uint64(shard) - uint64(f.firstShard)
	return shard >= f.firstShard && bit/8 < uint64(len(f.bitmap)) && f.bitmap[bit/8]&(1<<(bit%8)) != 0
}

// entry is one shard's line in the directory.
type entry struct {
	shard, batches          uint32
	first, last             uint64 // offsets from base
	records, bytes          uint64
	firstMicros, lastMicros int64
	off, len                uint32 // of the extents
	sum                     uint64
}

func appendEntry(dst []byte, e *entry) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, e.shard)
	dst = le.AppendUint32(dst, e.batches)
	dst = le.AppendUint32(dst, uint32(e.first/batch.Align))
	dst = le.AppendUint32(dst, uint32(e.last/batch.Align))
	dst = le.AppendUint64(dst, e.records)
	dst = le.AppendUint64(dst, e.bytes)
	dst = le.AppendUint64(dst, uint64(e.firstMicros))
	dst = le.AppendUint64(dst, uint64(e.lastMicros))
	dst = le.AppendUint32(dst, e.off)
	dst = le.AppendUint32(dst, e.len)
	return le.AppendUint64(dst, e.sum)
}

// parseEntry reads the entry that p, at least entryLen bytes, starts with.
func parseEntry(p []byte) entry {
	le := binary.LittleEndian
	return entry{
		shard: le.Uint32(p), batches: le.Uint32(p[4:]),
		first: uint64(le.Uint32(p[8:])) * batch.Align, last: uint64(le.Uint32(p[12:])) * batch.Align,
		records: le.Uint64(p[16:]), bytes: le.Uint64(p[24:]),
		firstMicros: int64(le.Uint64(p[32:])), lastMicros: int64(le.Uint64(p[40:])),
		off: le.Uint32(p[48:]), len: le.Uint32(p[52:]), sum: le.Uint64(p[56:]),
	}
}

// findEntry looks shard up in a directory.
func findEntry(dir []byte, shard uint32) (entry, bool) {
	n := len(dir) / entryLen
	i := sort.Search(n, func(i int) bool { return binary.LittleEndian.Uint32(dir[i*entryLen:]) >= shard })
	if i == n || binary.LittleEndian.Uint32(dir[i*entryLen:]) != shard {
		return entry{}, false
	}
	return parseEntry(dir[i*entryLen:]), true
}

// appendExtents appends the varint form of packed extents to dst.
func appendExtents(dst []byte, list []uint64) []byte {
	at := uint64(0)
	for _, e := range list {
		dst = binary.AppendUvarint(dst, (extentOffset(e)-at)/batch.Align)
		dst = binary.AppendUvarint(dst, extentLen(e)/batch.Align)
		dst = binary.AppendUvarint(dst, uint64(extentRecords(e)))
		at = extentOffset(e) + extentLen(e)
	}
	return dst
}

// parseExtents reads count extents of a segment whose batches span dataLen bytes. p holds exactly them.
func parseExtents(p []byte, count uint32, dataLen uint64) ([]uint64, error) {
	if uint64(count)*minExtentBytes > uint64(len(p)) || count == 0 {
		return nil, errFooter
	}
	list := make([]uint64, 0, count)
	at := uint64(0)
	for range count {
		var v [3]uint64
		for i := range v {
			x, n := binary.Uvarint(p)
			if n <= 0 {
				return nil, errFooter
			}
			v[i], p = x, p[n:]
		}
		gap, length, records := v[0], v[1], v[2]
		if gap > dataLen/batch.Align || length == 0 || length >= 1<<extentLenBits || records == 0 || records > batch.MaxRecords {
			return nil, errFooter
		}
		at += gap * batch.Align
		if at+length*batch.Align > dataLen {
			return nil, errFooter
		}
		list = append(list, packExtent(at, int(length*batch.Align), int(records)))
		at += length * batch.Align
	}
	if len(p) != 0 {
		return nil, errFooter
	}
	return list, nil
}

// appendFooter appends the footer and trailer of the segment with header h, whose batches end at end and are in x, to dst.
func appendFooter(dst []byte, h *header, end uint64, x *openIndex) ([]byte, error) {
	firstMicros, lastMicros := x.micros()
	slices.SortFunc(x.runs, func(a, b *run) int { return cmp.Compare(a.shard, b.shard) })
	start := len(dst)
	dst = append(dst, make([]byte, len(x.runs)*entryLen)...) // filled in once the extents are
	extentsAt := len(dst)
	var list []uint64
	for i, r := range x.runs {
		view := r.view()
		list = view.list(list[:0])
		off := len(dst)
		dst = appendExtents(dst, list)
		if len(dst)-start > maxFooterLen-maxBitmapLen-entryLen {
			return nil, fmt.Errorf("%w: footer longer than %d bytes", ErrInvalid, maxFooterLen)
		}
		e := entry{
			shard: r.shard, batches: uint32(len(list)),
			first: extentOffset(list[0]), last: extentOffset(list[len(list)-1]),
			firstMicros: r.firstMicros, lastMicros: r.lastMicros,
			off: uint32(off - extentsAt), len: uint32(len(dst) - off), sum: xxhash.Sum64(dst[off:]),
		}
		for _, x := range list {
			e.records += uint64(extentRecords(x))
			e.bytes += extentLen(x)
		}
		appendEntry(dst[start+i*entryLen:start+i*entryLen], &e)
	}
	summaryAt := len(dst)
	le := binary.LittleEndian
	firstShard, bitmap := shardBitmap(x.runs)
	dst = le.AppendUint64(dst, h.base)
	dst = le.AppendUint64(dst, end)
	dst = le.AppendUint64(dst, uint64(firstMicros))
	dst = le.AppendUint64(dst, uint64(lastMicros))
	dst = le.AppendUint32(dst, uint32(len(x.runs)))
	dst = le.AppendUint32(dst, firstShard)
	dst = le.AppendUint32(dst, uint32(len(bitmap)))
	dst = le.AppendUint32(dst, uint32(summaryAt-extentsAt))
	dst = le.AppendUint64(dst, xxhash.Sum64(dst[start:extentsAt]))
	dst = le.AppendUint64(dst, 0)
	dst = append(dst, bitmap...)
	length := len(dst) - start
	dst = le.AppendUint64(dst, headerLen+end-h.base)
	dst = le.AppendUint32(dst, uint32(length))
	dst = le.AppendUint32(dst, uint32(start+length-summaryAt))
	dst = le.AppendUint64(dst, xxhash.Sum64(dst[summaryAt:])^h.key)
	return append(dst, trailerMagic...), nil
}

// shardBitmap makes the bitmap of the shards of runs, sorted by shard. nil: none, or too long.
func shardBitmap(runs []*run) (first uint32, bitmap []byte) {
	if len(runs) == 0 {
		return 0, nil
	}
	first = runs[0].shard
	n := int(runs[len(runs)-1].shard-first)/8 + 1
	if n > maxBitmapLen {
		return 0, nil
	}
	bitmap = make([]byte, n)
	for _, r := range runs {
		bit := r.shard - first
		bitmap[bit/8] |= 1 << (bit % 8)
	}
	return first, bitmap
}

// parseFooter reads the summary and the trailer that end a segment file of size bytes. p is the end of the file, as much
// of it as the caller has read. need above len(p) asks for that much; otherwise an error means that there is no sound
// footer.
func parseFooter(p []byte, h *header, size int64) (f *footer, need int, err error) {
	le := binary.LittleEndian
	if len(p) < trailerLen || string(p[len(p)-len(trailerMagic):]) != trailerMagic {
		return nil, 0, errFooter
	}
	t := p[len(p)-trailerLen:]
	offset, length, sumLen := le.Uint64(t), int64(le.Uint32(t[8:])), int(le.Uint32(t[12:]))
	if length > maxFooterLen || sumLen < summaryLen || sumLen > summaryLen+maxBitmapLen || int64(sumLen) > length ||
		offset > headerLen+h.size || int64(offset)+length+trailerLen != size {
		return nil, 0, errFooter
	}
	if sumLen+trailerLen > len(p) {
		return nil, sumLen + trailerLen, nil
	}
	s := p[len(p)-trailerLen-sumLen:]
	if le.Uint64(t[16:]) != xxhash.Sum64(s[:sumLen+16])^h.key {
		return nil, 0, errFooter
	}
	f = &footer{
		end: le.Uint64(s[8:]), firstMicros: int64(le.Uint64(s[16:])), lastMicros: int64(le.Uint64(s[24:])),
		entries: int(le.Uint32(s[32:])), firstShard: le.Uint32(s[36:]),
		extentsLen: int(le.Uint32(s[44:])), dirOffset: int64(offset), dirSum: le.Uint64(s[48:]), fileSize: size,
	}
	bitmap := int(le.Uint32(s[40:]))
	if bitmap > 0 && bitmap == sumLen-summaryLen {
		f.bitmap = slices.Clone(s[summaryLen:sumLen])
	}
	if le.Uint64(s) != h.base || headerLen+f.end-h.base != offset || f.end%batch.Align != 0 || bitmap != sumLen-summaryLen ||
		int64(f.entries)*entryLen+int64(f.extentsLen)+int64(sumLen) != length {
		return nil, 0, errFooter
	}
	return f, 0, nil
}

package catalog

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"

	"github.com/shardmill/shardmill/codec/hashkey"
)

// state is what the entries of a snapshot and a log add up to. While it is being loaded it writes into its streams; as
// soon as the catalog is open each change replaces a stream's value.
type state struct {
	streams    map[uint32]*StreamInfo
	accounts   map[Place]AccountInfo
	nextStream uint32 // ids are handed out once
	nextShard  uint32
	secret     [SecretLen]byte
	hasSecret  bool
	ended      bool   // a snapshot's end was seen
	entries    uint64 // applied since the start of the file
}

func newState() *state {
	return &state{streams: map[uint32]*StreamInfo{}, accounts: map[Place]AccountInfo{}, nextStream: 1, nextShard: 1}
}

// apply carries out one entry's changes. The error is a *CorruptionError or *VersionError.
func (st *state) apply(payload []byte, file string, off int64) error {
	if v := payload[0]; v != entryVersion {
		return &VersionError{file, off, "entry", uint32(v)}
	}
	if st.ended {
		return &CorruptionError{file, off, "entry after the end"}
	}
	d := &decoder{b: payload[1:]}
	for len(d.b) > 0 {
		kind := d.byte("kind", math.MaxUint8)
		body := decoder{b: d.bytes("change", d.uvarint("change length", maxPayload))}
		if d.bad == "" {
			known := st.change(kind, &body)
			if !known {
				return &VersionError{file, off, "change", uint32(kind)}
			}
			if body.bad == "" && len(body.b) > 0 {
				body.fail("trailing bytes")
			}
			if body.bad != "" {
				d.fail(fmt.Sprintf("change of kind %d: %s", kind, body.bad))
			}
		}
	}
	if d.bad != "" {
		return &CorruptionError{file, off, d.bad}
	}
	st.entries++
	return nil
}

func (st *state) change(kind byte, d *decoder) (known bool) {
	switch kind {
	case kindCounters:
		st.nextStream = max(st.nextStream, d.id("next stream"))
		st.nextShard = max(st.nextShard, d.id("next shard"))
	case kindSecret:
		copy(st.secret[:], d.bytes("secret", SecretLen))
		st.hasSecret = true
	case kindStream:
		st.putStream(d)
	case kindShards:
		st.putShards(d)
	case kindDropped:
		st.dropShards(d)
	case kindTags:
		st.putTags(d)
	case kindSettings:
		st.putSettings(d)
	case kindAccount:
		st.putAccount(d)
	case kindConsumers:
		st.putConsumers(d)
	case kindRemoved:
		if s := st.stream(d); s != nil {
			delete(st.streams, s.ID)
		}
	case kindEnd:
		if n := d.uvarint("entries", math.MaxUint64); n != st.entries {
			d.fail(fmt.Sprintf("end after %d entries, %d were written", st.entries, n))
		}
		st.ended = true
	default:
		return false
	}
	return true
}

// stream reads a stream id and returns the stream.
func (st *state) stream(d *decoder) *StreamInfo {
	id := d.id("stream id")
	s := st.streams[id]
	if s == nil {
		d.fail(fmt.Sprintf("no stream %d", id))
	}
	return s
}

func (st *state) putStream(d *decoder) {
	s := d.stream()
	if d.bad != "" {
		return
	}
	if s.ID == 0 || s.ID == math.MaxUint32 {
		d.fail("stream id")
		return
	}
	if old := st.streams[s.ID]; old != nil {
		s.Consumers = old.Consumers
		s.Tags, s.Shards, s.Settings = old.Tags, old.Shards, old.Settings
	}
	st.streams[s.ID] = s
	st.nextStream = max(st.nextStream, s.ID+1)
}

func (st *state) putShards(d *decoder) {
	s := st.stream(d)
	for range d.count("shards", shardMinLen) {
		sh := d.shard()
		if d.bad != "" {
			return
		}
		if sh.ID == 0 || sh.ID == math.MaxUint32 {
			d.fail("shard id")
			return
		}
		i := sort.Search(len(s.Shards), func(i int) bool { return s.Shards[i].Index >= sh.Index })
		if i < len(s.Shards) && s.Shards[i].Index == sh.Index {
			s.Shards[i] = sh
		} else {
			s.Shards = slices.Insert(s.Shards, i, sh)
		}
		st.nextShard = max(st.nextShard, sh.ID+1)
	}
}

func (st *state) dropShards(d *decoder) {
	s := st.stream(d)
	gone := map[uint32]bool{}
	for range d.count("shards", 1) {
		gone[d.id("shard index")] = true
	}
	if d.bad == "" {
		s.Shards = slices.DeleteFunc(s.Shards, func(sh ShardInfo) bool { return gone[sh.Index] })
	}
}

func (st *state) putTags(d *decoder) {
	s := st.stream(d)
	tags := map[string]string{}
	for range d.uvarint("tags", maxTags) {
		k := d.string("tag key", maxTagBytes)
		tags[k] = d.string("tag value", maxTagBytes)
		if d.bad != "" {
			return
		}
	}
	if d.bad == "" {
		s.Tags = tags
	}
}

// diff appends the changes that make next of prev, which is nil for a new stream.
func diff(dst []byte, prev, next *StreamInfo) []byte {
	if prev == nil {
		prev = &StreamInfo{}
	}
	if !next.sameSettings(prev) {
		dst = appendStream(dst, next)
	}
	if !maps.Equal(prev.Tags, next.Tags) {
		dst = appendTags(dst, next)
	}
	if !next.Settings.equal(&prev.Settings) {
		dst = appendSettings(dst, next.ID, &next.Settings)
	}
	if !equalConsumers(prev.Consumers, next.Consumers) {
		dst = appendConsumers(dst, next)
	}
	var put []ShardInfo
	var gone []uint32
	p, n := prev.Shards, next.Shards
	for len(p) > 0 || len(n) > 0 {
		switch {
		case len(n) == 0 || len(p) > 0 && p[0].Index < n[0].Index:
			gone = append(gone, p[0].Index)
			p = p[1:]
		case len(p) == 0 || n[0].Index < p[0].Index:
			put = append(put, n[0])
			n = n[1:]
		default:
			if p[0] != n[0] {
				put = append(put, n[0])
			}
			p, n = p[1:], n[1:]
		}
	}
	if len(put) > 0 {
		dst = appendShards(dst, next.ID, put)
	}
	if len(gone) > 0 {
		dst = appendDropped(dst, next.ID, gone)
	}
	return dst
}

// valid tells what is wrong with s, nil where nothing is.
func (s *StreamInfo) valid() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: stream %d: %s", ErrInvalid, s.ID, fmt.Sprintf(format, args...))
	}
	if s.ID == 0 || statusCode(s.Status) == 0 || s.Name.Stream == "" {
		return fail("id, status and name must be set")
	}
	if len(s.Name.Account) > maxString || len(s.Name.Region) > maxString || len(s.Name.Stream) > maxString {
		return fail("name too long")
	}
	if len(s.Tags) > maxTags {
		return fail("%d tags", len(s.Tags))
	}
	for k, v := range s.Tags {
		if len(k) > maxTagBytes || len(v) > maxTagBytes {
			return fail("tag of %d and %d bytes", len(k), len(v))
		}
	}
	if bad := s.Settings.wrong(); bad != "" {
		return fail("%s", bad)
	}
	if bad := wrongConsumers(s.Consumers); bad != "" {
		return fail("%s", bad)
	}
	open := make([]hashkey.Range, 0, len(s.Shards))
	for i := range s.Shards {
		sh := &s.Shards[i]
		if i > 0 && (s.Shards[i-1].Index >= sh.Index || s.Shards[i-1].ID >= sh.ID) || sh.ID == 0 || sh.Index >= s.NextIndex {
			return fail("shard %d is out of order or has no id", sh.Index)
		}
		if sh.Open() {
			open = append(open, sh.Range)
		}
	}
	sort.Slice(open, func(i, j int) bool { return open[i].First.Less(open[j].First) })
	want := hashkey.Key{}
	for i, r := range open {
		if r.First != want || r.Last.Less(r.First) || (r.Last == hashkey.Max()) != (i == len(open)-1) {
			return fail("open shards do not divide the hash key space: range %v where %v begins", r, want)
		}
		want = r.Last.Next()
	}
	if len(open) == 0 && s.Status != Deleting {
		return fail("no open shard")
	}
	return nil
}

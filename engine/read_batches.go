package engine

import (
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/engine/lane"
)

// ReadBatches appends stored batches of a shard (lane id) from a position to dst, up to maxBytes but at least one where
// there is one, and returns the position to go on from. The first batch may begin before the position: the position is
// then inside it. Expired batches are passed over. end is true when the shard is closed and nothing is left. A shard that
// the stream does not have (any more) is CodeNotFound. It does not allocate where dst has room.
func (s *Stream) ReadBatches(dst []byte, shard uint32, from uint64, maxBytes int) (out []byte, next uint64, end bool, err error) {
	info, gone := s.exists()
	if gone != nil {
		return dst, from, false, gone
	}
	sh := info.ShardByID(shard)
	if sh == nil {
		return dst, from, false, newError(CodeNotFound, "Could not find shard number %d in stream %s under account %s.", shard, s.name.Stream, s.name.Account)
	}
	q := lane.Query{Shard: shard, From: max(from, sh.Start), MaxBytes: maxBytes, Level: Level(info.Durability)}
	out, next, err = s.readUnexpired(dst, q, cutoff(info, time.Now()))
	if err != nil {
		return dst, from, false, laneError(err)
	}
	next = max(next, q.From)
	if !sh.Open() {
		_, _, more, err := s.e.lane.Next(shard, next, q.Level)
		if err != nil {
			return dst, from, false, laneError(err)
		}
		end = !more
	}
	return out, next, end, nil
}

// readUnexpired is lane.Read without the batches that arrived before cut. Time never decreases with position, so if the
// first batch is young enough all are, and only a reader of old data pays for a search.
func (s *Stream) readUnexpired(dst []byte, q lane.Query, cut int64) ([]byte, uint64, error) {
	at := len(dst)
	out, next, err := s.e.lane.Read(dst, q)
	if err != nil || len(out) == at || batch.Batch(out[at:]).AppendMicros() >= cut {
		return out, next, err
	}
	from, err := s.e.lane.SeekTime(q.Shard, cut)
	if err != nil {
		return dst, q.From, err
	}
	q.From = max(q.From, from)
	return s.e.lane.Read(out[:at], q)
}

package engine

import (
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine/catalog"
)

// IteratorType is one of the five of GetShardIterator.
type IteratorType string

const (
	AtSequence    IteratorType = "AT_SEQUENCE_NUMBER"
	AfterSequence IteratorType = "AFTER_SEQUENCE_NUMBER"
	TrimHorizon   IteratorType = "TRIM_HORIZON"
	Latest        IteratorType = "LATEST"
	AtTimestamp   IteratorType = "AT_TIMESTAMP"
)

// Iterator is Stream.Iterator with the checks in AWS's order: the shard id must be readable before the stream is looked
// for, and a stream that is not there is reported as a shard that is not.
func (e *Engine) Iterator(n Name, shardID string, typ IteratorType, seq string, t *time.Time) (string, error) {
	n = e.name(n)
	index, ok := ParseShardID(shardID)
	if !ok {
		return "", noShardNamed(n, shardID)
	}
	s, err := e.Stream(n)
	if err != nil {
		return "", noSuchShard(n, index)
	}
	return s.Iterator(shardID, typ, seq, t)
}

// Iterator makes the token GetShardIterator returns, good for five minutes. number is a sequence number in decimal, empty where not
// given; t is for AtTimestamp. Errors: CodeNotFound, CodeInvalidArgument; CodeInternal for a sequence number of the first
// Kinesis version, as AWS answers.
func (s *Stream) Iterator(shardID string, typ IteratorType, number string, t *time.Time) (string, error) {
	index, ok := ParseShardID(shardID)
	if !ok {
		return "", noShardNamed(s.name, shardID)
	}
	info, err := s.exists()
	if err != nil {
		return "", noSuchShard(s.name, index)
	}
	sh := info.Shard(index)
	if sh == nil || info.Status == catalog.Creating { // AWS lists no shards before a stream is ACTIVE
		return "", noSuchShard(s.name, index)
	}
	now := time.Now()
	position, err := s.position(info, sh, typ, number, t, now)
	if err != nil {
		return "", err
	}
	return s.token(sh.Index, position, now), nil
}

// position is where a reader begins who starts as the arguments of GetShardIterator say.
func (s *Stream) position(info *StreamInfo, sh *ShardInfo, typ IteratorType, number string, t *time.Time, now time.Time) (uint64, *Error) {
	seq, at, err := s.startingPoint(sh, typ, number, t, now)
	if err != nil {
		return 0, err
	}
	if typ == AfterSequence && number == startNumber(sh) {
		typ = TrimHorizon // it names no record, but in memory the first one has its position
	}
	return s.seek(info, sh, typ, seq, at)
}

// startNumber is the shard's StartingSequenceNumber.
func startNumber(sh *ShardInfo) string { return sequence.Start(sh.CreatedSeconds, sh.Index).String() }

func (s *Stream) token(index uint32, position uint64, now time.Time) string {
	return s.e.seal.seal(iterator{made: now.UnixMilli(), stream: s.id, shard: index, position: position, name: s.name})
}

// startingPoint checks the arguments of GetShardIterator against each other.
func (s *Stream) startingPoint(sh *ShardInfo, typ IteratorType, number string, t *time.Time, now time.Time) (seq uint64, at time.Time, err *Error) {
	numbered := typ == AtSequence || typ == AfterSequence
	switch {
	case typ == AtTimestamp && number == "":
		if t == nil {
			return 0, at, newError(CodeInvalidArgument,
				"Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		}
		if t.After(now) {
			return 0, at, newError(CodeInvalidArgument, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "+
				"timestampInMillis: %d, currentTimestampInMillis: %d", t.UnixMilli(), now.UnixMilli())
		}
		return 0, *t, nil
	case !numbered && number != "":
		return 0, at, wrongPair(typ, "also a")
	case numbered && number == "" || !numbered && typ != TrimHorizon && typ != Latest:
		return 0, at, wrongPair(typ, "no")
	case numbered:
		seq, err = s.parseSequence(sh, number)
	}
	return seq, at, err
}

func wrongPair(typ IteratorType, has string) *Error {
	return newError(CodeInvalidArgument, "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
		"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and %s StartingSequenceNumber.", typ, has)
}

// parseSequence returns the position that a sequence number of the shard stands for.
func (s *Stream) parseSequence(sh *ShardInfo, number string) (uint64, *Error) {
	invalid := func(why string) *Error {
		return newError(CodeInvalidArgument, "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid%s.",
			number, ShardID(sh.Index), s.name.Stream, s.name.Account, why)
	}
	otherShard := func(id string) *Error {
		return newError(CodeInvalidArgument, "Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s",
			id, ShardID(sh.Index))
	}
	n, err := sequence.Parse(number)
	if err != nil {
		if id, ok := negativeShard(number); ok {
			return 0, otherShard(id)
		}
		return 0, invalid("")
	}
	if n.Shard != sh.Index {
		return 0, otherShard(ShardID(n.Shard))
	}
	if n.Legacy() && n.Version() == 0 {
		return 0, internalError(nil)
	}
	if n.Legacy() || n.ShardCreated != sh.CreatedSeconds {
		return 0, invalid(" because it did not come from this stream")
	}
	return n.Position, nil
}

// negativeShard tells whether a number is a sequence number but for a shard index of 2^31 or more, and what AWS calls that
// shard: it reads the index as a sign and a number.
func negativeShard(number string) (id string, ok bool) {
	n, ok := new(big.Int).SetString(number, 10)
	if !ok || len(number) != sequence.Digits {
		return "", false
	}
	const indexBit = 4 // the version's digit is below the index
	index := new(big.Int).Rsh(n, indexBit).Uint64() & math.MaxUint32
	n.SetBit(n, indexBit+31, 0)
	if _, err := sequence.Parse(n.String()); err != nil || index <= maxShardIndex {
		return "", false
	}
	return fmt.Sprintf("shardId--%011d", index), true
}

// Seek returns the position an iterator type stands for on a shard (lane id). seq is for the sequence types, t for
// AtTimestamp.
func (s *Stream) Seek(shard uint32, typ IteratorType, seq uint64, t time.Time) (uint64, error) {
	info, err := s.exists()
	if err != nil {
		return 0, err
	}
	sh := info.ShardByID(shard)
	if sh == nil {
		return 0, errStaleRoute
	}
	position, err := s.seek(info, sh, typ, seq, t)
	return position, asError(err)
}

// seek is Seek on a snapshot. Positions are of records: they may lie inside a batch. What has expired is not skipped
// here but when it would be read.
func (s *Stream) seek(info *StreamInfo, sh *ShardInfo, typ IteratorType, seq uint64, t time.Time) (uint64, *Error) {
	at := sh.Start
	switch typ {
	case AtSequence:
		at = seq
	case AfterSequence:
		at = min(seq, sequence.MaxPosition) + 1
	case Latest:
		at = s.visible(info)
	case AtTimestamp:
		found, err := s.e.lane.SeekTime(sh.ID, t.UnixMicro())
		if err != nil {
			return 0, laneError(err)
		}
		at = found
	case TrimHorizon: // the start; see above
	default:
		return 0, newError(CodeInvalidArgument, "Unknown iterator type %s", typ)
	}
	at = max(at, sh.Start)
	if !sh.Open() {
		at = min(at, sh.End)
	}
	return at, nil
}

// visible is the position below which readers of the stream see everything.
func (s *Stream) visible(info *StreamInfo) uint64 {
	w := s.e.lane.Watermarks()
	switch Level(info.Durability) {
	case LevelDisk:
		return w.Durable
	case LevelOS:
		return w.Written
	}
	return w.Published
}

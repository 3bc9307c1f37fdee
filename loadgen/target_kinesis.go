package loadgen

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// kinesisTarget is a Kinesis-compatible HTTP endpoint.
type kinesisTarget struct {
	c    *Config
	call *caller
	// since is when the run began by the endpoint's clock: where readers begin. Set by open.
	since time.Time
}

var _ target = (*kinesisTarget)(nil)

const (
	// durabilityTag is the reserved tag that gives a stream's durability at CreateStream.
	durabilityTag = "shardmill:durability"
	// activeWithin is how long a new stream may take to become ACTIVE.
	activeWithin = 60 * time.Second
	// skew is taken off the endpoint's Date header, which has whole seconds, before it is used as a starting point.
	// Records of earlier runs that this lets in are told apart by their run id.
	skew = 2 * time.Second
	// getLimit is records per GetRecords, the most the API takes.
	getLimit = 10_000
	// throttlePause is how long a reader stays away from a shard that refused it: 5 reads per second are allowed.
	throttlePause = 200 * time.Millisecond

	errNotFound  = "ResourceNotFoundException"
	errInUse     = "ResourceInUseException"
	errThrottled = "ProvisionedThroughputExceededException"
	errExpired   = "ExpiredIteratorException"
	errLimit     = "LimitExceededException"
)

func newKinesisTarget(c *Config, e Endpoint) *kinesisTarget {
	return &kinesisTarget{c: c, call: newCaller(c, e)}
}

func (t *kinesisTarget) conn() *kinesisConn { return &kinesisConn{http: httpConn{k: t.call}} }

// open waits until the stream is ACTIVE, and creates it if there is none.
func (t *kinesisTarget) open(ctx context.Context) error {
	c := t.conn()
	defer c.http.drop()
	ctx, cancel := context.WithTimeout(ctx, activeWithin)
	defer cancel()
	for created := false; ; {
		status, err := t.status(ctx, c)
		var refused *RequestError
		switch {
		case err == nil && (status == "ACTIVE" || status == "UPDATING"):
			t.since = c.http.served.Add(-skew)
			if c.http.served.IsZero() {
				t.since = time.Now().Add(-10 * time.Second)
			}
			return nil
		case err == nil && status == "DELETING" && created:
			return fmt.Errorf("stream %s was deleted while it was made", t.c.Stream)
		case errors.As(err, &refused) && refused.Code == errNotFound && !created:
			if err := t.create(ctx, c); err != nil {
				return fmt.Errorf("create stream %s: %w", t.c.Stream, err)
			}
			created = true
		case errors.As(err, &refused) && (refused.Code == errNotFound || refused.Code == errLimit):
		case err != nil:
			return fmt.Errorf("describe stream %s: %w", t.c.Stream, err)
		}
		if pause(ctx, tailPause); ctx.Err() != nil {
			return fmt.Errorf("stream %s did not become ACTIVE: %w", t.c.Stream, ctx.Err())
		}
	}
}

// status asks for the stream's status, and once more by the older action where the endpoint lacks the newer.
func (t *kinesisTarget) status(ctx context.Context, c *kinesisConn) (string, error) {
	in := map[string]any{"StreamName": t.c.Stream}
	var out struct {
		StreamDescriptionSummary struct{ StreamStatus string }
	}
	err := c.do(ctx, "DescribeStreamSummary", in, &out)
	if err == nil || !unknownAction(err) {
		return out.StreamDescriptionSummary.StreamStatus, err
	}
	var older struct {
		StreamDescription struct{ StreamStatus string }
	}
	err = c.do(ctx, "DescribeStream", in, &older)
	return older.StreamDescription.StreamStatus, err
}

func unknownAction(err error) bool {
	var refused *RequestError
	return errors.As(err, &refused) && (refused.Code == "UnknownOperationException" || refused.Code == "InvalidAction")
}

// create makes the stream with the durability tag, and without where the endpoint refuses tags.
func (t *kinesisTarget) create(ctx context.Context, c *kinesisConn) error {
	in := map[string]any{"StreamName": t.c.Stream, "ShardCount": t.c.Shards, "Tags": map[string]string{durabilityTag: string(t.c.Ack)}}
	err := c.do(ctx, "CreateStream", in, nil)
	var refused *RequestError
	if errors.As(err, &refused) && (refused.Code == "ValidationException" || refused.Code == "SerializationException" ||
		refused.Code == "InvalidArgumentException") {
		delete(in, "Tags")
		err = c.do(ctx, "CreateStream", in, nil)
	}
	if errors.As(err, &refused) && refused.Code == errInUse {
		return nil // somebody else was faster
	}
	return err
}

func (t *kinesisTarget) sender(ctx context.Context, _ uint32, done completion) (sender, error) {
	action := "PutRecords"
	if t.c.BatchRecords == 1 {
		action = "PutRecord"
	}
	s := &kinesisSender{
		kinesisWire: kinesisWire{stream: t.c.Stream, single: action == "PutRecord", limit: t.c.BatchBytes, most: t.c.BatchRecords},
		conn:        t.conn(), done: done, action: action, head: t.call.head(action, time.Now()),
	}
	return s, s.conn.http.connect(ctx)
}

func (t *kinesisTarget) reader(context.Context) (reader, error) {
	return &kinesisReader{t: t, conn: t.conn()}, nil
}

func (t *kinesisTarget) close() error { return nil }

// kinesisConn makes calls other than those under measurement. Not for concurrent use.
type kinesisConn struct{ http httpConn }

// do calls an action. out nil: the answer does not matter.
func (c *kinesisConn) do(ctx context.Context, action string, in, out any) error {
	body, err := c.raw(ctx, action, in)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s: %w: %w", action, errJSON, err)
	}
	return nil
}

// raw calls an action and returns the reply's body, valid until the next call. A refusal is a *RequestError.
func (c *kinesisConn) raw(ctx context.Context, action string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	status, reply, err := c.http.call(ctx, action, c.http.k.head(action, time.Now()), body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	if status != 200 {
		return nil, fmt.Errorf("%s: %w", action, parseError(status, reply))
	}
	return reply, nil
}

// kinesisWire makes bodies of PutRecords and PutRecord. A record's header is 56 base64 characters of its own in the
// middle of the body, replaced in place.
type kinesisWire struct {
	stream string
	single bool
	limit  int // bytes of data and keys
	most   int // records
	body   []byte
	marks  []mark
	bytes  int
	load   int // data and keys so far
}

func (w *kinesisWire) group([]byte) uint32 { return 0 } // the endpoint routes

func (w *kinesisWire) begin(uint32) {
	w.body = append(w.body[:0], `{"StreamName":`...)
	w.body = strconv.AppendQuote(w.body, w.stream)
	if !w.single {
		w.body = append(w.body, `,"Records":[`...)
	}
	w.marks, w.bytes, w.load = w.marks[:0], 0, 0
}

func (w *kinesisWire) add(key, data []byte, first bool) (bool, error) {
	if !first && (w.load+len(key)+len(data) > w.limit || len(w.marks) == w.most) {
		return false, nil
	}
	switch {
	case w.single:
		w.body = append(w.body, `,"Data":"`...)
	case first:
		w.body = append(w.body, `{"Data":"`...)
	default:
		w.body = append(w.body, `,{"Data":"`...)
	}
	w.marks = append(w.marks, mark{at: len(w.body)})
	w.body = base64.StdEncoding.AppendEncode(w.body, data)
	w.body = append(w.body, `","PartitionKey":"`...)
	w.body = append(w.body, key...)
	w.body = append(w.body, `"}`...)
	w.bytes += len(data)
	w.load += len(data) + len(key)
	return true, nil
}

func (w *kinesisWire) finish() (*request, error) {
	if !w.single {
		w.body = append(w.body, `]}`...)
	}
	return &request{wire: append([]byte(nil), w.body...), marks: append([]mark(nil), w.marks...), bytes: w.bytes}, nil
}

func (w *kinesisWire) stamp(r *request, first uint64, intended int64) {
	var h [headerLen]byte
	for i := range r.marks {
		m := &r.marks[i]
		at := r.wire[m.at : m.at+headerLen/3*4]
		if _, err := base64.StdEncoding.Decode(h[:], at); err != nil {
			panic("BUG: a record is not where it was expected")
		}
		stampHeader(h[:], first+uint64(i), intended, m.rest)
		base64.StdEncoding.Encode(at, h[:])
	}
}

// kinesisSender sends requests one at a time: send returns when the reply is in.
type kinesisSender struct {
	kinesisWire
	conn   *kinesisConn
	done   completion
	action string
	head   []byte
	failed []int
}

// send never fails for good: an endpoint that is gone shows as errors, and the collector draws the line.
func (s *kinesisSender) send(ctx context.Context, r *request, tag uint64) error {
	status, reply, err := s.conn.http.call(ctx, s.action, s.head, r.wire)
	var why *RequestError
	switch {
	case err != nil:
	case status != 200:
		err = parseError(status, reply)
	case s.single:
		s.failed, err = s.failed[:0], parsePutRecord(reply)
	default:
		s.failed, why, err = parsePutRecords(reply, len(r.marks), s.failed)
	}
	s.done.done(tag, outcome{err: err, failed: s.failed, why: why})
	return nil
}

func (s *kinesisSender) close() error { s.conn.http.drop(); return nil }

// kinesisReader polls shards. Not for concurrent use.
type kinesisReader struct {
	t       *kinesisTarget
	conn    *kinesisConn
	scratch []byte
}

// maxShardPages bounds ListShards: 20,000 shards at 1,000 a page, all of them closed once.
const maxShardPages = 64

func (r *kinesisReader) shards(ctx context.Context) ([]shardRef, error) {
	var out []shardRef
	in := map[string]any{"StreamName": r.t.c.Stream}
	for range maxShardPages {
		var page struct {
			NextToken string
			Shards    []struct{ ShardId, ParentShardId, AdjacentParentShardId string } // AWS names
		}
		if err := r.conn.do(ctx, "ListShards", in, &page); err != nil {
			return nil, err
		}
		for _, s := range page.Shards {
			ref := shardRef{id: s.ShardId}
			for _, p := range []string{s.ParentShardId, s.AdjacentParentShardId} {
				if p != "" {
					ref.parents = append(ref.parents, p)
				}
			}
			out = append(out, ref)
		}
		if page.NextToken == "" {
			return out, nil
		}
		in = map[string]any{"NextToken": page.NextToken}
	}
	return nil, fmt.Errorf("ListShards: more than %d pages", maxShardPages)
}

func (r *kinesisReader) seek(_ context.Context, s shardRef, from start) (*cursor, error) {
	c := &cursor{shard: s}
	if from == startTail {
		c.since = r.t.since
	}
	return c, nil
}

// iterator gets the cursor's first token. Not earlier than it is used: tokens expire after five minutes.
func (r *kinesisReader) iterator(ctx context.Context, c *cursor) error {
	in := map[string]any{"StreamName": r.t.c.Stream, "ShardId": c.shard.id, "ShardIteratorType": "TRIM_HORIZON"}
	switch {
	case c.last != "":
		in["ShardIteratorType"], in["StartingSequenceNumber"] = "AFTER_SEQUENCE_NUMBER", c.last
	case !c.since.IsZero():
		in["ShardIteratorType"], in["Timestamp"] = "AT_TIMESTAMP", c.since.Unix()
	}
	var out struct{ ShardIterator string }
	if err := r.conn.do(ctx, "GetShardIterator", in, &out); err != nil {
		return err
	}
	c.token = out.ShardIterator
	return nil
}

func (r *kinesisReader) read(ctx context.Context, cur *cursor, wait time.Duration, c *checker) (int, bool, error) {
	if cur.ended {
		return 0, true, nil
	}
	if cur.token == "" {
		if err := r.iterator(ctx, cur); err != nil {
			return 0, false, err
		}
	}
	reply, err := r.conn.raw(ctx, "GetRecords", map[string]any{"ShardIterator": cur.token, "Limit": getLimit})
	var refused *RequestError
	if errors.As(err, &refused) {
		switch refused.Code {
		case errThrottled:
			pause(ctx, throttlePause)
			return 0, false, ctx.Err()
		case errExpired:
			cur.token = ""
			return 0, false, nil
		}
	}
	if err != nil {
		return 0, false, err
	}
	c.begin()
	got, scratch, err := parseGetRecords(reply, r.scratch, c.record)
	c.end()
	r.scratch = scratch
	if err != nil {
		return 0, false, fmt.Errorf("GetRecords: %w", err)
	}
	cur.token, cur.ended = got.next, got.next == ""
	if got.last != "" {
		cur.last = got.last
	}
	tail := got.records == 0 && got.behind == 0
	if tail && wait > 0 {
		pause(ctx, wait)
	}
	return got.records, tail, nil
}

func (r *kinesisReader) follow(ctx context.Context, curs []*cursor, c *checker) error {
	for ctx.Err() == nil {
		tails := 0
		for _, cur := range curs {
			_, tail, err := r.read(ctx, cur, 0, c)
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("read shard %s: %w", cur.shard.id, err)
			}
			if cur.ended {
				return nil
			}
			if tail {
				tails++
			}
		}
		if tails == len(curs) {
			pause(ctx, r.t.c.Poll)
		}
	}
	return nil
}

func (r *kinesisReader) close() error { r.conn.http.drop(); return nil }

package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/engine/lane"
)

// busyBudget is how long one Append waits in all for room in the ring before it answers CodeThrottled per record.
const busyBudget = 50 * time.Millisecond

// batchOverhead is more than a batch of one record has beyond its key and data.
const batchOverhead = batch.HeaderLen + 2*batch.Align

// Sequence is what a 56-digit sequence number says; sequence.Append writes its decimal form.
type Sequence = sequence.Number

// Record is one record to append. The slices stay the caller's; they are read before Append returns.
type Record struct {
	Key      []byte
	Data     []byte
	Explicit *hashkey.Key // routes instead of the hash of Key
}

// Appended tells where a record went, or why it did not.
type Appended struct {
	Shard    uint32 // index in the stream
	Sequence Sequence
	Err      *Error // nil: appended and at the asked level
}

// appending is the scratch of one Append call. All of it is reused; nothing in it outlives the call.
type appending struct {
	builder *batch.Builder
	pending []int32 // records still to append, in order
	again   []int32 // those whose shard was being shut, for the next round
	hashing hashkey.Many
	hashes  []hashkey.Key // by place in pending
	route   []int32       // likewise: the shard's place in the route map
	order   []int32       // pending, grouped by shard
	slot    []int32       // by place in the route map: group number + 1; all zero between rounds
	groups  []group
	maxEnd  uint64 // where the last batch appended so far ends
	budget  time.Duration
	grown   bool // the builder has built a batch of unusual length
	auto    bool // records are spread over the shards, whatever their keys
	first   uint64
}

// group is the records of one call for one shard: order[next-count:next] once they are placed.
type group struct {
	place, count, next int32
}

// appendingPool keeps scratch between calls. A sync.Pool holds no value of its own, so this is no mutable state.
type appendingPool struct{ pool sync.Pool }

func (p *appendingPool) get() *appending {
	if a, ok := p.pool.Get().(*appending); ok {
		return a
	}
	return &appending{builder: new(batch.Builder)}
}

func (p *appendingPool) put(a *appending) {
	if a.grown { // one huge record must not keep its 16 MiB for ever
		a.builder, a.grown = new(batch.Builder), false
	}
	p.pool.Put(a)
}

// Append routes each record, appends, waits for the level (raised to the stream's own), and fills out[:len(recs)], one
// per record, same order. Records of one call for one shard keep their order; where one of them fails, those behind it
// fail too. A non-nil error means nothing was appended.
//
// Where a shard is being split or merged its records wait for the children, bounded by ctx. It allocates nothing per
// record, and in the common case nothing at all.
func (s *Stream) Append(ctx context.Context, recs []Record, level Level, out []Appended) error {
	info, refused := s.accepts()
	if refused != nil {
		return refused
	}
	if refused := checkRecords(info, recs); refused != nil {
		return refused
	}
	if len(recs) == 0 {
		return nil
	}
	out = out[:len(recs)]
	a := s.e.appendings.get()
	defer s.e.appendings.put(a)
	a.begin(len(recs))
	a.distribute(s, info, len(recs))
	for {
		routes := s.routes.Load()
		s.appendRound(ctx, a, routes, info.Routing, recs, out)
		if len(a.again) == 0 {
			break
		}
		if failed := s.awaitRoutes(ctx, routes); failed != nil {
			a.failAll(a.again, out, failed)
			break
		}
		a.pending, a.again = a.again, a.pending[:0]
		slices.Sort(a.pending)
	}
	if a.maxEnd == 0 {
		return nil
	}
	if err := s.e.lane.Wait(ctx, a.maxEnd, min(level, Level(info.Durability))); err != nil {
		failed := laneError(err)
		for i := range out {
			if out[i].Err == nil {
				out[i] = Appended{Shard: out[i].Shard, Err: failed}
			}
		}
	}
	return nil
}

// checkRecords refuses a call that the transport should have refused.
func checkRecords(info *StreamInfo, recs []Record) *Error {
	for i := range recs {
		r := &recs[i]
		if n := len(r.Key); n == 0 && !info.Settings.Auto || n > batch.MaxKeyLen {
			return newError(CodeValidation, "1 validation error detected: Value at 'records.%d.member.partitionKey' failed to satisfy constraint: "+
				"Member must have length between 1 and 256", i+1)
		}
		if len(r.Key)+len(r.Data) > info.MaxRecordBytes {
			return newError(CodeValidation, "1 validation error detected: Value at 'records.%d.member.data' failed to satisfy constraint: "+
				"Member must have length less than or equal to %d", i+1, info.MaxRecordBytes)
		}
	}
	return nil
}

func (a *appending) begin(n int) {
	a.pending = slices.Grow(a.pending[:0], n)[:n]
	for i := range a.pending {
		a.pending[i] = int32(i)
	}
	a.again, a.maxEnd, a.budget = a.again[:0], 0, busyBudget
}

// appendRound tries to append a.pending with one route map. What could not be because its shard is shut is in a.again.
func (s *Stream) appendRound(ctx context.Context, a *appending, routes *routeMap, routing hashkey.Routing, recs []Record, out []Appended) {
	a.again = a.again[:0]
	if len(routes.shards) == 0 {
		panic("BUG: a stream without open shards")
	}
	a.groupBy(routes, routing, recs)
	for i := range a.groups {
		g := &a.groups[i]
		s.appendGroup(ctx, a, routes.shards[g.place], a.order[g.next-g.count:g.next], recs, out)
	}
}

// hash finds the hash keys of the pending records.
func (a *appending) hash(routing hashkey.Routing, recs []Record) {
	n := len(a.pending)
	a.hashes = slices.Grow(a.hashes[:0], n)[:n]
	a.hashing.Begin(routing, a.hashes)
	for i, at := range a.pending {
		if r := &recs[at]; r.Explicit != nil {
			a.hashes[i] = *r.Explicit
		} else {
			a.hashing.Add(i, r.Key)
		}
	}
	a.hashing.End()
}

// groupBy sorts a.pending by shard into a.order, keeping the order within a shard: one pass counts, one places.
func (a *appending) groupBy(routes *routeMap, routing hashkey.Routing, recs []Record) {
	n := len(a.pending)
	a.route = slices.Grow(a.route[:0], n)[:n]
	a.order = slices.Grow(a.order[:0], n)[:n]
	if have := len(a.slot); have < len(routes.shards) {
		a.slot = append(a.slot, make([]int32, len(routes.shards)-have)...)
	}
	a.groups = a.groups[:0]
	if a.auto {
		a.spread(routes)
	} else {
		a.hash(routing, recs)
	}
	for i := range a.pending {
		place := int32(routes.find(a.hashes[i]))
		a.route[i] = place
		if a.slot[place] == 0 {
			a.groups = append(a.groups, group{place: place})
			a.slot[place] = int32(len(a.groups))
		}
		a.groups[a.slot[place]-1].count++
	}
	start := int32(0)
	for i := range a.groups {
		a.groups[i].next = start
		start += a.groups[i].count
	}
	for i, at := range a.pending {
		g := &a.groups[a.slot[a.route[i]]-1]
		a.order[g.next] = at
		g.next++
	}
	for i := range a.groups {
		a.slot[a.groups[i].place] = 0
	}
}

// appendGroup appends the records named by places to one shard, in as few batches as they fit.
func (s *Stream) appendGroup(ctx context.Context, a *appending, sh *shard, places []int32, recs []Record, out []Appended) {
	for len(places) > 0 {
		b, n, err := a.build(sh, places, recs, s.e.batchLimit)
		if err != nil {
			a.failAll(places, out, internalError(err))
			return
		}
		t, open, failed := s.appendBuilt(ctx, a, sh, b)
		if failed != nil {
			a.failAll(places, out, failed)
			return
		}
		if !open {
			a.again = append(a.again, places...)
			return
		}
		seq := Sequence{ShardCreated: sh.created, Shard: sh.index, Position: t.Position, Seconds: t.Micros / 1e6}
		for _, at := range places[:n] { // field by field: a whole Appended goes through a copy on the stack
			o := &out[at]
			o.Shard, o.Sequence, o.Err = sh.index, seq, nil
			seq.Position++
		}
		a.maxEnd = max(a.maxEnd, t.End)
		places = places[n:]
	}
}

// build makes a batch of as many of the records as fit and returns how many. The batch is the builder's. A record that
// no ordinary batch holds gets one of its own.
func (a *appending) build(sh *shard, places []int32, recs []Record, limit int) (batch.Batch, int, error) {
	if r := &recs[places[0]]; len(r.Key)+len(r.Data) > limit-batchOverhead {
		a.grown, limit, places = true, batch.MaxLen, places[:1]
	}
	a.builder.Reset(sh.id, batch.BuildOptions{MaxLen: limit})
	n := 0
	for ; n < len(places); n++ {
		r := &recs[places[n]]
		var err error
		if r.Explicit != nil {
			err = a.builder.AppendExplicit(r.Key, r.Data, *r.Explicit)
		} else {
			err = a.builder.Append(r.Key, r.Data)
		}
		if err != nil && n == 0 {
			return nil, 0, err
		}
		if err != nil { // full, or too large for this one: the next batch takes it
			break
		}
	}
	b, err := a.builder.Finish()
	return b, n, err
}

// appendBuilt appends one batch. open is false where the shard has been shut: try again with a newer route map.
func (s *Stream) appendBuilt(ctx context.Context, a *appending, sh *shard, b batch.Batch) (t Ticket, open bool, failed *Error) {
	for {
		if !sh.enter() {
			return Ticket{}, false, nil
		}
		t, err := s.e.lane.Append(sh.id, b)
		if err == nil {
			sh.note(t.End)
		}
		sh.leave()
		switch {
		case err == nil:
			return t, true, nil
		case !errors.Is(err, lane.ErrBusy):
			return Ticket{}, true, laneError(err)
		case !s.awaitSpace(ctx, a, len(b)):
			return Ticket{}, true, throttled(s.name, sh.index)
		}
	}
}

// awaitSpace waits for room for n bytes, as long as this call may still wait. The shard is not held meanwhile.
func (s *Stream) awaitSpace(ctx context.Context, a *appending, n int) bool {
	if a.budget <= 0 {
		return false
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, a.budget)
	err := s.e.lane.WaitSpace(ctx, n)
	cancel()
	a.budget -= max(time.Since(start), time.Microsecond) // never endless, whatever the clock says
	return err == nil
}

// awaitRoutes waits until a control operation that shut one of the map's shards is over.
func (s *Stream) awaitRoutes(ctx context.Context, routes *routeMap) *Error {
	select {
	case <-routes.superseded:
	case <-ctx.Done():
		return internalError(ctx.Err())
	case <-s.e.broken.Done():
		return s.e.failed.Load()
	}
	if _, err := s.accepts(); err != nil {
		return err
	}
	return nil
}

// failAll gives the records named by places an error.
func (a *appending) failAll(places []int32, out []Appended, err *Error) {
	for _, at := range places {
		out[at] = Appended{Err: err}
	}
}

// AppendBatch appends a ready-made batch that passed batch.Check to the open shard whose lane id it names. It never blocks
// and allocates nothing; the caller waits through Observe. CodeStaleRoute: the shard is not open here (any more), fetch
// the shards anew; CodeThrottled: the ring is full; CodeNotFound; CodeStopped.
func (s *Stream) AppendBatch(b batch.Batch) (Ticket, error) {
	if len(b) < batch.HeaderLen || b.Records() == 0 || b.Records() > b.Len() {
		return Ticket{}, errBatchShape
	}
	if _, refused := s.accepts(); refused != nil {
		return Ticket{}, refused
	}
	sh := s.e.shards.get(b.Shard())
	if sh == nil || sh.s != s || !sh.enter() {
		return Ticket{}, errStaleRoute
	}
	t, err := s.e.lane.Append(sh.id, b)
	if err == nil {
		sh.note(t.End)
	}
	sh.leave()
	if err == nil {
		return t, nil
	}
	if errors.Is(err, lane.ErrBusy) {
		return Ticket{}, errRingFull
	}
	return Ticket{}, laneError(err)
}

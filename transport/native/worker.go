package native

import (
	"context"
	"sync"
	"time"

	"github.com/valyala/bytebufferpool"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

type jobKind uint8

const (
	jobFetch     jobKind = iota // find the start, read
	jobPush                     // read
	jobSubscribe                // find the starts
	jobOpen                     // look up or create a stream
)

// job is something that may wait for a disk. A worker does it and gives it back to the session's loop, which finishes it.
type job struct {
	kind     jobKind
	s        *session
	f        *fetch
	sub      *subscription
	subShard *subShard
	open     *openRequest

	st       *engine.Stream
	level    engine.Level
	shard    uint32
	fromKind frame.FromKind
	value    uint64
	resolved bool // from is known
	from     uint64
	limit    int
	op       frame.Op
	corr     uint32
	handle   uint32

	buf  *bytebufferpool.ByteBuffer // holds out, unless out has outgrown it
	out  []byte
	next uint64
	end  bool
	seen uint64
	err  error
}

// workers is a queue and a fixed number of goroutines. The queue is bounded by what sessions may have under way: each
// maxColdReads reads, maxOpens streams and maxSubscriptions subscriptions.
type workers struct {
	srv  *Server
	wg   sync.WaitGroup
	free sync.Pool

	mu     sync.Mutex
	more   sync.Cond
	queue  []*job // guarded by mu; served from head
	head   int
	closed bool
}

func startWorkers(s *Server, n int) *workers {
	w := &workers{srv: s, free: sync.Pool{New: func() any { return new(job) }}}
	w.more.L = &w.mu
	for range n {
		w.wg.Go(w.run)
	}
	return w
}

func (w *workers) newJob() *job { return w.free.Get().(*job) }

// submit queues a job. It does not block.
func (w *workers) submit(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if 2*w.head >= len(w.queue) { // at least as much was taken as is copied
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	w.queue = append(w.queue, j)
	w.more.Signal()
}

func (w *workers) take() *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.head == len(w.queue) && !w.closed {
		w.more.Wait()
	}
	if w.closed {
		return nil
	}
	j := w.queue[w.head]
	w.queue[w.head] = nil
	w.head++
	return j
}

func (w *workers) run() {
	for j := w.take(); j != nil; j = w.take() {
		j.do(w.srv)
		l := j.s.loop
		l.mu.Lock()
		l.results = append(l.results, j)
		l.mu.Unlock()
		l.wake()
	}
}

// close drops what is queued and waits for what is being done.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.more.Broadcast()
	w.mu.Unlock()
	w.wg.Wait()
}

// do runs on a worker.
func (j *job) do(srv *Server) {
	switch j.kind {
	case jobOpen:
		j.open.do(srv)
	case jobSubscribe:
		j.sub.resolve(j)
	case jobFetch, jobPush:
		srv.coldReads.Add(1)
		if !j.resolved {
			j.from, j.err = seek(j.st, j.shard, j.fromKind, j.value)
		}
		if j.err != nil {
			return
		}
		j.seen = visible(srv.o.Engine.Watermarks(), j.level)
		j.buf = srv.bufs.get(deliverPrefix + j.limit)
		j.out = frame.AppendDeliverPrefix(j.buf.B, j.op, j.corr, j.handle, j.shard)
		j.out, j.next, j.end, j.err = j.st.ReadBatches(j.out, j.shard, j.from, j.limit)
	}
}

// finish runs on the session's loop.
func (j *job) finish(l *loop) {
	s := j.s
	switch j.kind {
	case jobOpen:
		s.opens--
		s.opened(j.open)
	case jobSubscribe:
		j.sub.started(j.err)
	case jobFetch:
		s.cold--
		j.f.coldRead(j)
		s.serveParked()
	case jobPush:
		s.cold--
		j.sub.coldRead(j)
		s.serveParked()
	}
	if j.buf != nil {
		l.srv.bufs.put(j.buf)
	}
	*j = job{}
	l.srv.work.free.Put(j)
}

// seek finds the position that a reader means.
func seek(st *engine.Stream, shard uint32, kind frame.FromKind, value uint64) (uint64, error) {
	switch kind {
	case frame.FromPosition:
		return value, nil
	case frame.FromLatest:
		return st.Seek(shard, engine.Latest, 0, time.Time{})
	case frame.FromMicros:
		return st.Seek(shard, engine.AtTimestamp, 0, time.UnixMicro(int64(value)))
	}
	return st.Seek(shard, engine.TrimHorizon, 0, time.Time{})
}

// resolve finds where the shards of a subscription start. It runs on a worker; the loop leaves the shards alone until
// the job is finished.
func (p *subscription) resolve(j *job) {
	info := p.st.Info()
	known := make(map[uint32]bool, len(info.Shards))
	for i := range info.Shards {
		known[info.Shards[i].ID] = true
	}
	for i := range p.shards {
		sh := &p.shards[i]
		if !known[sh.id] {
			j.err = errNoShard
			return
		}
		if sh.from, j.err = seek(p.st, sh.id, p.kind, p.value); j.err != nil {
			return
		}
	}
}

// openRequest is an OPEN under way.
type openRequest struct {
	corr   uint32
	create *engine.CreateStream // nil: the stream must exist
	name   engine.Name

	st  *engine.Stream
	err error
}

// do runs on a worker.
func (r *openRequest) do(srv *Server) {
	r.st, r.err = srv.o.Engine.Stream(r.name)
	if r.create == nil || codeOf(r.err) != frame.CodeNotFound {
		return
	}
	err := srv.o.Engine.CreateStream(context.Background(), *r.create)
	if err != nil && codeOf(err) != frame.CodeInUse { // in use: somebody else was faster, which is as good
		r.err = err
		return
	}
	r.st, r.err = srv.o.Engine.Stream(r.name)
}

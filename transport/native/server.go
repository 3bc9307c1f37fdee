package native

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// Server accepts connections and serves them until Close. Its methods may be called concurrently.
type Server struct {
	o    Options
	ln   net.Listener
	gnet *gnet.Client // the event loops; see the package comment for why not gnet's server
	bufs buffers
	work *workers

	observing atomic.Bool
	observer  sync.Mutex // guards turning observing on
	unobserve func()     // set before observing

	loops     atomic.Pointer[[]*loop] // those that have had a connection; replaced as a whole under mu
	sessions  atomic.Int64
	producers atomic.Uint64
	draining  atomic.Bool

	refused, slow, heldFrames, coldReads, wakes atomic.Uint64 // see Stats

	rearm   chan struct{} // tells the alarm that a loop's due time moved forward
	stop    chan struct{}
	wg      sync.WaitGroup // acceptor, alarm
	closing sync.Once

	mu      sync.RWMutex // guards the following and the replacement of loops
	stopped bool         // no more wake-ups: gnet's pollers are about to go
}

// Listen opens the address and starts serving. Errors: an option out of range, or the address cannot be listened on.
func Listen(o Options) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	ln, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	s := &Server{o: o, ln: ln, rearm: make(chan struct{}, 1), stop: make(chan struct{})}
	s.loops.Store(new([]*loop))
	s.producers.Store(uint64(time.Now().Unix()) << 24)
	s.gnet, err = gnet.NewClient(&handler{srv: s},
		gnet.WithNumEventLoop(o.Loops),
		gnet.WithReadBufferCap(o.ReadBuffer),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithTCPKeepAlive(time.Minute),
		gnet.WithLogger(quiet{o.Log}))
	if err == nil {
		err = s.gnet.Start()
	}
	if err != nil {
		_ = ln.Close() // nothing was served yet
		return nil, fmt.Errorf("native: start event loops: %w", err)
	}
	s.work = startWorkers(s, o.Workers)
	s.wg.Go(s.accept)
	s.wg.Go(s.alarm)
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Stats are counts since the server started, except Sessions.
type Stats struct {
	Sessions    int64  // connections now
	Refused     uint64 // connections ended with an error frame, whatever the reason
	SlowReaders uint64 // of those, for not reading what they asked for
	Held        uint64 // PRODUCE frames that had to wait for room in the ring
	Cold        uint64 // reads that went to a worker
	Wakes       uint64 // times a loop was woken by a commit, a worker or a deadline
}

// Stats returns the server's counts.
func (s *Server) Stats() Stats {
	return Stats{Sessions: s.sessions.Load(), Refused: s.refused.Load(), SlowReaders: s.slow.Load(), Held: s.heldFrames.Load(),
		Cold: s.coldReads.Load(), Wakes: s.wakes.Load()}
}

// Close stops accepting, tells clients to go away, waits at most Options.DrainTimeout for acknowledgements under way,
// closes all connections and waits for every goroutine. Idempotent; later calls return ErrClosed.
func (s *Server) Close() error {
	err := ErrClosed
	s.closing.Do(func() { err = s.close() })
	return err
}

func (s *Server) close() error {
	lnErr := s.ln.Close()
	s.draining.Store(true)
	deadline := time.Now().Add(s.o.DrainTimeout)
	for _, l := range *s.loops.Load() {
		l.goAway.Store(true)
		l.wake()
	}
	for time.Now().Before(deadline) && !s.drained() {
		time.Sleep(time.Millisecond)
	}
	close(s.stop)
	s.wg.Wait() // no connection is enrolled and no alarm rings from here on
	s.work.close()
	if s.observing.Load() {
		s.unobserve()
	}
	s.mu.Lock()
	s.stopped = true // a wake-up after this would write to a descriptor number that gnet has closed
	s.mu.Unlock()
	if err := s.gnet.Stop(); err != nil {
		return fmt.Errorf("native: stop event loops: %w", err)
	}
	if lnErr != nil {
		return fmt.Errorf("native: close listener: %w", lnErr)
	}
	return nil
}

func (s *Server) drained() bool {
	for _, l := range *s.loops.Load() {
		if l.goAway.Load() || l.unacked.Load() > 0 {
			return false
		}
	}
	return true
}

// accept enrolls connections in the loops until the listener is closed.
func (s *Server) accept() {
	for {
		c, err := s.ln.Accept()
		switch {
		case err == nil:
			s.enroll(c)
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, most likely: others are still served, and this may pass
			s.o.Log.Warn("native: accept", slog.Any("error", err))
			select {
			case <-time.After(10 * time.Millisecond):
			case <-s.stop:
				return
			}
		}
	}
}

func (s *Server) enroll(c net.Conn) {
	if s.sessions.Add(1) > int64(s.o.MaxSessions) {
		s.sessions.Add(-1)
		s.refused.Add(1)
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, _ = c.Write(frame.AppendError(nil, 0, 0, frame.CodeTooManySessions, "too many connections"))
		_ = c.Close() // the refusal is a courtesy; whether it arrives changes nothing
		return
	}
	// EnrollContext closes c in any case: the loop works on a duplicate of its descriptor.
	if _, err := s.gnet.EnrollContext(c, newSession(s)); err != nil {
		s.sessions.Add(-1)
		s.o.Log.Warn("native: enroll connection", slog.Any("error", err))
	}
}

// loopOf finds, or makes, what we keep beside one of gnet's loops.
func (s *Server) loopOf(el gnet.EventLoop) *loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.loops.Load()
	for _, l := range old {
		if l.el == el {
			return l
		}
	}
	l := newLoop(s, el)
	next := append(old[:len(old):len(old)], l)
	s.loops.Store(&next)
	return l
}

// listen makes group commits wake the loops, from the first time on that a loop waits for one: an engine without files,
// which nobody listens to, spares itself telling.
func (s *Server) listen() {
	if s.observing.Load() {
		return
	}
	s.observer.Lock()
	defer s.observer.Unlock()
	if !s.observing.Load() {
		s.unobserve = s.o.Engine.Observe(s.observe)
		s.observing.Store(true)
	}
}

// observe runs on the goroutines of the engine's group commit.
func (s *Server) observe(m engine.Watermarks) {
	for _, l := range *s.loops.Load() {
		l.observe(m)
	}
}

// alarm wakes each loop when its earliest deadline is due. One goroutine serves all loops and any number of deadlines.
func (s *Server) alarm() {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		now, next := time.Now().UnixNano(), int64(never)
		for _, l := range *s.loops.Load() {
			due := l.due.Load()
			if due <= now {
				// The loop sets its next due time when it has run; until then this one must not ring again.
				if l.due.CompareAndSwap(due, never) {
					l.wake()
				}
				continue
			}
			next = min(next, due)
		}
		wait := time.Hour
		if next != never {
			wait = time.Duration(next - now)
		}
		t.Reset(wait)
		select {
		case <-s.stop:
			return
		case <-s.rearm:
		case <-t.C:
		}
	}
}

// handler is what gnet calls; each connection's context is its session.
type handler struct {
	gnet.BuiltinEventEngine
	srv *Server
}

func (h *handler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	s := c.Context().(*session)
	s.open(c, h.srv.loopOf(c.EventLoop()))
	return nil, gnet.None
}

func (h *handler) OnTraffic(c gnet.Conn) gnet.Action {
	s := c.Context().(*session)
	b, err := c.Next(-1) // everything: what stays behind would be copied by gnet
	if err != nil {
		return gnet.Close
	}
	return s.traffic(b)
}

func (h *handler) OnClose(c gnet.Conn, err error) gnet.Action {
	c.Context().(*session).onClose(err)
	return gnet.None
}

// quiet hands gnet's warnings and errors to the server's log and drops the rest.
type quiet struct{ log *slog.Logger }

func (quiet) Debugf(string, ...any) {}
func (quiet) Infof(string, ...any)  {}
func (q quiet) Warnf(format string, args ...any) {
	q.log.Warn("gnet: " + fmt.Sprintf(format, args...))
}

func (q quiet) Errorf(format string, args ...any) {
	q.log.Error("gnet: " + fmt.Sprintf(format, args...))
}

func (q quiet) Fatalf(format string, args ...any) { q.Errorf(format, args...) }

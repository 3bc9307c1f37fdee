package native

import (
	"log/slog"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/valyala/bytebufferpool"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

type state uint8

const (
	stateHello  state = iota // nothing said yet
	stateAuth                // HELLO answered, AUTH outstanding
	stateReady               //
	stateLinger              // refused: what it sends is dropped until it has read why, or the deadline
)

// stream is what a handle stands for.
type stream struct {
	st    *engine.Stream
	id    uint32
	floor engine.Level // the stream's durability: no append is acknowledged below it
}

// session is one connection. All of it is touched on its loop's goroutine only.
type session struct {
	srv  *Server
	loop *loop
	conn gnet.Conn

	state    state
	closed   bool // the connection is gone; release follows
	inAcking bool // in loop.acking
	inStuck  bool // in loop.stuck
	deadline time.Time
	name     string
	account  string // of the access key; empty without AUTH
	nonce    [frame.NonceLen]byte
	maxIn    int // largest len field taken
	maxOut   int // largest len field sent

	// A frame that has not arrived whole: its header while that is incomplete, then everything, in a buffer of its size.
	head  [frame.HeaderLen]byte
	headN int
	stage *bytebufferpool.ByteBuffer

	streams  []stream // handle-1 is the index
	credit   int      // bytes of PRODUCE frames it may have in flight
	inflight int
	acks     ackQueue
	held     []heldFrame // PRODUCE frames that wait for room in the ring, in order; within the credit
	fetches  int         // unanswered
	parked   []*fetch    // of those, the ones that wait for room in the outbound buffer or for another cold read
	cold     int         // reads on workers
	opens    int         // unanswered
	subs     []*subscription
}

func newSession(s *Server) *session {
	return &session{srv: s, maxIn: frame.MaxFrameBeforeAuth, maxOut: frame.MaxFrameBeforeAuth,
		deadline: time.Now().Add(s.o.AuthTimeout)}
}

// open is called when the loop has taken the connection over.
func (s *session) open(c gnet.Conn, l *loop) {
	s.conn, s.loop = c, l
	l.sessions[s] = struct{}{}
	l.young = append(l.young, s)
	l.at(s.deadline)
}

// onClose is called by gnet, possibly in the middle of a write of ours.
func (s *session) onClose(err error) {
	if s.closed {
		return
	}
	s.closed = true
	s.srv.sessions.Add(-1)
	s.srv.o.Log.Debug("native: connection closed", slog.String("client", s.name), slog.Any("error", err))
	if s.loop != nil {
		s.loop.dead = append(s.loop.dead, s)
		s.loop.wake()
	}
}

// release gives back everything the session holds.
func (s *session) release() {
	if s.stage != nil {
		s.srv.bufs.put(s.stage)
		s.stage = nil
	}
	for i := range s.held {
		s.srv.bufs.put(s.held[i].buf)
	}
	for _, sub := range s.subs {
		sub.closed = true
	}
	s.held, s.subs, s.parked, s.acks = nil, nil, nil, ackQueue{}
}

// traffic takes what was read from the connection. b is the loop's read buffer: valid during the call.
func (s *session) traffic(b []byte) gnet.Action {
	if s.state == stateLinger {
		return gnet.None
	}
	s.loop.spins = 0
	s.loop.refresh()
	s.loop.out = s.loop.out[:0]
	s.feed(b)
	if s.closed {
		return gnet.None
	}
	s.endPass()
	return gnet.None
}

// endPass writes the replies of the pass, and sees to it that the loop hears of the commit that the first unanswered
// PRODUCE waits for.
func (s *session) endPass() {
	l := s.loop
	for {
		l.out = s.completeAcks(l.out)
		s.flush()
		if s.closed || s.acks.n == 0 {
			return
		}
		if !s.inAcking {
			s.inAcking = true
			l.acking = append(l.acking, s)
		}
		if !l.armFor(s) {
			return
		}
	}
}

// feed cuts the bytes into frames. Whole frames are served where they lie; the rest of the last one is staged.
func (s *session) feed(b []byte) {
	if s.stage != nil || s.headN > 0 {
		b = s.fillStage(b)
	}
	for len(b) >= frame.HeaderLen && s.alive() {
		h := frame.ParseHeader(b)
		if !s.lengthOK(&h) {
			return
		}
		size := h.Size()
		if size > len(b) {
			break
		}
		s.serve(&h, b[frame.HeaderLen:size:size])
		b = b[size:]
	}
	if len(b) > 0 && s.alive() {
		s.startStage(b)
	}
}

// alive tells whether more of the input is to be looked at.
func (s *session) alive() bool { return !s.closed && s.state != stateLinger }

func (s *session) lengthOK(h *frame.Header) bool {
	switch {
	case h.Len < frame.MinLen:
		s.refuse(h.Corr, frame.CodeMalformed, "frame is shorter than its header")
	case int64(h.Len) > int64(s.maxIn):
		s.refuse(h.Corr, frame.CodeOversized, "frame exceeds the negotiated maximum")
	default:
		return true
	}
	return false
}

// startStage keeps the beginning of a frame. It is shorter than that frame.
func (s *session) startStage(b []byte) {
	if len(b) < frame.HeaderLen {
		s.headN = copy(s.head[:], b)
		return
	}
	h := frame.ParseHeader(b)
	s.stage = s.srv.bufs.get(h.Size())
	s.stage.B = append(s.stage.B, b...)
}

// fillStage completes the staged frame from b, serves it if it is whole, and returns what b holds beyond it.
func (s *session) fillStage(b []byte) []byte {
	if s.stage == nil {
		n := copy(s.head[s.headN:], b)
		s.headN += n
		b = b[n:]
		if s.headN < frame.HeaderLen {
			return nil
		}
		h := frame.ParseHeader(s.head[:])
		if !s.lengthOK(&h) {
			return nil
		}
		s.headN = 0
		s.stage = s.srv.bufs.get(h.Size())
		s.stage.B = append(s.stage.B, s.head[:]...)
	}
	h := frame.ParseHeader(s.stage.B)
	n := min(h.Size()-len(s.stage.B), len(b))
	s.stage.B = append(s.stage.B, b[:n]...)
	if len(s.stage.B) == h.Size() {
		s.serve(&h, s.stage.B[frame.HeaderLen:])
		s.srv.bufs.put(s.stage) // release, should the session have been closed meanwhile, comes later, in reap
		s.stage = nil
	}
	return b[n:]
}

// serve handles one frame. body is valid during the call.
func (s *session) serve(h *frame.Header, body []byte) {
	if h.Flags != 0 {
		s.refuse(h.Corr, frame.CodeMalformed, "request has flags set")
		return
	}
	if s.state != stateReady && h.Op != frame.OpHello && h.Op != frame.OpAuth && h.Op != frame.OpPing {
		s.refuse(h.Corr, frame.CodeUnauthenticated, "say HELLO, and AUTH where asked to, first")
		return
	}
	if h.Version != 0 {
		s.reject(h, frame.CodeUnknownOp, "unknown version of "+h.Op.String())
		return
	}
	switch h.Op {
	case frame.OpProduce:
		s.produce(h, body)
	case frame.OpFetch:
		s.fetch(h, body)
	case frame.OpCredit:
		s.addCredit(h, body)
	case frame.OpSubscribe:
		s.subscribe(h, body)
	case frame.OpUnsubscribe:
		s.unsubscribe(h, body)
	case frame.OpOpen:
		s.openStream(h, body)
	case frame.OpPing:
		s.ping(h, body)
	case frame.OpHello:
		s.hello(h, body)
	case frame.OpAuth:
		s.auth(h, body)
	default:
		s.reject(h, frame.CodeUnknownOp, "unknown operation")
	}
}

func (s *session) ping(h *frame.Header, body []byte) {
	payload, err := frame.DecodePing(body)
	if err != nil {
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	}
	s.loop.out = frame.AppendPing(s.loop.out, frame.FlagResponse, h.Corr, payload)
}

// stream returns what a handle stands for, nil for one that no OPEN answered.
func (s *session) stream(handle uint32) *stream {
	if i := handle - 1; i < uint32(len(s.streams)) {
		return &s.streams[i]
	}
	return nil
}

// reject answers a request with an error; the session goes on.
func (s *session) reject(h *frame.Header, code frame.Code, message string) {
	s.loop.out = frame.AppendError(s.loop.out, h.Corr, h.Handle, code, message)
}

// refuse ends the session with an error that its client gets to read: closing at once, with bytes of the client unread,
// would reset the connection and might take the error with it.
func (s *session) refuse(corr uint32, code frame.Code, message string) {
	if !s.alive() {
		return
	}
	l := s.loop
	s.srv.refused.Add(1)
	s.srv.o.Log.Info("native: session refused", slog.String("client", s.name), slog.String("code", code.String()),
		slog.String("reason", message))
	l.out = s.completeAcks(l.out)
	l.out = frame.AppendError(l.out, corr, 0, code, message)
	s.flush()
	if s.closed {
		return
	}
	if s.state == stateReady {
		l.young = append(l.young, s)
	}
	s.state = stateLinger
	for _, sub := range s.subs {
		sub.closed = true
	}
	s.deadline = time.Now().Add(lingerFor)
	l.at(s.deadline)
	if s.conn.OutboundBuffered() == 0 {
		shutdownWrite(s.conn)
	}
}

// overdue is called when the deadline of a session that is not ready has passed.
func (s *session) overdue() {
	if s.state != stateLinger {
		s.loop.out = s.loop.out[:0]
		s.refuse(0, frame.CodeAuthTimeout, "no valid HELLO and AUTH in time")
		return
	}
	s.abort()
}

// abort closes the connection at once.
func (s *session) abort() {
	if err := s.loop.el.Close(s.conn); err != nil {
		s.srv.o.Log.Debug("native: close connection", slog.Any("error", err))
	}
}

// flush writes the replies gathered in loop.out and empties it.
func (s *session) flush() {
	out := s.loop.out
	s.loop.out = out[:0]
	s.write(out)
}

// write sends b; what the socket does not take is copied by gnet. It may close the session.
func (s *session) write(b []byte) {
	if len(b) == 0 || s.closed {
		return
	}
	if _, err := s.conn.Write(b); err != nil || s.closed {
		return // gnet has closed the connection and told onClose
	}
	if s.conn.OutboundBuffered() > outboundHard+s.maxOut && s.state != stateLinger {
		s.srv.refused.Add(1)
		s.srv.slow.Add(1)
		s.srv.o.Log.Info("native: session cut: client does not read", slog.String("client", s.name))
		// Whether or not there is room, this is the last the client gets.
		_, _ = s.conn.Write(frame.AppendError(nil, 0, 0, frame.CodeSlowReader, "client does not read its responses"))
		if !s.closed {
			s.abort()
		}
	}
}

// congested tells whether the client has so much to read still that it gets no more batches for now.
func (s *session) congested() bool { return s.conn.OutboundBuffered() > outboundLimit }

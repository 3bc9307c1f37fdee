package nativeclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/shardmill/shardmill/codec/frame"
)

// Options configure a Client. The zero value of each field except Addr is its default.
type Options struct {
	Addr                 string // host:port
	AccessKey, SecretKey string // empty: the server asks for none
	Name                 string // shown in the server's log
	MaxFrame             int    // largest frame taken, in bytes; default frame.DefaultMaxFrame
	InFlight             int    // bytes of PRODUCE frames in flight; default 4 MiB, at most what the server grants
}

const (
	defaultInFlight = 4 << 20
	// dialTimeout bounds Dial where its context does not.
	dialTimeout = 10 * time.Second
)

func (o *Options) setDefaults() {
	if o.MaxFrame == 0 {
		o.MaxFrame = frame.DefaultMaxFrame
	}
	if o.InFlight == 0 {
		o.InFlight = defaultInFlight
	}
}

// Validate reports an option that makes no sense.
func (o *Options) Validate() error {
	switch {
	case o.Addr == "":
		return errors.New("nativeclient: option Addr is empty")
	case o.MaxFrame != 0 && (o.MaxFrame < frame.MinMaxFrame || o.MaxFrame > frame.HardMaxFrame):
		return fmt.Errorf("nativeclient: option MaxFrame is %d, not within %d..%d", o.MaxFrame, frame.MinMaxFrame, frame.HardMaxFrame)
	case o.InFlight < 0 || o.InFlight > 1<<30:
		return fmt.Errorf("nativeclient: option InFlight is %d, not within 0..%d", o.InFlight, 1<<30)
	case len(o.AccessKey) > frame.MaxAccessKey || len(o.Name) > frame.MaxName:
		return errors.New("nativeclient: option AccessKey or Name is too long")
	}
	return nil
}

// Client is one connection. Its methods may be called concurrently.
type Client struct {
	o        Options
	conn     net.Conn
	maxFrame int // largest len field the server takes
	budget   budget
	buffers  deliveryBuffers
	dead     chan struct{} // closed once the reader is done: err is set and everything pending has been failed
	wg       sync.WaitGroup

	mu      sync.Mutex // guards the following
	err     error      // why the connection ended; nothing is queued any more
	goAway  bool
	corr    uint32
	acks    ackQueue                 // PRODUCE frames not yet acknowledged, in the order they were queued
	calls   map[uint32]*call         // other requests, by corrID
	subs    map[uint32]*Subscription // by the corrID of their SUBSCRIBE
	writing bool                     // somebody has the role of the writer
	queue   []byte                   // frames that wait for the writer; within the budget, plus requests of callers that wait

	// The rest belongs to whoever has the role of the writer.
	spare  []byte
	prefix [frame.HeaderLen + frame.PrefixLen]byte
	iov    [2][]byte
	bufs   net.Buffers
	kick   chan struct{} // hands the role to the writing goroutine
}

// Dial connects and introduces itself. Errors: the network's, ctx's, a *ServerError where the server refuses (ErrAuth for
// a wrong key), ErrProtocol.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("nativeclient: %w", err)
	}
	c := &Client{o: o, conn: conn, dead: make(chan struct{}), kick: make(chan struct{}, 1),
		calls: make(map[uint32]*call), subs: make(map[uint32]*Subscription)}
	// A context that ends makes the reads and writes of the introduction fail at once.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	r := newFrameReader(conn)
	err = c.introduce(r)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // the introduction's error is the one to tell
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("nativeclient: connect to %s: %w", o.Addr, err)
	}
	c.wg.Go(func() { c.read(r) })
	c.wg.Go(c.write)
	return c, nil
}

// introduce says HELLO and, where asked to, AUTH.
func (c *Client) introduce(r *frameReader) error {
	hello := frame.Hello{MinVersion: frame.Version, MaxVersion: frame.Version, MaxFrame: uint32(c.o.MaxFrame),
		Credit: uint32(c.o.InFlight), Name: []byte(c.o.Name)}
	body, err := c.exchange(r, frame.OpHello, frame.AppendHello(nil, 1, &hello))
	if err != nil {
		return err
	}
	w, err := frame.DecodeWelcome(body)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	case w.Version != frame.Version:
		return fmt.Errorf("%w: server chose version %d", ErrProtocol, w.Version)
	}
	c.maxFrame = int(w.MaxFrame)
	c.budget.init(min(c.o.InFlight, int(w.Credit)))
	if !w.AuthRequired {
		return nil
	}
	mac := frame.Sum(c.o.SecretKey, &w.Nonce, []byte(c.o.AccessKey))
	if body, err = c.exchange(r, frame.OpAuth, frame.AppendAuth(nil, 2, c.o.AccessKey, mac)); err != nil {
		return err
	}
	return frame.DecodeEmpty(frame.OpAuth, body)
}

// exchange sends one request and returns the body of its response, before the goroutines run.
func (c *Client) exchange(r *frameReader, op frame.Op, request []byte) ([]byte, error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	h, err := r.header(c.o.MaxFrame)
	if err != nil {
		return nil, err
	}
	body, err := r.body(&h)
	if err != nil {
		return nil, err
	}
	switch {
	case h.Op == frame.OpError:
		return nil, decodeServerError(body)
	case h.Op != op || h.Flags&frame.FlagResponse == 0:
		return nil, fmt.Errorf("%w: %s instead of %s", ErrProtocol, h.Op, op)
	}
	return body, nil
}

func decodeServerError(body []byte) error {
	f, err := frame.DecodeError(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return &ServerError{Code: f.Code, Message: string(f.Message)}
}

// Close ends the connection and waits until everything pending has failed with ErrClosed. Idempotent.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.wg.Wait()
	return nil
}

// Err is nil while the connection lives, and then why it ended: ErrClosed after Close.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done is closed when the connection has ended and everything pending has failed.
func (c *Client) Done() <-chan struct{} { return c.dead }

// fail ends the connection; the first reason stays. The reader fails what is pending.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	_ = c.conn.Close() // whatever it says, the connection is of no more use
}

// Ping waits for an echo of the server.
func (c *Client) Ping(ctx context.Context) error {
	cl, err := c.do(ctx, frame.OpPing, func(dst []byte, corr uint32) []byte { return frame.AppendPing(dst, 0, corr, nil) })
	if err != nil {
		return err
	}
	c.freeCall(cl)
	return nil
}

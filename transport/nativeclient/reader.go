package nativeclient

import (
	"fmt"

	"github.com/shardmill/shardmill/codec/frame"
)

// read is the reading goroutine: it completes what comes back until the connection ends, and then fails what is pending.
func (c *Client) read(r *frameReader) {
	for {
		if err := c.readFrame(r); err != nil {
			c.fail(fmt.Errorf("nativeclient: connection to %s: %w", c.o.Addr, err))
			break
		}
	}
	c.failPending()
	close(c.dead)
}

func (c *Client) readFrame(r *frameReader) error {
	h, err := r.header(c.o.MaxFrame)
	if err != nil {
		return err
	}
	if h.Op == frame.OpFetch || h.Op == frame.OpDeliver {
		return c.readDelivery(r, &h)
	}
	body, err := r.body(&h)
	if err != nil {
		return err
	}
	switch h.Op {
	case frame.OpAck:
		return c.ack(&h, body)
	case frame.OpError:
		return c.serverError(&h, body)
	case frame.OpGoAway:
		if _, err := frame.DecodeGoAway(body); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		c.mu.Lock()
		c.goAway = true
		c.mu.Unlock()
		return nil
	case frame.OpPing, frame.OpUnsubscribe, frame.OpSubscribe:
		c.complete(&h, nil, nil)
		return nil
	case frame.OpOpen:
		o, err := frame.DecodeOpened(body)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		c.opened(&h, &o)
		return nil
	}
	return fmt.Errorf("%w: unexpected %s", ErrProtocol, h.Op)
}

// ack completes the oldest PRODUCE frame.
func (c *Client) ack(h *frame.Header, body []byte) error {
	a, err := frame.DecodeAck(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	c.mu.Lock()
	if c.acks.n == 0 || c.acks.first().corr != h.Corr || a.Len() != 1 {
		c.mu.Unlock()
		return fmt.Errorf("%w: ACK out of order", ErrProtocol)
	}
	p := c.acks.pop()
	c.mu.Unlock()
	c.budget.release(p.size)
	res := a.At(0)
	out := Ack{Position: res.Position, Micros: res.Micros}
	if res.Code != frame.OK {
		out = Ack{Err: codeError(res.Code)}
	}
	p.done.Done(p.tag, out)
	return nil
}

// codeError is the error of a result that comes without a message.
func codeError(code frame.Code) error { return &ServerError{Code: code} }

func (c *Client) serverError(h *frame.Header, body []byte) error {
	err := decodeServerError(body)
	se, ok := err.(*ServerError) //nolint:errorlint // decodeServerError returns it unwrapped or not at all
	if !ok {
		return err
	}
	if se.Code.Fatal() {
		return se
	}
	c.mu.Lock()
	sub := c.subs[h.Corr]
	c.mu.Unlock()
	if !c.complete(h, se, nil) && sub != nil {
		sub.end(se)
	}
	return nil
}

// readDelivery reads batches into a buffer of their own and gives them to whoever asked for them.
func (c *Client) readDelivery(r *frameReader, h *frame.Header) error {
	n := h.Size() - frame.HeaderLen
	buf := c.buffers.get(n)
	buf.B = buf.B[:n]
	if err := r.bodyInto(buf.B); err != nil {
		return err
	}
	in, err := frame.DecodeDeliver(buf.B)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	d := Delivery{Shard: in.Shard, Batches: in.Batches, Next: in.Next, End: in.End, c: c, buf: buf}
	if h.Op == frame.OpFetch {
		if !c.complete(h, nil, &d) {
			d.Release() // its caller has given up
		}
		return nil
	}
	c.mu.Lock()
	sub := c.subs[h.Corr]
	c.mu.Unlock()
	if sub == nil {
		d.Release() // it was on the way when the subscription was closed
		return nil
	}
	return sub.push(d)
}

// failPending fails everything that waits for an answer. After it nothing is queued: err is set.
func (c *Client) failPending() {
	c.mu.Lock()
	err, acks, calls, subs := c.err, c.acks, c.calls, c.subs
	c.acks, c.calls, c.subs = ackQueue{}, nil, nil
	c.mu.Unlock()
	for acks.n > 0 {
		p := acks.pop()
		c.budget.release(p.size)
		p.done.Done(p.tag, Ack{Err: err})
	}
	for _, cl := range calls {
		cl.err = err
		cl.ready <- struct{}{}
	}
	for _, s := range subs {
		s.end(err)
	}
}

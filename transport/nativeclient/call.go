package nativeclient

import (
	"context"
	"sync"

	"github.com/shardmill/shardmill/codec/frame"
)

// call is one request that waits for its response. Whoever removes it from Client.calls completes it, once.
type call struct {
	op       frame.Op
	ready    chan struct{} // room for one
	err      error
	delivery Delivery
	handle   uint32
	opened   frame.Opened
	shards   []Shard
}

var callPool = sync.Pool{New: func() any { return &call{ready: make(chan struct{}, 1)} }} //nolint:gochecknoglobals // a pool, shared by all clients

// freeCall keeps a completed call for reuse.
func (c *Client) freeCall(cl *call) {
	*cl = call{ready: cl.ready}
	callPool.Put(cl)
}

// do sends a request and waits for its response. encode appends the whole frame.
func (c *Client) do(ctx context.Context, op frame.Op, encode func(dst []byte, corr uint32) []byte) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cl := callPool.Get().(*call)
	cl.op = op
	c.mu.Lock()
	if err := c.refusalLocked(); err != nil {
		c.mu.Unlock()
		c.freeCall(cl)
		return nil, err
	}
	corr := c.nextCorrLocked()
	c.calls[corr] = cl
	c.sendCallLocked(encode, corr)
	c.mu.Unlock()
	return c.await(ctx, corr, cl)
}

// sendCallLocked queues a request and sees to it that it is written.
func (c *Client) sendCallLocked(encode func(dst []byte, corr uint32) []byte, corr uint32) {
	start := len(c.queue)
	c.queue = encode(c.queue, corr)
	c.sendLocked(start)
}

// await waits for a call's completion.
func (c *Client) await(ctx context.Context, corr uint32, cl *call) (*call, error) {
	select {
	case <-cl.ready:
	case <-ctx.Done():
		c.mu.Lock()
		_, pending := c.calls[corr]
		delete(c.calls, corr)
		c.mu.Unlock()
		if pending {
			c.freeCall(cl)
			return nil, ctx.Err()
		}
		<-cl.ready // it is being completed at this moment
	}
	if cl.err != nil {
		err := cl.err
		c.freeCall(cl)
		return nil, err
	}
	return cl, nil
}

// complete ends the call that a response belongs to. False: nobody waits for it.
func (c *Client) complete(h *frame.Header, err error, d *Delivery) bool {
	c.mu.Lock()
	cl := c.calls[h.Corr]
	if cl == nil || err == nil && cl.op != h.Op {
		c.mu.Unlock()
		return false
	}
	delete(c.calls, h.Corr)
	c.mu.Unlock()
	cl.err, cl.handle = err, h.Handle
	if d != nil {
		cl.delivery = *d
	}
	cl.ready <- struct{}{}
	return true
}

// opened takes one frame of an OPEN response.
func (c *Client) opened(h *frame.Header, o *frame.Opened) {
	c.mu.Lock()
	cl := c.calls[h.Corr]
	if cl != nil && cl.op == frame.OpOpen {
		cl.opened = *o
		for i := range o.Len() {
			cl.shards = append(cl.shards, Shard(o.At(i)))
		}
	}
	c.mu.Unlock()
	if h.Flags&frame.FlagMore == 0 {
		c.complete(h, nil, nil)
	}
}

// refusalLocked is why nothing new can be sent.
func (c *Client) refusalLocked() error {
	if c.err != nil {
		return c.err
	}
	if c.goAway {
		return ErrGoAway
	}
	return nil
}

func (c *Client) nextCorrLocked() uint32 {
	c.corr++
	return c.corr
}

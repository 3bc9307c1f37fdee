package nativeclient

import "github.com/shardmill/shardmill/codec/frame"

// directBytes is the size from which a caller writes a batch itself, straight from its memory, if nobody else is
// writing. Smaller ones behind others are gathered by the writing goroutine: one system call for many of them.
const directBytes = 16 << 10

// maxSpare bounds the gathering buffer that is kept.
const maxSpare = 1 << 20

// sendLocked sends a frame made of the bytes in c.queue from start on, which the caller has just appended. It is called
// with mu held and returns with it held.
func (c *Client) sendLocked(start int) {
	if c.writing {
		return // the writer comes by
	}
	c.writing = true
	if start != 0 {
		panic("BUG: frames queued and nobody writing")
	}
	c.writeQueueLocked()
	c.handOverLocked()
}

// writeQueueLocked writes what is queued now. The caller has the writer's role; mu is released meanwhile.
func (c *Client) writeQueueLocked() {
	out := c.queue
	c.queue, c.spare = c.spare[:0], nil
	c.mu.Unlock()
	_, err := c.conn.Write(out)
	if err != nil {
		c.fail(err)
	}
	c.mu.Lock()
	if cap(out) <= maxSpare {
		c.spare = out[:0]
	}
}

// handOverLocked gives the writer's role up: to the writing goroutine if more was queued meanwhile, so that no caller
// keeps writing for others.
func (c *Client) handOverLocked() {
	if len(c.queue) == 0 || c.err != nil {
		c.writing = false
		return
	}
	c.kick <- struct{}{} // there is room: only the role's holder sends
}

// produceLocked sends a PRODUCE frame. Called with mu held; returns with it held.
func (c *Client) produceLocked(corr, handle uint32, level Level, b []byte, direct bool) {
	if c.writing || !direct {
		c.queue = frame.AppendProducePrefix(c.queue, corr, handle, uint8(level), 1, len(b))
		c.queue = append(c.queue, b...)
		if !c.writing {
			c.writing = true
			c.kick <- struct{}{}
		}
		return
	}
	c.writing = true
	c.mu.Unlock()
	c.iov[0] = frame.AppendProducePrefix(c.prefix[:0], corr, handle, uint8(level), 1, len(b))
	c.iov[1] = b
	c.bufs = c.iov[:]
	if _, err := c.bufs.WriteTo(c.conn); err != nil {
		c.fail(err)
	}
	c.iov[1] = nil
	c.mu.Lock()
	c.handOverLocked()
}

// write is the writing goroutine: it writes what was queued while others were writing.
func (c *Client) write() {
	for {
		select {
		case <-c.dead:
			return
		case <-c.kick:
		}
		c.mu.Lock()
		for len(c.queue) > 0 && c.err == nil {
			c.writeQueueLocked()
		}
		c.writing = false
		c.mu.Unlock()
	}
}

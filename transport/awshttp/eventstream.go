package awshttp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

const (
	eventStreamType = "application/vnd.amazon.eventstream"

	// eventPrelude and eventTrailer are what a frame has before its headers and behind its payload: total length, headers'
	// length and the checksum of these two; the checksum of all before it.
	eventPrelude = 12
	eventTrailer = 4
	// MaxEventPayload bounds the payload of one event, in bytes: readers refuse more.
	MaxEventPayload = 16 << 20

	// eventGrace is how long an event stream that has had its time, or was ended from outside, may still try to write.
	eventGrace = 2 * time.Second
	// settle is how long an HTTP/1.1 event stream waits before its first byte. The AWS SDK for Go closes the body of a
	// request when the reply begins, and net/http, if it is still asking for more of that body, closes the connection.
	// Other replies are over before anybody notices.
	settle = 2 * time.Millisecond
)

// EventReply makes the reply of a call an event stream.
type EventReply struct {
	// Life is how long the stream may last. A reader that is too slow holds up nobody but itself, and that no longer
	// than this.
	Life time.Duration
	// Ended, where set, is done once Send should come to its end although the reader may not be reading.
	Ended context.Context
	// Send writes the events, after the initial one; the reply ends when it returns. It is called exactly once.
	Send func(*Events)
}

// Stream makes the reply an event stream, application/vnd.amazon.eventstream, if the action returns no error.
func (c *Call) Stream(r EventReply) { c.events = &r }

// Events writes one event stream. It is used by one goroutine. Every event is on its way to the reader when the method
// returns; it blocks while the reader does not read.
type Events struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	ctx   context.Context
	codec Codec
	heads map[string][]byte // by event type: a frame up to its payload, lengths and first checksum still open
	frame [eventTrailer]byte
}

// Context is done when the client is gone or the server stops: nothing more needs to be sent.
func (e *Events) Context() context.Context { return e.ctx }

// CBOR tells whether payloads must be CBOR; otherwise they must be JSON.
func (e *Events) CBOR() bool { _, ok := e.codec.(CBOR); return ok }

// Event sends an event with a payload in the stream's wire form. The payload stays the caller's.
func (e *Events) Event(name string, payload []byte) error {
	if len(payload) > MaxEventPayload {
		return fmt.Errorf("event %s of %d bytes: the limit is %d", name, len(payload), MaxEventPayload)
	}
	head := e.heads[name]
	if head == nil {
		var err error
		if head, err = eventHead("event", name, e.codec.ContentType()); err != nil {
			return err
		}
		e.heads[name] = head
	}
	return e.send(head, payload)
}

// Exception sends err as the last event.
func (e *Events) Exception(err *Error) error {
	head, failed := eventHead("exception", err.Type, e.codec.ContentType())
	if failed != nil {
		return failed
	}
	v := Value{Kind: Map}
	if err.Message != "" {
		v.Put("message", StringValue(err.Message))
	}
	return e.send(head, e.codec.Append(nil, v))
}

// eventHead is room for the prelude, and the headers of a message.
func eventHead(message, name, contentType string) ([]byte, error) {
	var h eventstream.Headers
	h.Set(":message-type", eventstream.StringValue(message))
	h.Set(":"+message+"-type", eventstream.StringValue(name))
	h.Set(":content-type", eventstream.StringValue(contentType))
	b := bytes.NewBuffer(make([]byte, eventPrelude))
	if err := eventstream.EncodeHeaders(b, h); err != nil {
		return nil, fmt.Errorf("headers of event %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// send writes a frame and pushes it out.
func (e *Events) send(head, payload []byte) error {
	n := len(head) + len(payload) + eventTrailer
	binary.BigEndian.PutUint32(head, uint32(n))
	binary.BigEndian.PutUint32(head[4:], uint32(len(head)-eventPrelude))
	binary.BigEndian.PutUint32(head[8:], crc32.ChecksumIEEE(head[:8]))
	sum := crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, payload)
	binary.BigEndian.PutUint32(e.frame[:], sum)
	for _, part := range [...][]byte{head, payload, e.frame[:]} {
		if _, err := e.w.Write(part); err != nil {
			return err
		}
	}
	return e.rc.Flush()
}

// stream sends an event stream.
func (x *exchange) stream(r *EventReply) {
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	stop := context.AfterFunc(x.s.drain, cancel)
	defer stop()
	rc := http.NewResponseController(x.w)
	// Not every writer has deadlines; those of connections have.
	_ = rc.SetWriteDeadline(time.Now().Add(r.Life + eventGrace))
	release := cutShort(rc, ctx, r.Ended)
	defer release()
	if x.r.ProtoMajor == 1 {
		time.Sleep(settle)
	}
	h := x.w.Header()
	h["Content-Type"] = []string{eventStreamType}
	x.w.WriteHeader(http.StatusOK)
	e := &Events{w: x.w, rc: rc, ctx: ctx, codec: x.codec, heads: make(map[string][]byte)}
	if err := e.Event("initial-response", x.codec.Append(nil, Value{Kind: Map})); err != nil {
		cancel() // Send must run in any case: it gives back what the action took
	}
	r.Send(e)
}

// cutShort makes writes fail soon after one of the contexts is done. It must be released before the handler returns: the
// writer is not to be touched any more then.
func cutShort(rc *http.ResponseController, contexts ...context.Context) (release func()) {
	var (
		mu    sync.Mutex
		over  bool
		stops []func() bool
	)
	for _, ctx := range contexts {
		if ctx == nil {
			continue
		}
		stops = append(stops, context.AfterFunc(ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if !over {
				_ = rc.SetWriteDeadline(time.Now().Add(eventGrace))
			}
		}))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
		mu.Lock()
		defer mu.Unlock()
		over = true
	}
}

package kinesisapi

import (
	"context"
	"errors"
	"io"

	"github.com/valyala/bytebufferpool"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// subscribeToShard answers SubscribeToShard with an event stream that lasts up to five minutes. Gap: DryRun is ignored.
func (a *API) subscribeToShard(c *awshttp.Call) error {
	in := decodeSubscribeToShardInput(c.Input)
	x, err := a.SubscribeToShard(c, &in)
	if err != nil {
		return asAWS(err)
	}
	c.Stream(awshttp.EventReply{Life: engine.SubscriptionLife, Ended: x.Context(), Send: func(out *awshttp.Events) {
		defer x.Close()
		a.push(x, out)
	}})
	return nil
}

// SubscribeToShard begins a subscription; the caller closes it.
func (a *API) SubscribeToShard(c *awshttp.Call, in *SubscribeToShardInput) (*engine.Subscription, error) {
	r, err := a.consumer(c, in.ConsumerARN, "", "")
	if err != nil {
		return nil, err
	}
	p := &in.StartingPosition
	return r.stream.Subscribe(engine.Subscribe{
		Consumer: r.name, Created: r.created, ShardID: in.ShardId, Type: engine.IteratorType(p.Type), Sequence: p.SequenceNumber, Time: p.Timestamp,
	})
}

// push sends a subscription's events until it ends, or nobody is left to send to.
func (a *API) push(x *engine.Subscription, out *awshttp.Events) {
	for {
		ev, err := x.Next(out.Context())
		switch {
		case err == nil:
			if a.pushOne(ev, out) != nil {
				return // the client is gone
			}
		case errors.Is(err, io.EOF), errors.Is(err, context.Canceled), errors.Is(err, engine.ErrClosed):
			return
		default:
			_ = out.Exception(eventError(err)) // the last word either way
			return
		}
	}
}

// pushOne sends one event. The memory of its records is given back before anything is written: a slow reader holds on to
// one encoded event.
func (a *API) pushOne(ev *engine.Event, out *awshttp.Events) error {
	buf := bytebufferpool.Get()
	defer bytebufferpool.Put(buf)
	if out.CBOR() {
		buf.B = appendEventCBOR(buf.B, ev)
	} else {
		buf.B = a.appendEvent(buf.B, ev)
	}
	ev.Release()
	return out.Event("SubscribeToShardEvent", buf.B)
}

// eventError is an engine's error as the exception that ends an event stream.
func eventError(err error) *awshttp.Error {
	var e *awshttp.Error
	if errors.As(asAWS(err), &e) && e.Type != "InternalFailure" {
		return e
	}
	return &awshttp.Error{Type: "InternalFailureException", Message: "Internal Service Failure"}
}

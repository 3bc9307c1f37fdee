package awshttp

import (
	"context"
	"fmt"

	"github.com/valyala/bytebufferpool"
)

// Service is a set of actions behind one X-Amz-Target prefix.
type Service struct {
	// Target is the prefix of X-Amz-Target, e.g. Kinesis_20131202.
	Target string
	// Signing is the service name in credential scopes, e.g. kinesis.
	Signing string
	// MaxBody bounds a request body in bytes; 0 means DefaultMaxBody.
	MaxBody int64
	Actions []Action
}

// Action is one operation of a service.
type Action struct {
	Name string
	// Input is converted and checked before Do runs.
	Input *Shape
	// Widen, where set, may return another shape for one request, or nil for Input: limits may depend on what it names.
	// The shape must have been compiled.
	Widen func(*Call, Value) *Shape
	// Do answers a call whose Input has the form Input describes. An *Error goes to the client as it is; any other error
	// becomes a 500 and is logged.
	Do func(*Call) error
	// Direct, where set, is tried first on authenticated JSON requests, on the raw body. It must leave the body unchanged
	// and the reply empty when it declines with done false; the request then takes the general path.
	Direct func(*Call) (done bool, err error)
	// DirectCBOR is Direct for CBOR requests.
	DirectCBOR func(*Call) (done bool, err error)
}

// Identity is who sent a request, and which account and region it means.
type Identity struct {
	AccessKey string
	Account   string
	Region    string
}

// Call is one request of a known action and its reply under construction. It is used by one goroutine and is not valid
// after the action returned.
type Call struct {
	Identity
	Context context.Context
	// Body is the request as it came. The server owns it; a direct action may read it until it returns.
	Body []byte
	// Input is the converted document; Null in Direct.
	Input Value
	// Out takes the reply document; left empty, the client gets an empty body.
	Out *bytebufferpool.ByteBuffer

	codec  Codec
	events *EventReply // where the action answers with a stream
}

// Reply writes a reply document in the request's wire form.
func (c *Call) Reply(v Value) { c.Out.B = c.codec.Append(c.Out.B, v) }

// JSON tells whether the reply must be JSON; direct writers ask before they use their own encoding.
func (c *Call) JSON() bool { _, ok := c.codec.(JSON); return ok }

// CBOR tells whether the reply must be CBOR.
func (c *Call) CBOR() bool { _, ok := c.codec.(CBOR); return ok }

// NewCall makes a call outside a server, for tests and tools.
func NewCall(ctx context.Context, id Identity, body []byte) *Call {
	return &Call{Context: ctx, Identity: id, Body: body, Out: new(bytebufferpool.ByteBuffer), codec: JSON{}}
}

// DefaultMaxBody bounds request bodies of services that say nothing.
const DefaultMaxBody = 1 << 20

// route is what a target resolves to.
type route struct {
	service *Service
	actions map[string]*Action
}

// routes builds the lookup tables; two services with one target or two actions with one name are an error.
func routes(services []Service) (map[string]*route, error) {
	table := make(map[string]*route, len(services))
	for i := range services {
		s := &services[i]
		if table[s.Target] != nil {
			return nil, fmt.Errorf("target %s is taken twice", s.Target)
		}
		r := &route{service: s, actions: make(map[string]*Action, len(s.Actions))}
		for j := range s.Actions {
			a := &s.Actions[j]
			if r.actions[a.Name] != nil {
				return nil, fmt.Errorf("action %s.%s is given twice", s.Target, a.Name)
			}
			if err := a.Input.Compile(); err != nil {
				return nil, fmt.Errorf("input of %s.%s: %w", s.Target, a.Name, err)
			}
			r.actions[a.Name] = a
		}
		table[s.Target] = r
	}
	return table, nil
}

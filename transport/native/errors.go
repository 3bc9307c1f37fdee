package native

import (
	"errors"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// ErrClosed is returned by a server that was closed.
var ErrClosed = errors.New("native: server is closed")

var errNoShard = &engine.Error{Code: engine.CodeNotFound, Message: "The stream has no shard of this number."}

// codeOf classes an error for the wire.
func codeOf(err error) frame.Code {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return engineCode(e.Code)
	}
	return frame.CodeInternal
}

// stopsAppends tells whether err, from Engine.Err, means that no append will reach its level any more. That old segments
// cannot be removed does not.
func stopsAppends(err error) bool { return err != nil && codeOf(err) == frame.CodeStopped }

// messageOf is what a client gets to read of an error: not its cause.
func messageOf(err error) string {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e.Message
	}
	return "Internal Service Failure"
}

func engineCode(c engine.Code) frame.Code {
	switch c {
	case engine.CodeInvalidArgument, engine.CodeValidation, engine.CodeExpiredIterator, engine.CodeExpiredToken:
		return frame.CodeInvalid
	case engine.CodeNotFound:
		return frame.CodeNotFound
	case engine.CodeInUse:
		return frame.CodeInUse
	case engine.CodeLimitExceeded:
		return frame.CodeLimitExceeded
	case engine.CodeThrottled:
		return frame.CodeThrottled
	case engine.CodeStopped:
		return frame.CodeStopped
	case engine.CodeStaleRoute:
		return frame.CodeStaleRoute
	}
	return frame.CodeInternal
}

package nativeclient

import (
	"errors"
	"fmt"

	"github.com/shardmill/shardmill/codec/frame"
)

var (
	// ErrClosed: Close was called.
	ErrClosed = errors.New("nativeclient: closed")
	// ErrGoAway: the server is shutting down and takes nothing new on this connection.
	ErrGoAway = errors.New("nativeclient: server is going away")
	// ErrProtocol: the server sent what this client does not understand. The connection is closed.
	ErrProtocol = errors.New("nativeclient: protocol error")
	// ErrTooLarge: a batch or record does not fit the largest frame the server takes.
	ErrTooLarge = errors.New("nativeclient: larger than the largest frame")
	// ErrNoShard: no open shard of the stream takes the key; another OPEN may show one.
	ErrNoShard = errors.New("nativeclient: no open shard for the key")
)

// What errors.Is finds in a *ServerError of the code of the same name.
var (
	ErrAuth          = errors.New("access key refused")
	ErrNotFound      = errors.New("not found")
	ErrInvalid       = errors.New("invalid argument")
	ErrLimitExceeded = errors.New("limit exceeded")
	ErrStaleRoute    = errors.New("shard is closed")
	ErrBadBatch      = errors.New("batch fails its checks")
	ErrStopped       = errors.New("log is stopped")
)

// ServerError is what the server answered instead of a result.
type ServerError struct {
	Code    frame.Code
	Message string // may be empty
}

func (e *ServerError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("server answered %s", e.Code)
	}
	return fmt.Sprintf("server answered %s: %s", e.Code, e.Message)
}

// Is makes errors.Is work with the sentinels above.
func (e *ServerError) Is(target error) bool {
	switch e.Code {
	case frame.CodeAuthFailed, frame.CodeUnauthenticated, frame.CodeAuthTimeout, frame.CodeDenied:
		return target == ErrAuth
	case frame.CodeNotFound, frame.CodeUnknownHandle:
		return target == ErrNotFound
	case frame.CodeInvalid:
		return target == ErrInvalid
	case frame.CodeLimitExceeded, frame.CodeTooMany:
		return target == ErrLimitExceeded
	case frame.CodeStaleRoute:
		return target == ErrStaleRoute
	case frame.CodeBadBatch:
		return target == ErrBadBatch
	case frame.CodeStopped:
		return target == ErrStopped
	case frame.CodeClosing:
		return target == ErrGoAway
	}
	return false
}

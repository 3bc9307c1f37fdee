package engine

import (
	"errors"
	"fmt"

	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/engine/lane"
)

// Code classes an Error; transports map it to their own wire form.
type Code uint8

const (
	CodeInternal Code = iota
	CodeInvalidArgument
	CodeValidation
	CodeNotFound
	CodeInUse
	CodeLimitExceeded
	CodeThrottled // over a shard's quota, or the ring is full
	CodeExpiredIterator
	CodeExpiredToken
	CodeStopped // the log takes no more appends: a disk failed
	CodeStaleRoute
)

// Error is every error of the engine that a client may see. Message is in the words of the Kinesis API. Cause, where set,
// is for the log and not for the client.
type Error struct {
	Code    Code
	Message string
	Cause   error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// FolderError says why a data folder cannot be opened, and what to do about it.
type FolderError struct {
	Dir   string
	What  string
	Next  string
	Cause error
}

func (e *FolderError) Error() string {
	s := fmt.Sprintf("data folder %s: %s", e.Dir, e.What)
	if e.Cause != nil {
		s += " (" + e.Cause.Error() + ")"
	}
	return s + "; " + e.Next
}

// Unwrap returns the cause.
func (e *FolderError) Unwrap() error { return e.Cause }

// ErrClosed: the engine has been closed.
var ErrClosed = errors.New("engine: closed")

const internalText = "Internal Service Failure"

// The errors of AppendBatch, made once because it must not allocate. Nobody writes to them.
var (
	errStaleRoute = &Error{Code: CodeStaleRoute, Message: "The batch names a shard that is not open in this stream."}
	errRingFull   = &Error{Code: CodeThrottled, Message: "The log is busy. Try again."}
	errBatchShape = &Error{Code: CodeInvalidArgument, Message: "The batch has no records or more than its length allows."}
)

func newError(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// internalError hides cause from the client and keeps it for the log.
func internalError(cause error) *Error {
	return &Error{Code: CodeInternal, Message: internalText, Cause: cause}
}

// stoppedError: nothing can be appended until a restart.
func stoppedError(cause error) *Error {
	return &Error{Code: CodeStopped, Message: internalText, Cause: cause}
}

// laneError maps an error of the lane other than ErrBusy.
func laneError(err error) *Error {
	if errors.Is(err, lane.ErrStopped) || errors.Is(err, lane.ErrClosed) {
		return stoppedError(err)
	}
	return internalError(err)
}

// catalogError maps an error of the catalog.
func catalogError(err error) *Error { return stoppedError(err) }

func notFound(n Name) *Error {
	return newError(CodeNotFound, "Stream %s under account %s not found.", n.Stream, n.Account)
}

func alreadyExists(n Name) *Error {
	return newError(CodeInUse, "Stream %s under account %s already exists.", n.Stream, n.Account)
}

func notActive(n Name, s catalog.Status) *Error {
	return newError(CodeInUse, "Stream %s under account %s not ACTIVE, instead in state %s", n.Stream, n.Account, s)
}

// noShardNamed: the shard id cannot be read, or a control operation names a shard that is not there.
func noShardNamed(n Name, shardID string) *Error {
	return newError(CodeNotFound, "Could not find shard %s in stream %s under account %s.", shardID, n.Stream, n.Account)
}

// noSuchShard: a read names a shard that is not there, or a stream that is not.
func noSuchShard(n Name, index uint32) *Error {
	return newError(CodeNotFound, "Shard %s in stream %s under account %s does not exist", ShardID(index), n.Stream, n.Account)
}

func onDemandError(n Name) *Error {
	return newError(CodeValidation, "Request is invalid. Stream %s under account %s is in On-Demand mode.", n.Stream, n.Account)
}

func throttled(n Name, index uint32) *Error {
	return newError(CodeThrottled, "Rate exceeded for shard %s in stream %s under account %s.", ShardID(index), n.Stream, n.Account)
}

package frame

import (
	"errors"
	"fmt"
)

// ErrMalformed is the error of every decoder that met bytes which are not what they should be.
var ErrMalformed = errors.New("malformed frame")

func malformed(op Op, what string) error { return fmt.Errorf("%w: %s %s", ErrMalformed, op, what) }

// Code says what went wrong, in ERROR frames and in the results of an ACK. Zero is success. Codes never change meaning.
type Code uint16

const (
	OK Code = 0

	// Of the session: the connection is closed after one of these.
	CodeMalformed       Code = 1 // bytes that are no frame, or a body that is not its operation's
	CodeOversized       Code = 2 // len beyond the negotiated maximum
	CodeVersion         Code = 3 // no protocol version in common
	CodeUnauthenticated Code = 4 // the operation needs AUTH first
	CodeAuthFailed      Code = 5
	CodeAuthTimeout     Code = 6
	CodeCreditOverrun   Code = 7 // more PRODUCE bytes in flight than were granted
	CodeSlowReader      Code = 8 // the client does not read what it asked for
	CodeTooManySessions Code = 9

	// Of one request: the session goes on.
	CodeUnknownOp     Code = 20
	CodeUnknownHandle Code = 21 // no OPEN answered this handle
	CodeBadBatch      Code = 22 // the batch fails its checks
	CodeTooMany       Code = 23 // a limit per session: streams, fetches, subscriptions
	CodeClosing       Code = 24 // the server is shutting down; what was asked did not happen
	CodeDenied        Code = 25 // not this access key's account

	// From the engine.
	CodeInternal      Code = 100
	CodeInvalid       Code = 101
	CodeNotFound      Code = 102
	CodeInUse         Code = 103
	CodeLimitExceeded Code = 104
	CodeThrottled     Code = 105
	CodeStopped       Code = 106 // the log takes no more appends
	CodeStaleRoute    Code = 107 // the shard is closed: OPEN again, route again
)

// Fatal tells whether the server closes the connection after an ERROR of this code.
func (c Code) Fatal() bool { return c >= CodeMalformed && c <= CodeTooManySessions }

func (c Code) String() string {
	switch c {
	case OK:
		return "OK"
	case CodeMalformed:
		return "MALFORMED"
	case CodeOversized:
		return "OVERSIZED"
	case CodeVersion:
		return "VERSION"
	case CodeUnauthenticated:
		return "UNAUTHENTICATED"
	case CodeAuthFailed:
		return "AUTH_FAILED"
	case CodeAuthTimeout:
		return "AUTH_TIMEOUT"
	case CodeCreditOverrun:
		return "CREDIT_OVERRUN"
	case CodeSlowReader:
		return "SLOW_READER"
	case CodeTooManySessions:
		return "TOO_MANY_SESSIONS"
	case CodeUnknownOp:
		return "UNKNOWN_OP"
	case CodeUnknownHandle:
		return "UNKNOWN_HANDLE"
	case CodeBadBatch:
		return "BAD_BATCH"
	case CodeTooMany:
		return "TOO_MANY"
	case CodeClosing:
		return "CLOSING"
	case CodeDenied:
		return "DENIED"
	case CodeInternal:
		return "INTERNAL"
	case CodeInvalid:
		return "INVALID"
	case CodeNotFound:
		return "NOT_FOUND"
	case CodeInUse:
		return "IN_USE"
	case CodeLimitExceeded:
		return "LIMIT_EXCEEDED"
	case CodeThrottled:
		return "THROTTLED"
	case CodeStopped:
		return "STOPPED"
	case CodeStaleRoute:
		return "STALE_ROUTE"
	}
	return fmt.Sprintf("CODE_%d", uint16(c))
}

// Failure is the body of an ERROR frame, and of any response with FlagError: u16 code | u16 length | message.
type Failure struct {
	Code    Code
	Message []byte // aliases the frame
}

// MaxMessage bounds an error message on the wire, in bytes; longer ones are cut.
const MaxMessage = 1024

// AppendError appends a whole ERROR frame.
func AppendError(dst []byte, corr, handle uint32, code Code, message string) []byte {
	if len(message) > MaxMessage {
		message = message[:MaxMessage]
	}
	start := len(dst)
	dst = AppendHeader(dst, OpError, FlagResponse|FlagError, corr, handle, 0)
	dst = appendU16(dst, uint16(code))
	dst = appendU16(dst, uint16(len(message)))
	return End(append(dst, message...), start)
}

// DecodeError reads the body of an ERROR frame.
func DecodeError(body []byte) (Failure, error) {
	r := reader{b: body}
	f := Failure{Code: Code(r.u16())}
	f.Message = r.bytes(int(r.u16()), MaxMessage)
	return f, r.end(OpError)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"
)

// Exit codes: part of the interface, scripts depend on them.
const (
	codeDone        = 0
	codeFailed      = 1
	codeUsage       = 2
	codeNotFound    = 3
	codeRefused     = 4 // authentication or a quota
	codeUnreachable = 5
	codePartly      = 6 // some records failed
	codeCheckFailed = 7
	codeDiskFailed  = 75 // the server stopped because its disk failed; restart after looking at it
	codeTimeout     = 124
	codeInterrupted = 130
)

// exitError is an error that knows its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exitf(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

func usagef(format string, args ...any) error { return exitf(codeUsage, format, args...) }

// exitCodeOf maps an error to the exit code. ctx tells an interrupt from other cancellations.
func exitCodeOf(ctx context.Context, err error) int {
	if err == nil {
		return codeDone
	}
	var coded *exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return codeTimeout
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return codeInterrupted
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return codeOfAPI(api.ErrorCode())
	}
	if unreachable(err) {
		return codeUnreachable
	}
	return codeFailed
}

// codeOfAPI classes the error types of the Kinesis API and of its front door.
func codeOfAPI(apiCode string) int {
	switch apiCode {
	case "ResourceNotFoundException":
		return codeNotFound
	case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException",
		"MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidClientTokenId",
		"ExpiredTokenException", "SignatureDoesNotMatch", "LimitExceededException",
		"ProvisionedThroughputExceededException", "ThrottlingException", "RequestExpired":
		return codeRefused
	}
	return codeFailed
}

// unreachable tells whether no server answered.
func unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns)
}

// explain makes one line of an error: what, why, and the request id where a server gave one.
func explain(err error) string {
	if _, ok := errors.AsType[*exitError](err); ok {
		return oneLine(err.Error())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "gave up after --timeout"
	}
	return explainAPI(err)
}

// explainAPI says what a server answered: type, message and request id.
func explainAPI(err error) string {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return oneLine(err.Error())
	}
	text := api.ErrorCode()
	if api.ErrorMessage() != "" {
		text += ": " + strings.TrimSuffix(api.ErrorMessage(), ".")
	}
	if id := requestID(err); id != "" {
		text += " (request id " + id + ")"
	}
	return oneLine(text)
}

func requestID(err error) string {
	var r interface{ ServiceRequestID() string }
	if errors.As(err, &r) {
		return r.ServiceRequestID()
	}
	return ""
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM. A second one kills the process, because
// the signals are no longer caught.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

package loadgen

import "errors"

// The kinds of failure of Run; test with errors.Is. Except for those that concern the configuration, Run returns a report
// beside the error: what was measured until then, with Partial saying why it is not whole.
var (
	// ErrConfig is a setting that cannot be; nothing was sent.
	ErrConfig = errors.New("wrong setting")
	// ErrRate is a rate that no schedule of this generator can hold; nothing was sent.
	ErrRate = errors.New("impossible rate")
	// ErrPayload is a payload file that cannot be read or has no usable line; nothing was sent.
	ErrPayload = errors.New("bad payload file")
	// ErrUnreachable is a target that did not answer before the load began.
	ErrUnreachable = errors.New("target unreachable")
	// ErrTargetFailed is a target that stopped answering, or refused to go on, while under load.
	ErrTargetFailed = errors.New("target failed")
	// ErrIntegrity is a run whose records did not all come back once, in order and unharmed.
	ErrIntegrity = errors.New("integrity violated")
	// ErrVerify is a run whose records could not be read back, so that nothing is known about them.
	ErrVerify = errors.New("verification failed")
)

// RequestError is a request, or a record of one, that the target refused.
type RequestError struct {
	Code    string // the target's own word, for example ProvisionedThroughputExceededException
	Message string
	Status  int // HTTP status, 0 where there is none
}

func (e *RequestError) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

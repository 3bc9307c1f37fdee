package itemstore

import (
	"errors"
	"fmt"
)

// Errors of a store.
var (
	ErrTableNotFound = errors.New("table not found")
	ErrTableExists   = errors.New("table exists")
	ErrIndexExists   = errors.New("index exists")
	ErrIndexNotFound = errors.New("index not found")
	ErrProtected     = errors.New("table is protected from deletion")
	ErrLimit         = errors.New("limit reached")
	ErrFull          = errors.New("the store has reached its size limit")
	ErrCorrupt       = errors.New("corrupt entry")
	ErrVersion       = errors.New("entry of a version this build does not know")
	// ErrUnsupported marks what DynamoDB can do and this store can not.
	ErrUnsupported = errors.New("not supported by the built-in item store")
)

// InputError says what is wrong with a request, in the words of DynamoDB where they are known.
type InputError struct{ Message string }

func (e *InputError) Error() string { return e.Message }

func invalid(format string, args ...any) error { return &InputError{fmt.Sprintf(format, args...)} }

func unsupported(what string) error { return fmt.Errorf("%s: %w", what, ErrUnsupported) }

// Reason is why one write of several did not happen.
type Reason struct {
	Failed bool // its own condition did not hold
	Item   Item // what was there instead; nil for nothing
}

// ConditionError means that a condition did not hold and nothing was written. Reasons has one entry a write.
type ConditionError struct{ Reasons []Reason }

func (e *ConditionError) Error() string { return "the conditional request failed" }

package awshttp

import (
	"errors"
	"net/http"
)

// Why a document could not be read. Clients see a SerializationException without a message for each.
var (
	errSyntax = errors.New("malformed document")
	errTooBig = errors.New("document is nested too deeply or has too many values")
)

// Error is what a client gets instead of a result. Type is the AWS name without namespace. It may be shared between
// goroutines; nobody writes to it.
type Error struct {
	Status  int    // HTTP status; 0 means 400
	Type    string // e.g. ResourceNotFoundException
	Message string // may be empty
	// capital asks for "Message" instead of "message", as SerializationException has it.
	capital bool
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Type + ": " + e.Message
}

func (e *Error) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// value is the error's document.
func (e *Error) value() Value {
	v := Value{Kind: Map}
	v.Put("__type", StringValue(e.Type))
	if e.Message != "" {
		name := "message"
		if e.capital {
			name = "Message"
		}
		v.Put(name, StringValue(e.Message))
	}
	return v
}

// Validation is a ValidationException.
func Validation(message string) *Error { return &Error{Type: "ValidationException", Message: message} }

// Serialization is a SerializationException, whose message AWS spells with a capital.
func Serialization(message string) *Error {
	return &Error{Type: "SerializationException", Message: message, capital: true}
}

// InternalFailure is the 500 of AWS. Only faults of the server itself become one, never wrong input.
func InternalFailure() *Error {
	return &Error{Status: http.StatusInternalServerError, Type: "InternalFailure"}
}

package kinesisapi

import (
	"errors"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

func invalidArgument(message string) *awshttp.Error {
	return &awshttp.Error{Type: "InvalidArgumentException", Message: message}
}

func notFound(message string) *awshttp.Error {
	return &awshttp.Error{Type: "ResourceNotFoundException", Message: message}
}

func streamNotFound(n engine.Name) *awshttp.Error {
	return notFound("Stream " + n.Stream + " under account " + n.Account + " not found.")
}

// errorType is the exception that a class of engine errors becomes; empty where it is a fault of the server.
func errorType(code engine.Code) string {
	switch code {
	case engine.CodeInvalidArgument:
		return "InvalidArgumentException"
	case engine.CodeValidation:
		return "ValidationException"
	case engine.CodeNotFound:
		return "ResourceNotFoundException"
	case engine.CodeInUse:
		return "ResourceInUseException"
	case engine.CodeLimitExceeded:
		return "LimitExceededException"
	case engine.CodeThrottled:
		return "ProvisionedThroughputExceededException"
	case engine.CodeExpiredIterator:
		return "ExpiredIteratorException"
	case engine.CodeExpiredToken:
		return "ExpiredNextTokenException"
	}
	return ""
}

// asAWS turns an engine's error into what the client gets. Errors of the server keep their text for the log; the client
// sees InternalFailure.
func asAWS(err error) error {
	var e *engine.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	if t := errorType(e.Code); t != "" {
		return &awshttp.Error{Type: t, Message: e.Message}
	}
	if e.Code == engine.CodeInternal && e.Cause == nil {
		return awshttp.InternalFailure() // no fault of ours: the API answers so to sequence numbers of version 0
	}
	return err
}

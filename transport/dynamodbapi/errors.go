package dynamodbapi

import (
	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// Namespaces of error types: the service's own errors and those of the machinery before it.
const (
	service = "com.amazonaws.dynamodb.v20120810#"
	coral   = "com.amazon.coral.service#"
	checks  = "com.amazon.coral.validate#"
)

// failure is what a client gets instead of a result.
type failure struct {
	status  int    // 0 means 400
	kind    string // with the namespace
	message string
	item    itemstore.Item  // what a failed condition found, where it was asked for
	reasons []awshttp.Value // of a cancelled transaction
}

func (f *failure) Error() string { return f.kind + ": " + f.message }

func (f *failure) value() awshttp.Value {
	v := awshttp.Value{Kind: awshttp.Map}
	v.Put("__type", awshttp.StringValue(f.kind))
	if f.reasons != nil {
		v.Put("CancellationReasons", awshttp.ListValue(f.reasons))
	}
	if f.item != nil {
		v.Put("Item", itemValue(f.item))
	}
	if f.message != "" {
		name := "message"
		if f.kind == coral+"SerializationException" {
			name = "Message"
		}
		if f.reasons != nil {
			name = "Message" // as AWS has it in this one
		}
		v.Put(name, awshttp.StringValue(f.message))
	}
	return v
}

func invalid(message string) *failure {
	return &failure{kind: checks + "ValidationException", message: message}
}

func wrongType(name, want string) *failure {
	return &failure{kind: coral + "SerializationException", message: name + " must be " + want}
}

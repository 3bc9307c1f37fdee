// Package awshttp is the one HTTP front door of the AWS-compatible services: connection handling (HTTP/1.1, HTTP/2 over
// TLS, HTTP/2 without TLS by prior knowledge), the order in which AWS checks a request, SigV4, request shapes and their
// constraints, JSON 1.1 and CBOR 1.1, and the shapes of errors.
//
// Server listens and owns connections. Service is a set of actions behind one X-Amz-Target prefix, Action is one of them,
// Call is one authenticated request. Shape describes an action's input; the API packages generate theirs from the public
// service models. Value is a decoded document, the same for every wire form; Codec turns bytes into a Value and back.
//
// Call.Stream makes a reply an event stream, which Events writes (eventstream.go).
// Neighbour is a small service with a wire form of its own, JSON 1.0, forms or RPC v2 CBOR, behind the same checks.
//
// The package writes HTTP replies: frames of application/vnd.amazon.eventstream, JSON and CBOR documents for known content types, a short XML document where AWS cannot tell
// which protocol the client speaks.
package awshttp

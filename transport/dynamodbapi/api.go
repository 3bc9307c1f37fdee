package dynamodbapi

import (
	"errors"
	"hash/crc32"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// Constants of the wire.
const (
	target      = "DynamoDB_20120810"
	contentType = "application/x-amz-json-1.0"
	maxBody     = 16 << 20 // DynamoDB's own limit of a request
)

// API answers actions from a store. Its methods may be called concurrently.
type API struct {
	store   *itemstore.Store
	log     *slog.Logger
	tokens  *tokens
	actions map[string]func(*call) (awshttp.Value, error)
}

// call is one request being answered.
type call struct {
	awshttp.Identity
	fields
}

func (c *call) scope() itemstore.Scope {
	return itemstore.Scope{Account: c.Account, Region: c.Region}
}

// New makes the API of a store, which stays the caller's. log takes what no client can be told.
func New(store *itemstore.Store, log *slog.Logger) *API {
	a := &API{store: store, log: log, tokens: newTokens()}
	a.actions = map[string]func(*call) (awshttp.Value, error){
		"CreateTable":        a.createTable,
		"DeleteItem":         a.deleteItem,
		"DeleteTable":        a.deleteTable,
		"DescribeTable":      a.describeTable,
		"GetItem":            a.getItem,
		"ListTables":         a.listTables,
		"PutItem":            a.putItem,
		"Query":              a.query,
		"Scan":               a.scan,
		"TransactWriteItems": a.transactWriteItems,
		"UpdateItem":         a.updateItem,
		"UpdateTable":        a.updateTable,
	}
	return a
}

// Neighbour is the service for the front door.
func (a *API) Neighbour() awshttp.Neighbour {
	return awshttp.Neighbour{
		Name: "dynamodb", Signing: "dynamodb", Target: target, MaxBody: maxBody, Serve: a.serve,
		Refuse: func(c *awshttp.NeighbourCall, e *awshttp.Error) {
			fail(c, &failure{status: e.Status, kind: coral + e.Type, message: e.Message})
		},
	}
}

func (a *API) serve(c *awshttp.NeighbourCall) {
	media, _, _ := strings.Cut(c.Request.Header.Get("Content-Type"), ";")
	if c.Request.Method != http.MethodPost || strings.TrimSpace(media) != contentType {
		fail(c, &failure{kind: coral + "SerializationException", message: "want a POST of " + contentType})
		return
	}
	_, name, _ := strings.Cut(c.Request.Header.Get("X-Amz-Target"), ".")
	do := a.actions[name]
	if do == nil {
		fail(c, notHere(name))
		return
	}
	c.Action = name
	doc, err := awshttp.JSON{}.Parse(c.Body)
	if err != nil || doc.Kind != awshttp.Map {
		fail(c, &failure{kind: coral + "SerializationException"})
		return
	}
	request := call{Identity: c.Identity, fields: fields{v: doc}}
	reply, err := do(&request)
	if request.err != nil { // what could not be read matters more than what was made of it
		err = request.err
	}
	if err != nil {
		f := failureOf(err)
		if f.status == http.StatusInternalServerError {
			a.log.Error("action failed", "service", "dynamodb", "action", name, "error", err)
		}
		fail(c, f)
		return
	}
	send(c, reply)
}

func fail(c *awshttp.NeighbourCall, f *failure) {
	c.Status = f.status
	if c.Status == 0 {
		c.Status = http.StatusBadRequest
	}
	_, c.Code, _ = strings.Cut(f.kind, "#")
	send(c, f.value())
}

func send(c *awshttp.NeighbourCall, v awshttp.Value) {
	c.ContentType = contentType
	c.Reply = awshttp.JSON{}.Append(nil, v)
	c.Header = http.Header{"x-amz-crc32": {strconv.FormatUint(uint64(crc32.ChecksumIEEE(c.Reply)), 10)}}
}

// notHere says what to run beside this server.
func notHere(what string) *failure {
	if len(what) > 100 {
		what = what[:100]
	}
	return &failure{
		status: http.StatusNotImplemented, kind: service + "UnknownOperationException",
		message: "The DynamoDB in shardmill is only what consumers of streams need for their leases and lacks " + what +
			": run DynamoDB Local beside it and point AWS_ENDPOINT_URL_DYNAMODB there.",
	}
}

// failureOf turns an error of the store into what the client gets.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*itemstore.InputError](err); ok {
		return invalid(e.Message)
	}
	for _, known := range []struct {
		err     error
		kind    string
		message string
	}{
		{itemstore.ErrTableNotFound, "ResourceNotFoundException", "Requested resource not found"},
		{itemstore.ErrIndexNotFound, "ResourceNotFoundException", "Requested resource not found"},
		{itemstore.ErrLimit, "LimitExceededException", err.Error()},
		{itemstore.ErrFull, "LimitExceededException", err.Error()},
		{itemstore.ErrTableExists, "ResourceInUseException", err.Error()},
	} {
		if errors.Is(err, known.err) {
			return &failure{kind: service + known.kind, message: known.message}
		}
	}
	switch {
	case errors.Is(err, itemstore.ErrUnsupported):
		text, _, _ := strings.Cut(err.Error(), ": "+itemstore.ErrUnsupported.Error())
		return notHere(text)
	case errors.Is(err, itemstore.ErrProtected):
		return invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	case errors.Is(err, itemstore.ErrIndexExists):
		return invalid("Attempting to create an index which already exists")
	}
	return &failure{status: http.StatusInternalServerError, kind: service + "InternalServerError", message: "The request processing has failed because of an unknown error."}
}

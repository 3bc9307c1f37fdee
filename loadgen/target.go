package loadgen

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Scheme is how a target is spoken to.
type Scheme string

const (
	SchemeNative Scheme = "native"
	SchemeHTTP   Scheme = "kinesis+http"
	SchemeHTTPS  Scheme = "kinesis+https"
)

// Endpoint is a parsed target.
type Endpoint struct {
	Scheme Scheme
	Addr   string // host:port
	Path   string // of the HTTP endpoint, "/" at least
}

// ParseTarget reads native://host:port, kinesis+http://host:port[/path] or kinesis+https://host[:port][/path].
// Ports of HTTP may be left out. The error is an ErrConfig.
func ParseTarget(s string) (Endpoint, error) {
	bad := func(why string) (Endpoint, error) {
		return Endpoint{}, fmt.Errorf("%w: target %q: %s; want native://host:port, kinesis+http://host:port or kinesis+https://host:port", ErrConfig, s, why)
	}
	if s == "" {
		return bad("missing")
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad(err.Error())
	}
	t := Endpoint{Scheme: Scheme(u.Scheme), Path: u.EscapedPath()}
	port := u.Port()
	switch t.Scheme {
	case SchemeNative:
		if strings.Trim(t.Path, "/") != "" {
			return bad("a native target has no path")
		}
	case SchemeHTTP:
		port = orPort(port, "80")
	case SchemeHTTPS:
		port = orPort(port, "443")
	default:
		return bad("unknown scheme")
	}
	orDefault(&t.Path, "/")
	switch {
	case u.Hostname() == "":
		return bad("no host")
	case port == "":
		return bad("no port")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return bad("only host and port belong here")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return bad("impossible port")
	}
	t.Addr = net.JoinHostPort(u.Hostname(), port)
	return t, nil
}

func orPort(port, otherwise string) string {
	if port == "" {
		return otherwise
	}
	return port
}

// target is the system under load. Its methods may be called concurrently once open has returned.
type target interface {
	// open makes sure that the stream is there and takes records.
	open(ctx context.Context) error
	// sender makes the connection of one worker, whose requests complete through done.
	sender(ctx context.Context, worker uint32, done completion) (sender, error)
	// reader makes a connection for reading.
	reader(ctx context.Context) (reader, error)
	close() error
}

// completion is told what became of requests, each once. It is called by the sender's own goroutine or from within
// send, and must not block.
type completion interface {
	done(tag uint64, o outcome)
}

// outcome is what became of one request.
type outcome struct {
	err    error         // nil: the records were acknowledged, except the failed ones
	failed []int         // indexes of refused records, ascending; valid during the call
	why    *RequestError // of the first refused record
}

// sender carries one worker's requests to the target, in order. Not for concurrent use, except close.
type sender interface {
	wire
	// send sends a stamped request, which may be stamped anew once it returns. An error means that this connection, and
	// with it the target, has failed for good; the request then may or may not complete. It does not allocate where
	// the protocol allows.
	send(ctx context.Context, r *request, tag uint64) error
	close() error
}

// shardRef is one shard of the stream.
type shardRef struct {
	id      string
	lane    uint32 // native: its id in the lane
	parents []string
}

// start is where reading a shard begins.
type start int

const (
	startTail    start = iota // after what the stream holds now
	startHorizon              // at the oldest record kept
)

// cursor is how far a shard has been read. It is a value of the reader's target; whoever holds it may go on with any
// reader of the same target.
type cursor struct {
	shard    shardRef
	position uint64    // native: of the next batch
	horizon  bool      // native: at the oldest batch, position not known yet
	token    string    // HTTP: the next iterator; empty: to be had
	last     string    // HTTP: sequence number of the last record read
	since    time.Time // HTTP: where to begin while nothing has been read; zero: the horizon
	ended    bool      // the shard is closed and everything in it has been read
}

// reader reads a stream back. Not for concurrent use.
type reader interface {
	// shards lists all shards, closed ones too.
	shards(ctx context.Context) ([]shardRef, error)
	// seek makes a cursor.
	seek(ctx context.Context, s shardRef, from start) (*cursor, error)
	// read gives the next records of a shard to c and advances the cursor. tail: nothing more was there at the time
	// of asking. At the tail it waits for up to wait.
	read(ctx context.Context, cur *cursor, wait time.Duration, c *checker) (n int, tail bool, err error)
	// follow reads shards as records come until ctx is done, which is not an error, or a shard ends.
	follow(ctx context.Context, curs []*cursor, c *checker) error
	close() error
}

// newTarget makes the target of a checked configuration.
func newTarget(c *Config, addr Endpoint) target {
	if addr.Scheme == SchemeNative {
		return &nativeTarget{c: c, addr: addr.Addr}
	}
	return newKinesisTarget(c, addr)
}

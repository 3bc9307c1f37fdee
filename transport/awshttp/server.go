package awshttp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Authenticator knows the keys that may sign requests. It is called concurrently and must not block for long.
type Authenticator interface {
	// Lookup returns the secret of an access key and the account it belongs to (empty: the server's).
	Lookup(accessKey string) (secret, account string, ok bool)
}

// Options configure a Server. The zero value of each field is its default.
type Options struct {
	// Authenticator verifies signatures; nil accepts any credentials, but still wants a request to carry some.
	Authenticator Authenticator
	Account       string // of requests that name none; default 000000000000
	Region        string // likewise; default us-east-1
	// MaxInFlight bounds the bytes of all request bodies together; more are answered 503. Default 512 MiB.
	MaxInFlight int64
	// MaxConns bounds open connections over all listeners; further ones wait in the accept queue. Default 100,000.
	MaxConns int
	// CORS is the origin (https://example.com) whose web pages may call the server, or "*" for all of them. Empty: all where
	// there is an Authenticator, as AWS does it; else only the server's own.
	CORS string
	// Loopback says that all listeners are on loopback: without an Authenticator, requests must then name an address of
	// this machine, localhost or one of Hosts, so that no web site can point its own name here. CORS "*" lifts that.
	Loopback bool
	Hosts    []string // further names of this machine
	// Log takes what no client can be told; default: nothing is logged.
	Log *slog.Logger
}

func (o *Options) setDefaults() {
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 512 << 20
	}
	if o.MaxConns == 0 {
		o.MaxConns = 100_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Limits of connections.
const (
	headerTimeout  = 5 * time.Second
	idleTimeout    = 120 * time.Second
	maxHeaderBytes = 32 << 10
	maxStreams     = 128
)

// Server is the front door of all services. Its methods may be called concurrently.
type Server struct {
	opts       Options
	routes     map[string]*route
	codecs     map[string]Codec
	keys       *keyCache
	door       door
	extra      *http.ServeMux
	http       http.Server
	conns      chan struct{} // one token for each open connection
	neighbours []Neighbour
	inFlight   atomic.Int64 // bytes of request bodies being handled
	drain      context.Context
	endStreams context.CancelFunc // ends drain: event streams come to their end
}

// NewServer builds a server of the given services. It listens nowhere until Serve or ServeTLS.
func NewServer(o Options, services ...Service) (*Server, error) {
	o.setDefaults()
	table, err := routes(services)
	if err != nil {
		return nil, err
	}
	binary, err := NewCBOR()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:   o,
		routes: table,
		codecs: map[string]Codec{JSON{}.ContentType(): JSON{}, binary.ContentType(): binary},
		keys:   newKeyCache(maxSigningKeys),
		door:   newDoor(&o),
		extra:  http.NewServeMux(),
		conns:  make(chan struct{}, o.MaxConns),
	}
	s.drain, s.endStreams = context.WithCancel(context.Background())
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // also what carries HTTP/2 over TLS, see ServeTLS
	s.http = http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Handle mounts a handler that is no AWS API (metrics, health) at a pattern of http.ServeMux. Call it before Serve.
func (s *Server) Handle(pattern string, h http.Handler) { s.extra.Handle(pattern, h) }

// ServeHTTP answers one request. Mounted handlers are asked first, except where the request names an AWS action.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if reason := s.door.refusal(r); reason != "" {
		x := exchange{s: s, w: w, r: r, codec: JSON{}}
		x.identify()
		x.fail(&Error{Status: http.StatusForbidden, Type: "AccessDeniedException", Message: reason})
		return
	}
	if r.URL.Path != "/" && r.Header.Get("X-Amz-Target") == "" {
		if h, pattern := s.extra.Handler(r); pattern != "" {
			// A reply on this connection may have left a deadline behind.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
			h.ServeHTTP(w, r)
			return
		}
	}
	if n := s.neighbour(r); n != nil {
		s.serveNeighbour(n, w, r)
		return
	}
	s.serveAWS(w, r)
}

// Serve answers plain connections from l, HTTP/1.1 and HTTP/2 by prior knowledge, until Shutdown or Close. It closes l.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(&limitListener{Listener: l, tokens: s.conns})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ServeTLS is Serve over TLS. HTTP/2 is spoken to clients that ask for it by ALPN and to those which start it without
// asking, as the AWS SDK for Java does: net/http looks for the HTTP/2 preface on any connection that does not look like
// TLS to it. The price is that Request.TLS is nil.
func (s *Server) ServeTLS(l net.Listener, cert tls.Certificate) error {
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	return s.Serve(&tlsListener{Listener: l, config: cfg})
}

// Shutdown stops listening, ends event streams and waits for calls under way until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.endStreams()
	return s.http.Shutdown(ctx)
}

// Close stops at once.
func (s *Server) Close() error {
	s.endStreams()
	return s.http.Close()
}

// limitListener holds accepts back while too many connections are open.
type limitListener struct {
	net.Listener
	tokens chan struct{}
}

func (l *limitListener) Accept() (net.Conn, error) {
	l.tokens <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.tokens
		return nil, err
	}
	return &limitConn{Conn: c, release: l.release}, nil
}

func (l *limitListener) release() { <-l.tokens }

// limitConn gives its token back when closed.
type limitConn struct {
	net.Conn
	closed  atomic.Bool
	release func()
}

func (c *limitConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.release()
	}
	return c.Conn.Close()
}

package awshttp

import (
	"maps"
	"net/http"
	"strings"

	"github.com/valyala/bytebufferpool"
)

// Neighbour is a service with a wire form of its own behind the same door: what clients of the other services call too.
// The server reads the body and checks the signature; everything else is the neighbour's.
type Neighbour struct {
	// Name tells the service apart in metrics, e.g. dynamodb.
	Name string
	// Signing is the service name in credential scopes; a request without X-Amz-Target is told by it.
	Signing string
	// Target is the prefix of X-Amz-Target, Path that of URL paths, of the service's requests. Empty means none.
	Target, Path string
	// MaxBody bounds a request body in bytes; 0 means DefaultMaxBody.
	MaxBody int64
	// Serve answers a call, Refuse one that failed with e before it could be served. Both are called concurrently.
	Serve  func(*NeighbourCall)
	Refuse func(c *NeighbourCall, e *Error)
}

// NeighbourCall is one request for a neighbour and its reply. It is used by one goroutine.
type NeighbourCall struct {
	Identity  // not set in Refuse
	Request   *http.Request
	Body      []byte // valid until the call is answered
	RequestID string

	// Action and Code are for metrics: the action where it is a known one, and the error's type, empty for none.
	Action, Code string

	Status      int // 0 means 200
	ContentType string
	Header      http.Header // further headers, nil for none; sent with the spelling given
	Reply       []byte
}

// AddNeighbour puts a neighbour behind the door. Call it before Serve.
func (s *Server) AddNeighbour(n Neighbour) { s.neighbours = append(s.neighbours, n) }

// neighbour finds the neighbour that a request is for, nil for none.
func (s *Server) neighbour(r *http.Request) *Neighbour {
	if len(s.neighbours) == 0 {
		return nil
	}
	target, _, targeted := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	service := ""
	if !targeted {
		service = scopeService(r)
	}
	for i := range s.neighbours {
		n := &s.neighbours[i]
		switch {
		case targeted:
			if n.Target != "" && n.Target == target {
				return n
			}
		case service == n.Signing || n.Path != "" && strings.HasPrefix(r.URL.Path, n.Path):
			return n
		}
	}
	return nil
}

// scopeService is the service that a request is signed for, empty where it does not say. The signature is checked later.
func scopeService(r *http.Request) string {
	_, credential, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		credential = r.URL.Query().Get("X-Amz-Credential")
	}
	credential, _, _ = strings.Cut(credential, ",")
	part := strings.Split(strings.TrimSpace(credential), "/")
	if len(part) < 5 { // key, day, region, service, terminator
		return ""
	}
	return part[len(part)-2]
}

// spelled is a header of a reply whose name is kept as it is written here.
func spelled(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// serveNeighbour answers one request with a neighbour.
func (s *Server) serveNeighbour(n *Neighbour, w http.ResponseWriter, r *http.Request) {
	x := exchange{s: s, w: w, r: r}
	if x.preflight() {
		return
	}
	c := NeighbourCall{Request: r, RequestID: spelled(w.Header(), "x-amzn-RequestId")}
	limit := n.MaxBody
	if limit == 0 {
		limit = DefaultMaxBody
	}
	buf := bytebufferpool.Get()
	defer bytebufferpool.Put(buf)
	release, status := s.readBody(w, r, buf, limit)
	if release > 0 {
		defer s.inFlight.Add(-release)
	}
	c.Body = buf.B
	switch id, err := s.verify(r, c.Body, n.Signing); {
	case status == http.StatusServiceUnavailable:
		n.Refuse(&c, &Error{Status: status, Type: "ServiceUnavailable", Message: "Service is busy."})
	case status != 0:
		w.Header().Set("Connection", "close")
		n.Refuse(&c, &Error{Status: status, Type: "RequestEntityTooLarge", Message: http.StatusText(status)})
	case err != nil:
		n.Refuse(&c, err)
	default:
		c.Identity = id
		n.Serve(&c)
	}
	maps.Copy(w.Header(), c.Header)
	if c.Status == 0 {
		c.Status = http.StatusOK
	}
	x.send(c.Status, c.ContentType, c.Reply)
}

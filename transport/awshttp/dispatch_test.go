package awshttp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// echoServer has two actions: Echo answers its input, Break fails without an AWS error.
func echoServer(t testing.TB, o Options) *Server {
	t.Helper()
	shape := &Shape{Type: StructureShape, Members: []Member{{Name: "Text", Required: true, Shape: &Shape{Type: StringShape, Max: bound(3)}}}}
	s, err := NewServer(o, Service{Target: "Echo_1", Signing: "echo", MaxBody: 1000, Actions: []Action{
		{Name: "Echo", Input: shape, Do: func(c *Call) error { c.Reply(c.Input); return nil }},
		{Name: "Quiet", Input: &Shape{Type: StructureShape}, Do: func(*Call) error { return nil }},
		{Name: "Break", Input: &Shape{Type: StructureShape}, Do: func(*Call) error { return errors.New("secret detail") }},
		{
			Name: "Direct", Input: shape, Do: func(c *Call) error { c.Reply(StringValue("general")); return nil },
			Direct: func(c *Call) (bool, error) {
				if bytes.Contains(c.Body, []byte("fast")) {
					c.Out.B = append(c.Out.B, `"direct"`...)
					return true, nil
				}
				return false, nil
			},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	jsonType   = "application/x-amz-json-1.1"
	someAuth   = "AWS4-HMAC-SHA256 Credential=a/20260101/r/echo/aws4_request, SignedHeaders=host, Signature=0"
	xmlDenied  = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"
	xmlUnknown = "<UnknownOperationException/>\n"
)

// exchangeCase is one request and what must come back.
type exchangeCase struct {
	method, path, contentType, target, auth, body string
	origin                                        bool
	status                                        int
	gotType, got                                  string
}

func (c exchangeCase) run(t *testing.T, s *Server) *http.Response {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = "/"
	}
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
	for name, v := range map[string]string{"Content-Type": c.contentType, "X-Amz-Target": c.target, "Authorization": c.auth} {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	if c.origin {
		r.Header.Set("Origin", "http://example")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	resp := w.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.gotType || string(body) != c.got {
		t.Errorf("%+v:\ngot %d %q %q", c, resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
	id := asSent(resp.Header, "x-amzn-RequestId")
	if len(id) != 1 || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id[0]) {
		t.Errorf("%+v: request id %q", c, id)
	}
	return resp
}

// asSent returns a header whose name the server writes as AWS does, not in Go's form.
func asSent(h http.Header, name string) []string { return h[name] }

func cborError(name string) string { return string(cborType1(name)) }

// TestOrderOfChecks walks through the checks in the order AWS makes them: each case passes those before its own.
func TestOrderOfChecks(t *testing.T) {
	s := echoServer(t, Options{})
	const old = `{"Output":{"__type":"com.amazon.coral.service#`
	for _, c := range []exchangeCase{
		// method
		{method: http.MethodGet, status: 403, got: xmlDenied},
		{method: http.MethodPut, target: "Echo_1.Echo", contentType: jsonType, auth: someAuth, body: `{"Text":"a"}`, status: 403, got: xmlDenied},
		{method: http.MethodOptions, status: 403, got: xmlDenied},
		// empty body
		{status: 400, gotType: cborType, got: cborError("UnknownOperationException")},
		{target: "Echo_1.Echo", status: 400, gotType: cborType, got: cborError("SerializationException")},
		{target: "Echo_1.Ech", status: 400, gotType: cborType, got: cborError("UnknownOperationException")},
		{contentType: oldJSONType, target: "Echo_1.Echo", status: 400, gotType: cborType, got: cborError("SerializationException")},
		{contentType: jsonType, status: 400, gotType: jsonType, got: `{"__type":"UnknownOperationException"}`},
		{contentType: jsonType, target: "Echo_1.Echo", status: 400, gotType: jsonType, got: `{"__type":"SerializationException"}`},
		// content type
		{body: "{}", status: 403, got: xmlDenied},
		{body: "{}", target: "Echo_1.", status: 403, got: xmlDenied},
		{body: "{}", target: "Echo_1.Echo", status: 404, got: xmlUnknown},
		{body: "{}", target: "x.y", contentType: "application/x-amz-json-1.0", status: 404, got: xmlUnknown},
		// document
		{body: "hello", contentType: jsonType, target: "Echo_1.Echo", status: 400, gotType: jsonType, got: `{"__type":"SerializationException"}`},
		{body: "true", contentType: jsonType, target: "x", status: 400, gotType: jsonType, got: `{"__type":"SerializationException"}`},
		{body: "null", contentType: jsonType, status: 400, gotType: jsonType, got: `{"__type":"SerializationException"}`},
		{body: "hello", contentType: "  application/json  ;x", status: 400, gotType: oldJSONType, got: old + `SerializationException"},"Version":"1.0"}`},
		{body: "{}", contentType: oldJSONType, target: "Echo_1.Echo", status: 404, gotType: oldJSONType, got: old + `UnknownOperationException"},"Version":"1.0"}`},
		// target
		{body: "{}", contentType: jsonType, target: "Echo_1.Nope", status: 400, gotType: jsonType, got: `{"__type":"UnknownOperationException"}`},
		{body: "{}", contentType: jsonType, target: "Nope.Echo", status: 400, gotType: jsonType, got: `{"__type":"UnknownOperationException"}`},
		// authentication
		{
			body: "{}", contentType: jsonType, target: "Echo_1.Echo", status: 400, gotType: jsonType,
			got: `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`,
		},
		{
			body: "{}", contentType: jsonType, target: "Echo_1.Echo", auth: "X", path: "/?X-Amz-Algorithm", status: 400, gotType: jsonType,
			got: `{"__type":"InvalidSignatureException","message":"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}`,
		},
		{
			body: "{}", contentType: jsonType, target: "Echo_1.Echo", auth: "AWS4- Signature=b,Credential=a", status: 400, gotType: jsonType,
			got: `{"__type":"IncompleteSignatureException","message":"Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b,Credential=a"}`,
		},
		{
			body: "{}", contentType: jsonType, target: "Echo_1.Echo", path: "/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d",
			status: 400, gotType: jsonType,
			got: `{"__type":"IncompleteSignatureException","message":"AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters."}`,
		},
		// types, constraints, the action
		{
			body: `{"Text":[]}`, contentType: jsonType, target: "Echo_1.Echo", auth: someAuth, status: 400, gotType: jsonType,
			got: `{"__type":"SerializationException","Message":"Start of list found where not expected"}`,
		},
		{
			body: `{}`, contentType: jsonType, target: "Echo_1.Echo", auth: someAuth, status: 400, gotType: jsonType,
			got: `{"__type":"ValidationException","message":"1 validation error detected: Value null at 'text' failed to satisfy constraint: Member must not be null"}`,
		},
		{body: `{"Text":"a"}`, contentType: jsonType + "; charset=x", target: "Echo_1.Echo", auth: someAuth, path: "/any/path", status: 200, gotType: jsonType, got: `{"Text":"a"}`},
		{body: `{}`, contentType: jsonType, target: "Echo_1.Quiet", auth: someAuth, status: 200, gotType: jsonType},
		{body: `{}`, contentType: jsonType, target: "Echo_1.Break", auth: someAuth, status: 500, gotType: jsonType, got: `{"__type":"InternalFailure"}`},
		// the direct path changes nothing of the above
		{body: `{"fast"`, contentType: jsonType, target: "Echo_1.Direct", status: 400, gotType: jsonType, got: `{"__type":"SerializationException"}`},
		{
			body: `{"fast":1}`, contentType: jsonType, target: "Echo_1.Direct", status: 400, gotType: jsonType,
			got: `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`,
		},
		{body: `{"fast":1}`, contentType: jsonType, target: "Echo_1.Direct", auth: someAuth, status: 200, gotType: jsonType, got: `"direct"`},
		{body: `{"Text":"x"}`, contentType: jsonType, target: "Echo_1.Direct", auth: someAuth, status: 200, gotType: jsonType, got: `"general"`},
	} {
		resp := c.run(t, s)
		if raw, err := base64.StdEncoding.DecodeString(asSent(resp.Header, "x-amz-id-2")[0]); err != nil || len(raw) < 64 || len(raw) > 80 {
			t.Errorf("%+v: second id of %d bytes, %v", c, len(raw), err)
		}
	}
}

// TestOrderOfChecksCBOR is a part of the same in the other wire form.
func TestOrderOfChecksCBOR(t *testing.T) {
	s := echoServer(t, Options{})
	for _, c := range []exchangeCase{
		{body: "\xbf\x61", contentType: cborType, target: "Echo_1.Echo", status: 400, gotType: cborType, got: cborError("SerializationException")},
		{body: "\xf6", contentType: cborType, target: "Echo_1.Echo", status: 400, gotType: cborType, got: cborError("SerializationException")},
		{body: "\xbf\xff", contentType: cborType, target: "Echo_1.Nope", status: 400, gotType: cborType, got: cborError("UnknownOperationException")},
		{
			body: "\xbf\xff", contentType: cborType, target: "Echo_1.Echo", status: 400, gotType: cborType,
			got: "\xa2\x66__type\x78\x23MissingAuthenticationTokenException\x67message\x78\x1cMissing Authentication Token",
		},
		{
			body: "\xbf\x64Text\x61x\xff", contentType: cborType, target: "Echo_1.Direct", auth: someAuth, status: 200, gotType: cborType,
			got: "\x67general",
		},
		{
			body: "\xa1\x64Text\x80", contentType: cborType, target: "Echo_1.Echo", auth: someAuth, status: 400, gotType: cborType,
			got: "\xa2\x66__type\x76SerializationException\x67Message\x78\x26Start of list found where not expected",
		},
	} {
		c.run(t, s)
	}
}

func TestCORS(t *testing.T) {
	s := echoServer(t, Options{CORS: "*"})
	resp := exchangeCase{method: http.MethodOptions, origin: true, status: 200}.run(t, s)
	h := resp.Header
	if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Max-Age") != "172800" || asSent(h, "x-amz-id-2") != nil {
		t.Errorf("preflight: %v", h)
	}
	resp = exchangeCase{origin: true, status: 400, gotType: cborType, got: cborError("UnknownOperationException")}.run(t, s)
	if resp.Header.Get("Access-Control-Allow-Origin") != "*" || resp.Header.Get("Access-Control-Expose-Headers") != exposed {
		t.Errorf("reply to another origin: %v", resp.Header)
	}
}

func TestBodyLimits(t *testing.T) {
	f := func(o Options, body io.Reader, length int64, want int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.ContentLength = length
		r.Header.Set("X-Amz-Target", "Echo_1.Echo")
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("Authorization", someAuth)
		r.Header.Set("X-Amz-Date", "x")
		w := httptest.NewRecorder()
		s := echoServer(t, o)
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d bytes: %d, want %d: %s", length, w.Code, want, w.Body)
		}
		if n := s.inFlight.Load(); n != 0 {
			t.Errorf("%d bytes are still in flight", n)
		}
	}
	pad := func(n int) string { return `{"Text":"a"}` + strings.Repeat(" ", n-12) }
	f(Options{}, strings.NewReader(pad(1000)), 1000, 200)
	f(Options{}, strings.NewReader(pad(1001)), 1001, 413)
	f(Options{}, strings.NewReader(pad(1000)), -1, 200)
	f(Options{}, strings.NewReader(pad(1001)), -1, 413)
	f(Options{}, strings.NewReader(pad(100)), 200, 408) // shorter than it said
	f(Options{MaxInFlight: 500}, strings.NewReader(pad(501)), 501, 503)
	f(Options{MaxInFlight: 500}, strings.NewReader(pad(500)), 500, 200)
}

func TestMountedHandlers(t *testing.T) {
	s := echoServer(t, Options{})
	s.Handle("/health", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	f := func(method, path, target string, want int) {
		t.Helper()
		r := httptest.NewRequest(method, path, nil)
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s: %d, want %d", method, path, w.Code, want)
		}
	}
	f(http.MethodGet, "/health", "", http.StatusTeapot)
	f(http.MethodGet, "/other", "", http.StatusForbidden)
	f(http.MethodPost, "/health", "Echo_1.Echo", http.StatusBadRequest)
}

func TestNewServerRefuses(t *testing.T) {
	f := func(services ...Service) {
		t.Helper()
		if _, err := NewServer(Options{}, services...); err == nil {
			t.Errorf("%+v is accepted", services)
		}
	}
	shape := &Shape{Type: StructureShape}
	f(Service{Target: "a"}, Service{Target: "a"})
	f(Service{Target: "a", Actions: []Action{{Name: "x", Input: shape}, {Name: "x", Input: shape}}})
	f(Service{Target: "a", Actions: []Action{{Name: "x", Input: &Shape{Type: StringShape, Pattern: "["}}}})
}

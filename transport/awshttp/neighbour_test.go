package awshttp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// visited is what a neighbour of the test saw.
func visited(c *NeighbourCall) {
	c.ContentType, c.Reply = "text/plain", []byte("served "+c.Account+" "+c.Region+" "+string(c.Body))
	c.Header = http.Header{"x-own": {"1"}}
}

func TestNeighbours(t *testing.T) {
	for _, auth := range []Authenticator{nil, oneKey{}} {
		s, err := NewServer(Options{Authenticator: auth})
		if err != nil {
			t.Fatal(err)
		}
		refuse := func(c *NeighbourCall, e *Error) { c.Status, c.Reply = e.status(), []byte("refused "+e.Type) }
		s.AddNeighbour(Neighbour{Name: "form", Signing: "form", MaxBody: 10, Serve: visited, Refuse: refuse})
		s.AddNeighbour(Neighbour{Name: "json", Signing: "json", Target: "Target", Path: "/service/x/", Serve: visited, Refuse: refuse})
		f := func(target, path, scope, body string, status int, want string) {
			t.Helper()
			r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(body))
			if target != "" {
				r.Header.Set("X-Amz-Target", target)
			}
			if scope != "" {
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=000000000007/20261122/eu-north-1/"+scope+"/aws4_request, SignedHeaders=host, Signature=00")
				r.Header.Set("X-Amz-Date", "20261122T000000Z")
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			got, _ := io.ReadAll(w.Result().Body)
			if w.Result().StatusCode != status || !strings.HasPrefix(string(got), want) {
				t.Errorf("auth %v, target %q, path %q, scope %q: %d %s, want %d %s", auth != nil, target, path, scope, w.Result().StatusCode, got, status, want)
			}
			if len(asSent(w.Result().Header, "x-amzn-RequestId")) != 1 {
				t.Error("no request id")
			}
		}
		if auth != nil {
			f("", "/", "form", "a", 400, "refused ") // an old date, a wrong signature
			f("Target.Do", "/", "", "a", 400, "refused MissingAuthenticationToken")
			continue
		}
		f("", "/", "form", "a", 200, "served 000000000007 eu-north-1 a")
		f("", "/", "form", "more than ten bytes", 413, "refused RequestEntityTooLarge")
		f("Target.Do", "/", "kinesis", "a", 200, "served 000000000007 eu-north-1 a")
		f("", "/service/x/Do", "other", "a", 200, "served")
		f("Target.Do", "/", "", "a", 400, "refused MissingAuthenticationToken")
		f("Other.Do", "/", "form", "a", 404, "<UnknownOperationException/>")
		f("", "/", "other", "a", 403, "<AccessDeniedException>")
		f("", "/", "", "a", 403, "<AccessDeniedException>")
	}
}

// oneKey knows one key.
type oneKey struct{}

// Lookup implements Authenticator.
func (oneKey) Lookup(key string) (secret, account string, ok bool) {
	return "secret", "", key == "000000000007"
}

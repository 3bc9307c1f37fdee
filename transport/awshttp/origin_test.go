package awshttp

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type anyKey struct{}

func (anyKey) Lookup(string) (secret, account string, ok bool) { return "s", "", true }

// TestDoor asks as browsers and programs would. Whoever may not enter is refused before anything is looked at.
func TestDoor(t *testing.T) {
	open, local := Options{}, Options{Loopback: true, Hosts: []string{"Workstation"}}
	f := func(o Options, host, origin string, status int, allowed string) {
		t.Helper()
		s := echoServer(t, o)
		s.Handle("GET /health", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		for _, path := range []string{"/", "/health"} {
			method, want := http.MethodPost, status
			if path == "/health" && status == http.StatusOK {
				method, want = http.MethodGet, http.StatusTeapot
			}
			r := httptest.NewRequest(method, path, strings.NewReader(`{"Text":"a"}`))
			r.Host = host
			r.Header.Set("Content-Type", jsonType)
			r.Header.Set("X-Amz-Target", "Echo_1.Echo")
			r.Header.Set("Authorization", someAuth)
			r.Header.Set("X-Amz-Date", "20260101T000000Z")
			if path == "/health" {
				r.Header.Del("X-Amz-Target")
			}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%+v, host %q, origin %q, %s: %d, want %d: %s", o, host, origin, path, w.Code, want, w.Body)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); path == "/" && got != allowed {
				t.Errorf("%+v, host %q, origin %q: allows %q, want %q", o, host, origin, got, allowed)
			}
			if want == http.StatusForbidden && !strings.Contains(w.Body.String(), `"__type":"AccessDeniedException"`) {
				t.Errorf("refusal: %s", w.Body)
			}
		}
	}
	for _, o := range []Options{open, local} {
		f(o, "127.0.0.1:4566", "", 200, "")
		f(o, "127.0.0.1:4566", "http://127.0.0.1:4566", 200, "")
		f(o, "localhost:4566", "https://LOCALHOST:4566", 200, "")
		for _, origin := range []string{
			"https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:8080", "file://127.0.0.1:4566",
			"http://127.0.0.1:4566.evil.example", "http://x@127.0.0.1:4567", "chrome-extension://abc", "\x01", "http://",
		} {
			f(o, "127.0.0.1:4566", origin, 403, "")
		}
		f(o, "", "http://", 403, "")
	}
	for _, host := range []string{"", "localhost", "LOCALHOST.:4566", "a.localhost:1", "127.0.0.1", "10.1.2.3:4566", "[::1]:4566", "[::1]", "workstation:4566", "host.docker.internal:4566"} {
		f(local, host, "", 200, "")
	}
	for _, host := range []string{"evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost.evil.example", "other", "2130706433.", "internal.evil"} {
		f(local, host, "", 403, "")
		f(local, host, "http://"+host, 403, "") // rebinding: the page's origin is the host it asks
		f(open, host, "", 200, "")
	}
	const good = "https://good.example"
	f(Options{CORS: "*", Loopback: true}, "any.example", good, 200, "*")
	f(Options{CORS: good}, "127.0.0.1", good, 200, good)
	f(Options{CORS: good}, "127.0.0.1", "https://evil.example", 403, "")
	f(Options{CORS: good, Loopback: true}, "evil.example", good, 403, "")
	// With keys a stranger's page can do nothing, and everything is as at AWS. (The signature is wrong: 400.)
	f(Options{Authenticator: anyKey{}, Loopback: true}, "any.example", "https://evil.example", 400, "*")
	f(Options{Authenticator: anyKey{}, CORS: good}, "any.example", "https://evil.example", 403, "")
}

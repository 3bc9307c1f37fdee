package kinesisapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys is the Authenticator of tests that sign.
type keys map[string]string

func (k keys) Lookup(key string) (secret, account string, ok bool) {
	secret, ok = k[key]
	return secret, "", ok
}

// newServer is a server over a real engine that keeps everything in memory.
func newServer(t testing.TB, eo engine.Options, so awshttp.Options) (*awshttp.Server, *engine.Engine) {
	t.Helper()
	e, err := engine.Open(eo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	api, err := New(e)
	if err != nil {
		t.Fatal(err)
	}
	s, err := awshttp.NewServer(so, api.Service())
	if err != nil {
		t.Fatal(err)
	}
	return s, e
}

// listen serves s on a free port and returns its address.
func listen(t testing.TB, serve func(net.Listener) error, stop func(context.Context) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

const anyCredentials = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00"

// call sends one action to a handler, unsigned but with credentials, and returns status and document.
func call(t testing.TB, h http.Handler, action, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte(body)))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+action)
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Authorization", anyCredentials)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) == 0 {
		return w.Code, nil
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("%s %s: %v in %q", action, body, err, raw)
	}
	return w.Code, doc
}

// must is call for requests that have to succeed.
func must(t testing.TB, h http.Handler, action, body string) map[string]any {
	t.Helper()
	code, doc := call(t, h, action, body)
	if code != http.StatusOK {
		t.Fatalf("%s %s: %d %v", action, body, code, doc)
	}
	return doc
}

// TestServeForSuites runs a server for foreign suites until it is interrupted. SHARDMILL_TEST_LISTEN and
// SHARDMILL_TEST_TLS give addresses, SHARDMILL_TEST_TRANSITION how long streams stay CREATING.
func TestServeForSuites(t *testing.T) {
	plain := os.Getenv("SHARDMILL_TEST_LISTEN")
	if plain == "" {
		t.Skip("SHARDMILL_TEST_LISTEN is not set: nobody wants a server")
	}
	o := engine.Options{ShardLimit: 50}
	if d := os.Getenv("SHARDMILL_TEST_TRANSITION"); d != "" {
		var err error
		if o.Transition, err = time.ParseDuration(d); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := newServer(t, o, awshttp.Options{})
	defer func() { _ = s.Close() }() // the process ends here
	serve := func(address string, f func(net.Listener) error) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		go func() { _ = f(l) }()
	}
	serve(plain, s.Serve)
	if address := os.Getenv("SHARDMILL_TEST_TLS"); address != "" {
		serve(address, func(l net.Listener) error { return serveTLS(t, s, l) })
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-ctx.Done()
}

func serveTLS(t testing.TB, s *awshttp.Server, l net.Listener) error {
	cert, key, err := awshttp.MakeCertificate(time.Now())
	if err != nil {
		t.Error(err)
		return err
	}
	pair, err := awshttp.ParseCertificate(time.Now(), cert, key)
	if err != nil {
		t.Error(err)
		return err
	}
	return s.ServeTLS(l, pair)
}

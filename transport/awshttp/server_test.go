package awshttp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// start serves s on a free port until the test ends.
func start(t *testing.T, s *Server, serve func(net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// certificate makes a pair and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	certPEM, keyPEM, err := MakeCertificate(time.Now(), "some.host", "192.0.2.1", "localhost", "")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ParseCertificate(time.Now(), certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certPEM) {
		t.Fatal("the certificate is no PEM")
	}
	return pair, pool
}

func echoOnce(t *testing.T, c *http.Client, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(`{"Text":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("X-Amz-Target", "Echo_1.Echo")
	r.Header.Set("X-Amz-Date", "x")
	r.Header.Set("Authorization", someAuth)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if e := resp.Body.Close(); err != nil || e != nil || string(body) != `{"Text":"a"}` || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %d %q %v %v", url, resp.StatusCode, body, err, e)
	}
	return resp
}

// TestProtocols speaks every protocol that clients are known to use.
func TestProtocols(t *testing.T) {
	s := echoServer(t, Options{})
	pair, pool := certificate(t)
	plain := start(t, s, s.Serve)
	secure := start(t, s, func(l net.Listener) error { return s.ServeTLS(l, pair) })
	f := func(name, url string, want int, tr *http.Transport) {
		t.Helper()
		defer tr.CloseIdleConnections()
		c := &http.Client{Transport: tr}
		for range 3 {
			if resp := echoOnce(t, c, url); resp.ProtoMajor != want {
				t.Errorf("%s: HTTP/%d, want %d", name, resp.ProtoMajor, want)
			}
		}
	}
	only := func(set func(*http.Protocols)) *http.Protocols { p := new(http.Protocols); set(p); return p }
	h1 := only(func(p *http.Protocols) { p.SetHTTP1(true) })
	f("HTTP/1.1", "http://"+plain, 1, &http.Transport{Protocols: h1})
	f("h2c", "http://"+plain, 2, &http.Transport{Protocols: only(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })})
	trust := &tls.Config{RootCAs: pool}
	f("HTTP/1.1 over TLS", "https://"+secure, 1, &http.Transport{Protocols: h1, TLSClientConfig: trust.Clone()})
	f("h2 by ALPN", "https://"+secure, 2, &http.Transport{
		Protocols: only(func(p *http.Protocols) { p.SetHTTP2(true) }), TLSClientConfig: trust.Clone(),
	})
	// As the AWS SDK for Java does it: TLS without ALPN, then the HTTP/2 preface.
	f("h2 without ALPN", "http://"+secure, 2, &http.Transport{
		Protocols: only(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost"}}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if tc, ok := c.(*tls.Conn); !ok || tc.ConnectionState().NegotiatedProtocol != "" {
				t.Error("the test negotiated a protocol")
			}
			return struct{ net.Conn }{c}, nil // hides the *tls.Conn from the transport
		},
	})
}

// TestPlainOnTLS wants a client that forgot TLS to be turned away, and the server to live on.
func TestPlainOnTLS(t *testing.T) {
	s := echoServer(t, Options{})
	pair, pool := certificate(t)
	address := start(t, s, func(l net.Listener) error { return s.ServeTLS(l, pair) })
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if raw, _ := io.ReadAll(c); strings.HasPrefix(string(raw), "HTTP/1.1 200") {
		t.Errorf("answered %q", raw)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer tr.CloseIdleConnections()
	echoOnce(t, &http.Client{Transport: tr}, "https://"+address)
}

func TestCertificate(t *testing.T) {
	pair, _ := certificate(t)
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "some.host", "192.0.2.1"} {
		if err := pair.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	certPEM, keyPEM, err := MakeCertificate(time.Now().Add(-6 * certificateLife))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCertificate(time.Now(), certPEM, keyPEM); err == nil {
		t.Error("an expired certificate is taken")
	}
	if _, err := ParseCertificate(time.Now(), keyPEM, certPEM); err == nil {
		t.Error("a swapped pair is taken")
	}
}

// TestConnectionLimit opens one connection more than allowed: it is served when another goes.
func TestConnectionLimit(t *testing.T) {
	s := echoServer(t, Options{MaxConns: 2})
	address := start(t, s, s.Serve)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	answered := func(c net.Conn, within time.Duration) bool {
		_ = c.SetReadDeadline(time.Now().Add(within))
		line, err := bufio.NewReader(c).ReadString('\n')
		return err == nil && strings.HasPrefix(line, "HTTP/1.1 403")
	}
	a, b := dial(), dial()
	if !answered(a, 10*time.Second) || !answered(b, 10*time.Second) {
		t.Fatal("the first two connections are not served")
	}
	third := dial()
	if answered(third, 100*time.Millisecond) {
		t.Error("a third connection is served")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if !answered(third, 10*time.Second) {
		t.Error("a third connection is not served after another closed")
	}
	_, _ = b.Close(), third.Close() // done with both
}

// TestInFlightIsGivenBack lets net/http drop the connection of a broken invariant and go on.
func TestInFlightIsGivenBack(t *testing.T) {
	s := echoServer(t, Options{})
	s.Handle("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	address := start(t, s, s.Serve)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/panic", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Error("an aborted handler answers")
	}
	echoOnce(t, c, "http://"+address)
	if n := s.inFlight.Load(); n != 0 {
		t.Errorf("%d bytes are still in flight", n)
	}
}

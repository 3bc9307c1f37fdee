package loadgen

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	// maxReply bounds a reply's body: GetRecords answers 10 MiB of data, in base64, with some room.
	maxReply = 16 << 20
	// idleLimit is how long a connection may have been idle to be used again: servers close idle ones, Node after 5 s, and
	// a request that meets the close would be an error that says nothing about the target.
	idleLimit = 4 * time.Second

	contentType = "application/x-amz-json-1.1"
	apiPrefix   = "Kinesis_20131202."
	// noAuthorization has the shape of a signature and proves nothing.
	noAuthorization = "AWS4-HMAC-SHA256 Credential=shardmill/20260101/%s/kinesis/aws4_request, " +
		"SignedHeaders=content-type;host;x-amz-date;x-amz-target, " +
		"Signature=0000000000000000000000000000000000000000000000000000000000000000"
)

// caller is how requests are addressed and signed; shared by all connections of a target and never written.
type caller struct {
	endpoint Endpoint
	region   string
	creds    aws.Credentials // empty access key: not signed
	timeout  time.Duration
	tls      *tls.Config // nil: plain HTTP
	signer   *v4.Signer
}

func newCaller(c *Config, e Endpoint) *caller {
	k := &caller{
		endpoint: e, region: c.Region, timeout: c.Timeout, signer: v4.NewSigner(),
		creds: aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SessionToken: c.SessionToken},
	}
	if e.Scheme == SchemeHTTPS {
		host, _, _ := net.SplitHostPort(e.Addr) // was joined by ParseTarget
		k.tls = &tls.Config{
			ServerName: host, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: c.TLSInsecure, //nolint:gosec // asked for by name, for self-signed servers
		}
	}
	return k
}

// head returns everything before the body of a request, up to the length of which the body is known only when it is
// sent: the caller ends it with Content-Length.
func (k *caller) head(action string, now time.Time) []byte {
	h := "POST " + k.endpoint.Path + " HTTP/1.1\r\nHost: " + k.endpoint.Addr +
		"\r\nUser-Agent: shardmill-load\r\nAccept-Encoding: identity\r\nContent-Type: " + contentType +
		"\r\nX-Amz-Target: " + apiPrefix + action
	if k.creds.AccessKeyID == "" {
		h += "\r\nX-Amz-Date: " + now.UTC().Format("20060102T150405Z") +
			"\r\nAuthorization: " + fmt.Sprintf(noAuthorization, k.region)
	}
	return append([]byte(h), "\r\nContent-Length: "...)
}

// sign appends the headers that sign a request to dst.
func (k *caller) sign(ctx context.Context, dst []byte, action string, body []byte, now time.Time) ([]byte, error) {
	scheme := "http://"
	if k.tls != nil {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+k.endpoint.Addr+k.endpoint.Path, nil)
	if err != nil {
		return dst, err
	}
	req.ContentLength = int64(len(body))
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Amz-Target", apiPrefix+action)
	sum := sha256.Sum256(body)
	if err := k.signer.SignHTTP(ctx, k.creds, req, hex.EncodeToString(sum[:]), "kinesis", k.region, now); err != nil {
		return dst, fmt.Errorf("sign: %w", err)
	}
	for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token", "Authorization"} {
		if v := req.Header.Get(name); v != "" {
			dst = append(append(append(append(dst, name...), ": "...), v...), "\r\n"...)
		}
	}
	return dst, nil
}

// httpConn is one HTTP/1.1 connection, one request at a time. Leaner than net/http's client by its two goroutines and its
// headers per request: the generator shares the machine with the target. Not for concurrent use.
type httpConn struct {
	k      *caller
	conn   net.Conn
	br     *bufio.Reader
	used   time.Time // when the last reply came
	head   []byte
	body   []byte // of the last reply
	req    http.Request
	served time.Time // Date header of the last reply, zero if it had none
}

// call sends a request and returns the reply's status and body, which is valid until the next call. Without an error
// the reply is whole. head is what caller.head made for action. After an error the connection is closed; the next call
// makes a new one.
func (h *httpConn) call(ctx context.Context, action string, head, body []byte) (int, []byte, error) {
	if err := h.connect(ctx); err != nil {
		return 0, nil, err
	}
	conn := h.conn
	if err := conn.SetDeadline(time.Now().Add(h.k.timeout)); err != nil {
		h.drop()
		return 0, nil, err
	}
	// A deadline in the past wakes the blocked read or write up.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	status, reply, err := h.exchange(ctx, action, head, body)
	stop()
	if err != nil {
		h.drop()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return 0, nil, err
	}
	h.used = time.Now()
	return status, reply, nil
}

func (h *httpConn) connect(ctx context.Context) error {
	if h.conn != nil && time.Since(h.used) < idleLimit {
		return nil
	}
	h.drop()
	d := net.Dialer{Timeout: h.k.timeout}
	conn, err := d.DialContext(ctx, "tcp", h.k.endpoint.Addr)
	if err != nil {
		return err
	}
	if h.k.tls != nil {
		t := tls.Client(conn, h.k.tls)
		shake, cancel := context.WithTimeout(ctx, h.k.timeout)
		defer cancel()
		if err := t.HandshakeContext(shake); err != nil {
			return errors.Join(err, conn.Close())
		}
		conn = t
	}
	h.conn, h.used = conn, time.Now()
	if h.br == nil {
		h.br = bufio.NewReaderSize(conn, 64<<10)
	} else {
		h.br.Reset(conn)
	}
	return nil
}

func (h *httpConn) exchange(ctx context.Context, action string, head, body []byte) (int, []byte, error) {
	b := append(h.head[:0], head...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n"...)
	if h.k.creds.AccessKeyID != "" {
		var err error
		if b, err = h.k.sign(ctx, b, action, body, time.Now()); err != nil {
			return 0, nil, err
		}
	}
	h.head = append(b, "\r\n"...)
	if err := h.write(body); err != nil {
		return 0, nil, err
	}
	h.req.Method = http.MethodPost // all that ReadResponse looks at
	resp, err := http.ReadResponse(h.br, &h.req)
	if err != nil {
		return 0, nil, fmt.Errorf("read reply: %w", err)
	}
	if err := h.readBody(resp); err != nil {
		return 0, nil, fmt.Errorf("read reply: %w", err)
	}
	h.served = time.Time{}
	if d := resp.Header.Get("Date"); d != "" {
		if t, err := http.ParseTime(d); err == nil {
			h.served = t
		}
	}
	if resp.Close {
		h.drop()
	}
	return resp.StatusCode, h.body, nil
}

// write sends head and body with one system call where the connection can.
func (h *httpConn) write(body []byte) error {
	if len(body) <= 4<<10 || h.k.tls != nil {
		h.head = append(h.head, body...)
		_, err := h.conn.Write(h.head)
		return err
	}
	v := net.Buffers{h.head, body}
	_, err := v.WriteTo(h.conn)
	return err
}

func (h *httpConn) readBody(resp *http.Response) error {
	h.body = h.body[:0]
	if resp.ContentLength > maxReply {
		return fmt.Errorf("%d bytes, at most %d", resp.ContentLength, maxReply)
	}
	for {
		if len(h.body) == cap(h.body) {
			h.body = append(h.body, make([]byte, max(4<<10, len(h.body)))...)[:len(h.body)]
		}
		n, err := resp.Body.Read(h.body[len(h.body):cap(h.body)])
		h.body = h.body[:len(h.body)+n]
		if len(h.body) > maxReply {
			return fmt.Errorf("more than %d bytes", maxReply)
		}
		if errors.Is(err, io.EOF) {
			return resp.Body.Close()
		}
		if err != nil {
			return err
		}
	}
}

func (h *httpConn) drop() {
	if h.conn != nil {
		_ = h.conn.Close() // nothing is expected from it any more
		h.conn = nil
	}
}

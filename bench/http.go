package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// exchange is a keep-alive connection that sends ready-made requests and reads whole answers: the same client for the
// measured server and for the null handler, so that what differs is the server.
type exchange struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialHTTP(addr string) (*exchange, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &exchange{conn: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

// do sends raw and returns the length of the answer's body. Another status than 200 is an error.
func (e *exchange) do(raw []byte) (int64, error) {
	if _, err := e.conn.Write(raw); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(e.r, nil)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // it only explains the status
		return 0, fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	return n, errors.Join(err, resp.Body.Close())
}

// saturateHTTP sends raw over conns connections, each with one request outstanding. An operation is a request that
// carries per bytes of payload.
func saturateHTTP(ctx context.Context, d time.Duration, addr string, conns int, raw []byte, per int64) (sample, error) {
	steps := make([]step, conns)
	open := make([]*exchange, conns)
	for i := range steps {
		e, err := dialHTTP(addr)
		if err != nil {
			return sample{}, err
		}
		open[i] = e
		steps[i] = func() (int64, int64, error) {
			_, err := e.do(raw)
			return 1, per, err
		}
	}
	s, err := together(ctx, d, steps...)
	for _, e := range open {
		err = errors.Join(err, e.conn.Close())
	}
	return s, err
}

// nullServer reads each request's body and answers with a fixed one.
type nullServer struct {
	http http.Server
	addr string
	done chan error
}

func startNull(reply []byte) (*nullServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &nullServer{addr: l.Addr().String(), done: make(chan error, 1)}
	n.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As any server of this API must, it holds the whole body before it looks at it.
		body := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
		if _, err := body.ReadFrom(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write(reply) // the client notices
	})
	n.http.ReadHeaderTimeout = 5 * time.Second
	go func() { n.done <- n.http.Serve(l) }()
	return n, nil
}

func (n *nullServer) close() error {
	err := n.http.Close()
	if got := <-n.done; !errors.Is(got, http.ErrServerClosed) {
		err = errors.Join(err, got)
	}
	return err
}

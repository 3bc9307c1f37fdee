package nativeclient

import (
	"fmt"
	"io"
	"net"

	"github.com/shardmill/shardmill/codec/frame"
)

const (
	// readBuffer holds small frames, many at a time.
	readBuffer = 64 << 10
	// readAhead is what is read at most behind a large frame: what lies in the buffer must be copied once more, so only
	// as much as a header and small frames need.
	readAhead = 4 << 10
)

// frameReader cuts a connection's bytes into frames.
type frameReader struct {
	conn  net.Conn
	buf   []byte
	r, w  int
	ahead int // how much to read at most
}

func newFrameReader(c net.Conn) *frameReader {
	return &frameReader{conn: c, buf: make([]byte, readBuffer), ahead: readBuffer}
}

// fill reads until n unread bytes are in the buffer.
func (f *frameReader) fill(n int) error {
	if f.w-f.r >= n {
		return nil
	}
	if f.r == f.w {
		f.r, f.w = 0, 0
	}
	if f.r+n > len(f.buf) || f.r > len(f.buf)/2 {
		if n > len(f.buf) {
			next := make([]byte, n)
			f.w = copy(next, f.buf[f.r:f.w])
			f.buf = next
		} else {
			f.w = copy(f.buf, f.buf[f.r:f.w])
		}
		f.r = 0
	}
	for f.w-f.r < n {
		end := min(len(f.buf), max(f.r+n, f.w+f.ahead))
		m, err := f.conn.Read(f.buf[f.w:end])
		f.w += m
		if err != nil {
			if err == io.EOF && f.w > f.r { //nolint:errorlint // net.Conn returns io.EOF itself
				return io.ErrUnexpectedEOF
			}
			if f.w-f.r < n {
				return err
			}
		}
	}
	return nil
}

// header reads a frame's header, and its body is next.
func (f *frameReader) header(maxLen int) (frame.Header, error) {
	if err := f.fill(frame.HeaderLen); err != nil {
		return frame.Header{}, err
	}
	h := frame.ParseHeader(f.buf[f.r:])
	if h.Len < frame.MinLen || int64(h.Len) > int64(maxLen) {
		return h, fmt.Errorf("%w: frame of %d bytes", ErrProtocol, h.Len)
	}
	f.r += frame.HeaderLen
	return h, nil
}

// body reads a body into the buffer. It is valid until the next header.
func (f *frameReader) body(h *frame.Header) ([]byte, error) {
	n := h.Size() - frame.HeaderLen
	if err := f.fill(n); err != nil {
		return nil, err
	}
	f.ahead = readBuffer
	b := f.buf[f.r : f.r+n : f.r+n]
	f.r += n
	return b, nil
}

// bodyInto reads a body into dst, which has its length, past the buffer.
func (f *frameReader) bodyInto(dst []byte) error {
	n := copy(dst, f.buf[f.r:f.w])
	f.r += n
	f.ahead = readAhead
	if n == len(dst) {
		return nil
	}
	_, err := io.ReadFull(f.conn, dst[n:])
	return err
}

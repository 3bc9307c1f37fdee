package awshttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// eventServer has one action, Stream, whose reply is what reply says.
func eventServer(t testing.TB, reply func(*Call) EventReply) *Server {
	t.Helper()
	s, err := NewServer(Options{}, Service{Target: "Echo_1", Signing: "echo", Actions: []Action{
		{Name: "Stream", Input: &Shape{Type: StructureShape}, Do: func(c *Call) error { c.Stream(reply(c)); return nil }},
		{Name: "Fail", Input: &Shape{Type: StructureShape}, Do: func(c *Call) error {
			c.Stream(EventReply{Send: func(*Events) { t.Error("a failed action streams") }})
			return Validation("no")
		}},
		{Name: "Quiet", Input: &Shape{Type: StructureShape}, Do: func(*Call) error { return nil }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eventRequest(t testing.TB, url, action, contentType, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, url, strings.NewReader(body))
	r.RequestURI = ""
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", "Echo_1."+action)
	r.Header.Set("X-Amz-Date", "x")
	r.Header.Set("Authorization", someAuth)
	return r
}

// TestEventFrames: frames are what the AWS SDK decodes, in both wire forms, and their order is that of the calls.
func TestEventFrames(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 100<<10)
	s := eventServer(t, func(*Call) EventReply {
		return EventReply{Life: time.Minute, Send: func(e *Events) {
			for _, payload := range [][]byte{[]byte("one"), nil, long} {
				if err := e.Event("Some", payload); err != nil {
					t.Error(err)
				}
			}
			if err := e.Event("Some", make([]byte, MaxEventPayload+1)); err == nil {
				t.Error("an event over the limit is sent")
			}
			if err := e.Exception(&Error{Type: "SomeException", Message: "why"}); err != nil {
				t.Error(err)
			}
		}}
	})
	f := func(contentType, body, empty, why string) {
		t.Helper()
		w := httptest.NewRecorder()
		s.ServeHTTP(w, eventRequest(t, "/", "Stream", contentType, body))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != eventStreamType || !w.Flushed {
			t.Fatal(w.Code, w.Header())
		}
		d := eventstream.NewDecoder()
		for i, want := range []struct{ message, name, payload string }{
			{"event", "initial-response", empty},
			{"event", "Some", "one"},
			{"event", "Some", ""},
			{"event", "Some", string(long)},
			{"exception", "SomeException", why},
		} {
			m, err := d.Decode(w.Body, nil)
			if err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			got := func(h string) string { return m.Headers.Get(h).String() }
			if got(":message-type") != want.message || got(":"+want.message+"-type") != want.name || got(":content-type") != contentType || string(m.Payload) != want.payload {
				t.Fatalf("frame %d: %v %.80q", i, m.Headers, m.Payload)
			}
		}
		if _, err := d.Decode(w.Body, nil); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	f(jsonType, "{}", "{}", `{"message":"why"}`)
	f(cborType, "\xbf\xff", "\xa0", "\xa1\x67message\x63why")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, eventRequest(t, "/", "Fail", jsonType, "{}"))
	if w.Code != http.StatusBadRequest || w.Header().Get("Content-Type") != jsonType {
		t.Fatal(w.Code, w.Header())
	}
}

// eventClients calls f with a client for HTTP/1.1 and one for HTTP/2.
func eventClients(t *testing.T, f func(t *testing.T, c *http.Client)) {
	for name, http2 := range map[string]bool{"http1": false, "h2c": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := new(http.Protocols)
			p.SetHTTP1(!http2)
			p.SetUnencryptedHTTP2(http2)
			tr := &http.Transport{Protocols: p}
			t.Cleanup(tr.CloseIdleConnections)
			f(t, &http.Client{Transport: tr})
		})
	}
}

// TestEventsUnread: a reader that does not read blocks its own stream and nobody else; the stream ends soon after it is
// told to, though it is blocked.
func TestEventsUnread(t *testing.T) {
	eventClients(t, func(t *testing.T, c *http.Client) {
		ended, end := context.WithCancel(context.Background())
		sent, over := make(chan int, 1000), make(chan error, 1)
		s := eventServer(t, func(*Call) EventReply {
			return EventReply{Life: time.Minute, Ended: ended, Send: func(e *Events) {
				var err error
				for i := 0; err == nil; i++ {
					err = e.Event("Big", make([]byte, 1<<20))
					sent <- i
				}
				over <- err
			}}
		})
		url := "http://" + start(t, s, s.Serve)
		resp, err := c.Do(eventRequest(t, url, "Stream", jsonType, "{}"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		for blocked := false; !blocked; {
			select {
			case <-sent:
			case <-time.After(500 * time.Millisecond):
				blocked = true
			}
		}
		other, err := c.Do(eventRequest(t, url, "Quiet", jsonType, "{}"))
		if err != nil || other.StatusCode != http.StatusOK {
			t.Fatal(other, err)
		}
		_ = other.Body.Close()
		select {
		case err := <-over:
			t.Fatalf("the stream ended by itself: %v", err)
		default:
		}
		end()
		if err := <-over; err == nil {
			t.Fatal("the blocked event was sent")
		}
	})
}

// TestEventsShutdown: the server's end is the end of its streams, in order; so is the client's.
func TestEventsShutdown(t *testing.T) {
	eventClients(t, func(t *testing.T, c *http.Client) {
		over := make(chan struct{}, 2)
		s := eventServer(t, func(*Call) EventReply {
			return EventReply{Life: time.Minute, Send: func(e *Events) {
				<-e.Context().Done()
				over <- struct{}{}
			}}
		})
		url := "http://" + start(t, s, s.Serve)
		first, err := c.Do(eventRequest(t, url, "Stream", jsonType, "{}"))
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Body.Close(); err != nil {
			t.Fatal(err)
		}
		<-over
		resp, err := c.Do(eventRequest(t, url, "Stream", jsonType, "{}"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(ctx) }()
		<-over
		body, err := io.ReadAll(resp.Body)
		if err != nil || len(body) == 0 {
			t.Fatalf("%d bytes, %v: no clean end", len(body), err)
		}
		_ = resp.Body.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestEventsKeepNoMemory: a stream of minutes does not hold on to what its request might have taken.
func TestEventsKeepNoMemory(t *testing.T) {
	var s *Server
	seen := int64(-1)
	s = eventServer(t, func(*Call) EventReply {
		return EventReply{Life: time.Minute, Send: func(*Events) { seen = s.inFlight.Load() }}
	})
	r := eventRequest(t, "/", "Stream", jsonType, "{}")
	r.ContentLength = -1
	s.ServeHTTP(httptest.NewRecorder(), r)
	if seen != 2 || s.inFlight.Load() != 0 {
		t.Fatalf("%d bytes in flight while streaming, %d after", seen, s.inFlight.Load())
	}
}

func BenchmarkEvent(b *testing.B) {
	e := &Events{w: discard{}, rc: http.NewResponseController(discard{}), codec: JSON{}, heads: map[string][]byte{}}
	payload := make([]byte, 64<<10)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Event("Some", payload); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a reply nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return nil }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
func (discard) FlushError() error           { return nil }

func TestEventAllocations(t *testing.T) {
	e := &Events{w: discard{}, rc: http.NewResponseController(discard{}), codec: JSON{}, heads: map[string][]byte{}}
	payload := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		if err := e.Event("Some", payload); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations per event", n)
	}
}

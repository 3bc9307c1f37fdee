package awshttp

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/bytebufferpool"
)

// Content types with a meaning here. The old JSON dialect is understood only far enough to refuse it as AWS does.
const (
	cborType    = "application/x-amz-cbor-1.1"
	oldJSONType = "application/json"
)

const exposed = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"

// exchange is one HTTP request on its way through the checks.
type exchange struct {
	s    *Server
	w    http.ResponseWriter
	r    *http.Request
	body []byte

	service, action string // the two halves of X-Amz-Target, as sent
	route           *route
	act             *Action
	contentType     string
	codec           Codec // nil: unknown content type
}

// serveAWS answers one AWS request. The order of the checks is the one AWS uses; see the package's tests.
func (s *Server) serveAWS(w http.ResponseWriter, r *http.Request) {
	x := exchange{s: s, w: w, r: r}
	x.target()
	limit := int64(DefaultMaxBody)
	if x.route != nil && x.route.service.MaxBody > 0 {
		limit = x.route.service.MaxBody
	}
	buf := bytebufferpool.Get()
	defer bytebufferpool.Put(buf)
	if r.Method == http.MethodPost {
		release, status := s.readBody(w, r, buf, limit)
		if release > 0 {
			defer s.inFlight.Add(-release)
		}
		if status != 0 {
			if status == http.StatusServiceUnavailable {
				x.identify()
				x.codec = JSON{}
				x.fail(&Error{Status: status, Type: "ServiceUnavailable", Message: "Service is busy."})
				return
			}
			w.Header().Set("Connection", "close")
			w.WriteHeader(status)
			return
		}
	}
	x.body = buf.B
	if x.preflight() || x.wire() {
		return
	}
	x.run()
}

// target splits X-Amz-Target and looks it up.
func (x *exchange) target() {
	t := x.r.Header.Get("X-Amz-Target")
	var rest string
	x.service, rest, _ = strings.Cut(t, ".")
	x.action, _, _ = strings.Cut(rest, ".")
	if x.route = x.s.routes[x.service]; x.route != nil {
		x.act = x.route.actions[x.action]
	}
}

// readBody fills buf. status is 0, 413 for a body over the limit, 408 for one that is too slow, 503 where all bodies
// together take too much memory; release is what the caller must give back to the in-flight account.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, buf *bytebufferpool.ByteBuffer, limit int64) (release int64, status int) {
	size := r.ContentLength
	if size > limit {
		return 0, http.StatusRequestEntityTooLarge
	}
	if size == 0 {
		return 0, 0
	}
	reserve := size
	if size < 0 {
		reserve = limit
	}
	if s.inFlight.Add(reserve) > s.opts.MaxInFlight {
		s.inFlight.Add(-reserve)
		return 0, http.StatusServiceUnavailable
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(slowStart + time.Duration(reserve/slowRate)*time.Second)) // best effort: not every writer has deadlines
	var err error
	if size > 0 {
		if int64(cap(buf.B)) < size {
			buf.B = make([]byte, size)
		}
		buf.B = buf.B[:size]
		_, err = io.ReadFull(r.Body, buf.B)
	} else {
		_, err = buf.ReadFrom(io.LimitReader(r.Body, limit+1))
		if int64(len(buf.B)) > limit {
			return reserve, http.StatusRequestEntityTooLarge
		}
	}
	_ = rc.SetReadDeadline(time.Time{})
	if err != nil {
		return reserve, http.StatusRequestTimeout
	}
	if size < 0 { // an event stream holds on to its reservation for minutes
		s.inFlight.Add(int64(len(buf.B)) - reserve)
		reserve = int64(len(buf.B))
	}
	return reserve, 0
}

// A body may start slowly, but must then come at 1 KiB/s at least.
const (
	slowStart = 5 * time.Second
	slowRate  = 1 << 10
)

// identify sets the request ids that each reply carries.
func (x *exchange) identify() {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	const hex = "0123456789abcdef"
	text := make([]byte, 0, 36)
	for i, c := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = append(text, hex[c>>4], hex[c&15])
	}
	x.w.Header()["x-amzn-RequestId"] = []string{string(text)}
}

// identify2 sets the second id, which only CORS preflights lack.
func (x *exchange) identify2() {
	var raw [72]byte
	for i := 0; i < len(raw); i += 8 {
		binary.LittleEndian.PutUint64(raw[i:], rand.Uint64())
	}
	x.w.Header()["x-amz-id-2"] = []string{base64.StdEncoding.EncodeToString(raw[:])}
}

// preflight sets ids and CORS headers; true means the request was a CORS preflight and is answered.
func (x *exchange) preflight() bool {
	x.identify()
	origin := x.s.door.answer(x.r.Header.Get("Origin"))
	if origin == "" || x.r.Method != http.MethodOptions {
		x.identify2()
	}
	if origin == "" {
		return false
	}
	h := x.w.Header()
	h["Access-Control-Allow-Origin"] = []string{origin}
	if origin != anyOrigin {
		h["Vary"] = []string{"Origin"}
	}
	if x.r.Method != http.MethodOptions {
		h["Access-Control-Expose-Headers"] = []string{exposed}
		return false
	}
	if v := x.r.Header.Get("Access-Control-Request-Headers"); v != "" {
		h["Access-Control-Allow-Headers"] = []string{v}
	}
	if v := x.r.Header.Get("Access-Control-Request-Method"); v != "" {
		h["Access-Control-Allow-Methods"] = []string{v}
	}
	h["Access-Control-Max-Age"] = []string{"172800"}
	x.send(http.StatusOK, "", nil)
	return true
}

// wire checks method, emptiness and content type; true means the request is answered.
func (x *exchange) wire() bool {
	if x.r.Method != http.MethodPost {
		x.failXML(http.StatusForbidden, "AccessDeniedException", "Unable to determine service/operation name to be authorized")
		return true
	}
	mediaType, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	x.contentType = strings.TrimSpace(mediaType)
	x.codec = x.s.codecs[x.contentType]
	if len(x.body) == 0 {
		x.failEmpty()
		return true
	}
	if x.codec != nil || x.contentType == oldJSONType {
		return false
	}
	if x.service == "" || x.action == "" {
		x.failXML(http.StatusForbidden, "AccessDeniedException", "Unable to determine service/operation name to be authorized")
	} else {
		x.failXML(http.StatusNotFound, "UnknownOperationException", "")
	}
	return true
}

// failEmpty refuses an empty body: in CBOR unless JSON 1.1 was asked for.
func (x *exchange) failEmpty() {
	e := &Error{Type: "UnknownOperationException"}
	if x.act != nil {
		e.Type = "SerializationException"
	}
	if x.codec == nil {
		x.send(e.status(), cborType, cborType1(e.Type))
		return
	}
	x.fail(e)
}

// cborType1 is the CBOR document {"__type": name} for a name shorter than 256 bytes.
func cborType1(name string) []byte {
	b := append([]byte{0xa1, 0x66}, "__type"...)
	if len(name) < 24 {
		b = append(b, 0x60|byte(len(name)))
	} else {
		b = append(b, 0x78, byte(len(name)))
	}
	return append(b, name...)
}

// run parses the document, authenticates, converts, checks and calls the action.
func (x *exchange) run() {
	if x.codec == nil {
		x.refuseDialect()
		return
	}
	var (
		id      Identity
		authErr *Error
		tried   bool
	)
	out := bytebufferpool.Get()
	defer bytebufferpool.Put(out)
	call := Call{Context: x.r.Context(), Body: x.body, Out: out, codec: x.codec}
	if direct := x.direct(&call); direct != nil {
		// A wrong signature must not hide a malformed document, so a failure here only leads to the general path.
		if id, authErr = x.s.verify(x.r, x.body, x.route.service.Signing); authErr == nil {
			call.Identity = id
			if done, err := direct(&call); done {
				x.finish(&call, err)
				return
			}
		}
		tried = true
	}
	doc, err := x.codec.Parse(x.body)
	if err != nil || doc.Kind != Map && doc.Kind != List {
		x.fail(&Error{Type: "SerializationException"})
		return
	}
	if x.act == nil {
		x.fail(&Error{Type: "UnknownOperationException"})
		return
	}
	if !tried {
		id, authErr = x.s.verify(x.r, x.body, x.route.service.Signing)
	}
	if authErr != nil {
		x.fail(authErr)
		return
	}
	call.Identity = id
	shape := x.act.Input
	if x.act.Widen != nil {
		if wide := x.act.Widen(&call, doc); wide != nil {
			shape = wide
		}
	}
	in, e := shape.Convert(doc)
	if e == nil {
		e = shape.Check(in)
	}
	if e != nil {
		x.fail(e)
		return
	}
	call.Input = in
	x.finish(&call, x.act.Do(&call))
}

// direct is the action's own reader of the request's wire form, nil where it has none.
func (x *exchange) direct(c *Call) func(*Call) (bool, error) {
	switch {
	case x.act == nil:
		return nil
	case c.JSON():
		return x.act.Direct
	case c.CBOR():
		return x.act.DirectCBOR
	}
	return nil
}

// refuseDialect answers the content type that is known but not spoken.
func (x *exchange) refuseDialect() {
	doc, err := JSON{}.Parse(x.body)
	status, name := http.StatusNotFound, "UnknownOperationException"
	if err != nil || doc.Kind != Map && doc.Kind != List {
		status, name = http.StatusBadRequest, "SerializationException"
	}
	x.send(status, oldJSONType, []byte(`{"Output":{"__type":"com.amazon.coral.service#`+name+`"},"Version":"1.0"}`))
}

// finish sends the reply of an action, or its error.
func (x *exchange) finish(c *Call, err error) {
	if err == nil && c.events != nil {
		x.stream(c.events)
		return
	}
	if err == nil {
		x.send(http.StatusOK, x.codec.ContentType(), c.Out.B)
		return
	}
	if errors.Is(err, context.Canceled) && x.r.Context().Err() != nil {
		return // the client is gone; nobody reads an answer
	}
	var e *Error
	if !errors.As(err, &e) {
		e = InternalFailure()
		x.s.opts.Log.Error("action failed", "action", x.action, "error", err)
	}
	x.fail(e)
}

func (x *exchange) fail(e *Error) {
	x.w.Header()["x-amzn-ErrorType"] = []string{e.Type}
	x.send(e.status(), x.codec.ContentType(), x.codec.Append(nil, e.value()))
}

// failXML answers where AWS does not know the client's protocol. Such replies have no content type.
func (x *exchange) failXML(status int, name, message string) {
	body := "<" + name + "/>\n"
	if message != "" {
		body = "<" + name + ">\n  <Message>" + message + "</Message>\n</" + name + ">\n"
	}
	x.send(status, "", []byte(body))
}

// send writes the reply. A slow reader has 10 s and then 64 KiB/s.
func (x *exchange) send(status int, contentType string, body []byte) {
	h := x.w.Header()
	if contentType == "" {
		h["Content-Type"] = nil // keeps net/http from guessing one
	} else {
		h["Content-Type"] = []string{contentType}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(10*time.Second + time.Duration(len(body)>>16)*time.Second))
	x.w.WriteHeader(status)
	if len(body) > 0 {
		_, _ = x.w.Write(body) // the connection is broken: net/http closes it, nobody is left to tell
	}
}

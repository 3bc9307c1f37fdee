package kinesisapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the probe does what routing does
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/valyala/bytebufferpool"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// The benchmarks below do one request to the API, one to a net/http handler that reads the same body and answers a
// canned reply of the same size, and the arithmetic nobody can avoid, in turn, and report how they compare. The client
// is as small as a client can be: it writes a request made beforehand and reads the reply into one buffer.

// lean is one connection of such a client.
type lean struct {
	c   net.Conn
	r   *bufio.Reader
	buf []byte
}

func dialLean(b testing.TB, address string) *lean {
	b.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() }) // nothing is written at that point
	return &lean{c: c, r: bufio.NewReaderSize(c, 64<<10)}
}

// do sends a request and returns the body of the reply, which is good until the next call.
func (l *lean) do(b testing.TB, request []byte) []byte {
	if _, err := l.c.Write(request); err != nil {
		b.Fatal(err)
	}
	length := -1
	for first := true; ; first = false {
		line, err := l.r.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			rest, _ := io.ReadAll(io.LimitReader(l.r, int64(l.r.Buffered()))) // for the message
			b.Fatalf("%s%s", line, rest)
		}
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length = 0
			for _, c := range bytes.TrimSpace(v) {
				length = length*10 + int(c-'0')
			}
		}
	}
	if length < 0 {
		b.Fatal("reply without length")
	}
	if cap(l.buf) < length {
		l.buf = make([]byte, length)
	}
	l.buf = l.buf[:length]
	if _, err := io.ReadFull(l.r, l.buf); err != nil {
		b.Fatal(err)
	}
	return l.buf
}

// request makes a signed request as bytes.
func request(b testing.TB, address, action string, body []byte) []byte {
	b.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+address+"/", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+action)
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, r,
		hex.EncodeToString(sum[:]), "kinesis", "us-east-1", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.Write(&out); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// putBody is a PutRecords body of n records, or a PutRecord body where n is 0.
func putBody(n, size int) []byte {
	var b bytes.Buffer
	record := func(i int) {
		data := bytes.Repeat([]byte{byte(i), 'a', 0xff}, size/3+1)[:size]
		fmt.Fprintf(&b, `"Data":"%s","PartitionKey":"partition-key-%06d"`, base64.StdEncoding.EncodeToString(data), i*7919%1_000_000)
	}
	b.WriteString(`{"StreamName":"bench",`)
	if n == 0 {
		record(0)
		b.WriteString("}")
		return b.Bytes()
	}
	b.WriteString(`"Records":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('{')
		record(i)
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return b.Bytes()
}

// nullServer answers every request with size bytes after reading its body.
func nullServer(b testing.TB, size int) string {
	b.Helper()
	reply := bytes.Repeat([]byte("x"), size)
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := bytebufferpool.Get()
		defer bytebufferpool.Put(buf)
		if int64(cap(buf.B)) < r.ContentLength {
			buf.B = make([]byte, r.ContentLength)
		}
		if _, err := io.ReadFull(r.Body, buf.B[:r.ContentLength]); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(reply)))
		_, _ = w.Write(reply) // the client notices
	})}
	return listen(b, func(l net.Listener) error {
		if err := s.Serve(l); err != http.ErrServerClosed {
			return err
		}
		return nil
	}, s.Shutdown)
}

// arithmetic is what cannot be avoided: base64, SHA-256 of the body, MD5 of each key.
func arithmetic(body []byte, parts [][]byte, keys [][]byte, dst []byte) byte {
	for _, p := range parts {
		n, _ := base64.StdEncoding.Decode(dst, p) // valid by construction
		_ = n
	}
	sum := sha256.Sum256(body)
	x := sum[0]
	for _, k := range keys {
		m := md5.Sum(k) //nolint:gosec // see the import
		x ^= m[0]
	}
	return x
}

// members cuts the values of a member out of a body.
func members(body []byte, name string) (out [][]byte) {
	for _, p := range bytes.Split(body, []byte(`"`+name+`":"`))[1:] {
		out = append(out, p[:bytes.IndexByte(p, '"')])
	}
	return out
}

func benchServer(b testing.TB, level engine.Level, so awshttp.Options) (address string, s *awshttp.Server) {
	b.Helper()
	o := engine.Options{Durability: level}
	if level != engine.LevelMem {
		o.FS, o.Dir = vfs.OS(), b.TempDir()
	}
	s, _ = newServer(b, o, so)
	address = listen(b, s.Serve, s.Shutdown)
	dialLean(b, address).do(b, request(b, address, "CreateStream", []byte(`{"StreamName":"bench","ShardCount":4}`)))
	return address, s
}

func BenchmarkPut(b *testing.B) {
	for _, c := range []struct {
		name      string
		n, size   int
		onlyServe bool // the probe is the handler alone
	}{
		{"records=500/size=1024", 500, 1024, false}, {"records=500/size=100", 500, 100, true}, {"record=256", 0, 256, true},
	} {
		for level, word := range map[engine.Level]string{engine.LevelMem: "mem", engine.LevelOS: "os"} {
			b.Run(c.name+"/ack="+word, func(b *testing.B) { benchmarkPut(b, level, c.n, c.size, c.onlyServe) })
		}
	}
}

func benchmarkPut(b *testing.B, level engine.Level, n, size int, onlyServe bool) {
	body := putBody(n, size)
	action := "PutRecords"
	if n == 0 {
		action = "PutRecord"
	}
	so := awshttp.Options{Authenticator: keys{"key": "secret"}}
	if onlyServe {
		so.Authenticator = nil // the probe does not verify either
	}
	address, _ := benchServer(b, level, so)
	api := dialLean(b, address)
	send := request(b, address, action, body)
	reply := api.do(b, send)
	if strings.Contains(string(reply), "ErrorCode") {
		b.Fatalf("%s", reply)
	}
	nullAddress := nullServer(b, len(reply))
	null := dialLean(b, nullAddress)
	sendNull := request(b, nullAddress, action, body)
	parts, partitionKeys := members(body, "Data"), members(body, "PartitionKey")
	dst := make([]byte, len(body))
	var tAPI, tNull, tSum time.Duration
	b.SetBytes(int64(max(n, 1) * size))
	b.ReportAllocs()
	for b.Loop() {
		t0 := time.Now()
		api.do(b, send)
		t1 := time.Now()
		null.do(b, sendNull)
		t2 := time.Now()
		arithmetic(body, parts, partitionKeys, dst)
		t3 := time.Now()
		tAPI, tNull, tSum = tAPI+t1.Sub(t0), tNull+t2.Sub(t1), tSum+t3.Sub(t2)
	}
	probe := tNull
	if !onlyServe {
		probe += tSum
	}
	b.ReportMetric(float64(tAPI.Microseconds())/float64(b.N), "api-us")
	b.ReportMetric(float64(tNull.Microseconds())/float64(b.N), "null-us")
	b.ReportMetric(float64(tSum.Microseconds())/float64(b.N), "sums-us")
	b.ReportMetric(float64(probe)/float64(tAPI), "ratio")
}

package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/awshttp"
	"github.com/shardmill/shardmill/transport/kinesisapi"
)

func kinesisScenarios() []scenario {
	return []scenario{
		{component: "kinesis", name: "PutRecords 500 x 1 KiB, signed", probe: "sum(null handler, base64, SHA-256, MD5)", floor: 0.50, goal: 0.75, setup: putRecordsSum},
		{component: "kinesis", name: "PutRecords 500 x 100 B, 4 connections", probe: "net/http handler with a canned reply", floor: 0.50, goal: 0.75, setup: putRecordsNull},
		{component: "kinesis", name: "PutRecord 256 B", probe: "net/http handler with a canned reply", floor: 0.50, goal: 0.70, setup: putRecord},
		{component: "kinesis", name: "GetRecords 500 x 1 KiB", probe: "sum(null handler with the same reply, base64)", floor: 0.50, goal: 0.75, setup: getRecords},
	}
}

const (
	benchKey    = "AKIDEXAMPLE"
	benchSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" //nolint:gosec // a key of this benchmark's own server
	benchStream = "bench"
)

// oneKey is an authenticator with one key.
type oneKey struct{}

func (oneKey) Lookup(access string) (secret, account string, ok bool) {
	return benchSecret, "", access == benchKey
}

// front is an engine behind the HTTP front door.
type front struct {
	engine *engine.Engine
	server *awshttp.Server
	addr   string
	done   chan error
}

func newFront(env *environment) (*front, error) {
	e, err := engine.Open(engine.Options{FS: vfs.OS(), Dir: filepath.Join(env.dir, "log"), RingSize: ringBytes, Durability: engine.LevelOS})
	if err != nil {
		return nil, err
	}
	f := &front{engine: e, done: make(chan error, 1)}
	api, err := kinesisapi.New(e)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if f.server, err = awshttp.NewServer(awshttp.Options{Authenticator: oneKey{}}, api.Service()); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	f.addr = l.Addr().String()
	go func() { f.done <- f.server.Serve(l) }()
	if _, err := f.call("CreateStream", map[string]any{"StreamName": benchStream, "ShardCount": 4}); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *front) close() error {
	err := f.server.Close()
	if got := <-f.done; !errors.Is(got, http.ErrServerClosed) {
		err = errors.Join(err, got)
	}
	return errors.Join(err, f.engine.Close())
}

// signed is the bytes of a signed request: it may be sent any number of times within the five minutes it is valid.
func signed(addr, action string, body []byte) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+addr+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+action)
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: benchKey, SecretAccessKey: benchSecret}, r,
		hex.EncodeToString(sum[:]), "kinesis", "us-east-1", time.Now())
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	err = r.Write(&raw)
	return raw.Bytes(), err
}

// call makes one request and returns the decoded answer.
func (f *front) call(action string, in any) (map[string]any, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	raw, err := signed(f.addr, action, body)
	if err != nil {
		return nil, err
	}
	e, err := dialHTTP(f.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.conn.Close() }()
	if _, err := e.conn.Write(raw); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(e.r, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %s", action, resp.Status)
	}
	if resp.ContentLength == 0 {
		return nil, nil
	}
	out := map[string]any{}
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// putBody is a PutRecords request of n records of size bytes.
func putBody(n, size int) []byte {
	var b bytes.Buffer
	data := noise(n * size)
	fmt.Fprintf(&b, `{"StreamName":%q,"Records":[`, benchStream)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"Data":%q,"PartitionKey":"key-%05d"}`, base64.StdEncoding.EncodeToString(data[i*size:][:size]), i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// canned is a PutRecords answer of the size that n records get.
func canned(n int) []byte {
	one := `{"SequenceNumber":"49600000000000000000000000000000000000000000000000000000","ShardId":"shardId-000000000000"}`
	return append(append([]byte(`{"FailedRecordCount":0,"Records":[`), bytes.Repeat([]byte(one+","), n)...), ']', '}')
}

// rival is a front and a null server, and the request for each.
func rival(env *environment, action string, body, reply []byte) (*front, *nullServer, []byte, error) {
	f, err := newFront(env)
	if err != nil {
		return nil, nil, nil, err
	}
	null, err := startNull(reply)
	if err != nil {
		return nil, nil, nil, errors.Join(err, f.close())
	}
	raw, err := signed(f.addr, action, body)
	return f, null, raw, err
}

func againstNull(action string, body, reply []byte, conns int, per int64, extra func() []step) func(*environment) (bencher, error) {
	return func(env *environment) (bencher, error) {
		f, null, raw, err := rival(env, action, body, reply)
		if err != nil {
			return bencher{}, err
		}
		return bencher{
			value: func(ctx context.Context, d time.Duration) (sample, error) {
				return saturateHTTP(ctx, d, f.addr, conns, raw, per)
			},
			probe: func(ctx context.Context, d time.Duration) (sample, error) {
				s, err := saturateHTTP(ctx, d, null.addr, conns, raw, per)
				if err != nil || extra == nil {
					return s, err
				}
				return plus(ctx, d/4, s, extra())
			},
			close: func() error { return errors.Join(f.close(), null.close()) },
		}, nil
	}
}

// plus adds what the steps cost per byte of payload to s.
func plus(ctx context.Context, d time.Duration, s sample, steps []step) (sample, error) {
	parts := []sample{s}
	for _, f := range steps {
		p, err := timed(ctx, d, f)
		if err != nil {
			return p, err
		}
		parts = append(parts, p)
	}
	return sumOf(parts...), nil
}

// counted makes a step count payload bytes, whatever it works on.
func counted(payload int64, f step) step {
	return func() (int64, int64, error) {
		ops, _, err := f()
		return ops, ops * payload, err
	}
}

func putRecordsSum(env *environment) (bencher, error) {
	const n, size = 500, 1 << 10
	body := putBody(n, size)
	return againstNull("PutRecords", body, canned(n), 4, n*size, func() []step {
		return []step{counted(size, base64Decode(size)), counted(n*size, sha256Blocks(body)), counted(size, md5Keys([]byte("key-00000")))}
	})(env)
}

func putRecordsNull(env *environment) (bencher, error) {
	const n, size = 500, 100
	return againstNull("PutRecords", putBody(n, size), canned(n), 4, n*size, nil)(env)
}

func putRecord(env *environment) (bencher, error) {
	body := fmt.Appendf(nil, `{"StreamName":%q,"Data":%q,"PartitionKey":"key"}`, benchStream, base64.StdEncoding.EncodeToString(noise(256)))
	reply := []byte(`{"SequenceNumber":"49600000000000000000000000000000000000000000000000000000","ShardId":"shardId-000000000000"}`)
	return againstNull("PutRecord", body, reply, 8, 256, nil)(env)
}

func getRecords(env *environment) (bencher, error) {
	const n, size = 500, 1 << 10
	f, err := newFront(env)
	if err != nil {
		return bencher{}, err
	}
	raw, reply, err := f.readable(n, size)
	if err != nil {
		return bencher{}, errors.Join(err, f.close())
	}
	null, err := startNull(make([]byte, reply))
	if err != nil {
		return bencher{}, errors.Join(err, f.close())
	}
	return bencher{
		value: func(ctx context.Context, d time.Duration) (sample, error) {
			return saturateHTTP(ctx, d, f.addr, 4, raw, n*size)
		},
		probe: func(ctx context.Context, d time.Duration) (sample, error) {
			s, err := saturateHTTP(ctx, d, null.addr, 4, raw, n*size)
			if err != nil {
				return s, err
			}
			return plus(ctx, d/4, s, []step{base64Encode(size)})
		},
		close: func() error { return errors.Join(f.close(), null.close()) },
	}, nil
}

// readable puts n records into one shard and returns a request that reads them, and how long its answer is.
func (f *front) readable(n, size int) (raw []byte, reply int64, err error) {
	var records []map[string]any
	data := noise(n * size)
	for i := range n {
		records = append(records, map[string]any{"Data": data[i*size:][:size], "PartitionKey": fmt.Sprintf("key-%05d", i), "ExplicitHashKey": "0"})
	}
	if _, err := f.call("PutRecords", map[string]any{"StreamName": benchStream, "Records": records}); err != nil {
		return nil, 0, err
	}
	it, err := f.call("GetShardIterator", map[string]any{"StreamName": benchStream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"})
	if err != nil {
		return nil, 0, err
	}
	body, err := json.Marshal(map[string]any{"ShardIterator": it["ShardIterator"], "Limit": n})
	if err != nil {
		return nil, 0, err
	}
	if raw, err = signed(f.addr, "GetRecords", body); err != nil {
		return nil, 0, err
	}
	e, err := dialHTTP(f.addr)
	if err != nil {
		return nil, 0, err
	}
	reply, err = e.do(raw)
	if err == nil && reply < int64(n*size) {
		err = fmt.Errorf("the answer has %d bytes, too few for %d records", reply, n)
	}
	return raw, reply, errors.Join(err, e.conn.Close())
}

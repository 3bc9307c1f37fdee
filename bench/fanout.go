package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// fanoutPromise is how long a record may take from PutRecord to its subscriber, for 99 of 100.
const fanoutPromise = 5 * time.Millisecond

func fanoutScenarios() []scenario {
	return []scenario{
		{component: "kinesis", name: "PutRecord 256 B to subscriber, p50", probe: "gnet echo of 256 B, p50", floor: 12, goal: 6, lower: true, setup: fanoutLatency(50)},
		{component: "kinesis", name: "PutRecord 256 B to subscriber, p99", probe: "5 ms", floor: 1, goal: 0.2, lower: true, setup: fanoutLatency(99)},
	}
}

// subscriber is an open SubscribeToShard.
type subscriber struct {
	e    *exchange
	resp *http.Response
	d    *eventstream.Decoder
	buf  []byte
}

// subscribe registers a consumer and subscribes it to the first shard.
func (f *front) subscribe(consumer string) (*subscriber, error) {
	const stream = "arn:aws:kinesis:us-east-1:000000000000:stream/" + benchStream
	out, err := f.call("RegisterStreamConsumer", map[string]any{"StreamARN": stream, "ConsumerName": consumer})
	if err != nil {
		return nil, err
	}
	made, ok := out["Consumer"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no consumer in %v", out)
	}
	body, err := json.Marshal(map[string]any{
		"ConsumerARN": made["ConsumerARN"], "ShardId": "shardId-000000000000", "StartingPosition": map[string]any{"Type": "LATEST"},
	})
	if err != nil {
		return nil, err
	}
	raw, err := signed(f.addr, "SubscribeToShard", body)
	if err != nil {
		return nil, err
	}
	s := &subscriber{d: eventstream.NewDecoder(), buf: make([]byte, 64<<10)}
	if s.e, err = dialHTTP(f.addr); err != nil {
		return nil, err
	}
	if _, err = s.e.conn.Write(raw); err == nil {
		s.resp, err = http.ReadResponse(s.e.r, nil)
	}
	if err == nil && s.resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("SubscribeToShard: status %s", s.resp.Status)
	}
	if err != nil {
		return nil, errors.Join(err, s.e.conn.Close())
	}
	return s, nil
}

// next waits for an event with records.
func (s *subscriber) next() error {
	for {
		m, err := s.d.Decode(s.resp.Body, s.buf[:0])
		if err != nil {
			return err
		}
		if t := m.Headers.Get(":message-type"); t == nil || t.String() != "event" {
			return fmt.Errorf("the subscription ends: %s", m.Payload)
		}
		if bytes.HasPrefix(m.Payload, []byte(`{"Records":[{`)) {
			return nil
		}
	}
}

// fanoutLatency puts one record at a time and takes the time until a subscriber has it, at a quantile.
func fanoutLatency(quantile float64) func(*environment) (bencher, error) {
	return func(env *environment) (bencher, error) {
		f, err := newFront(env)
		if err != nil {
			return bencher{}, err
		}
		s, err := f.subscribe("bench")
		if err != nil {
			return bencher{}, errors.Join(err, f.close())
		}
		body := fmt.Appendf(nil, `{"StreamName":%q,"Data":%q,"PartitionKey":"key","ExplicitHashKey":"0"}`, benchStream, base64.StdEncoding.EncodeToString(noise(256)))
		raw, err := signed(f.addr, "PutRecord", body)
		if err != nil {
			return bencher{}, errors.Join(err, s.e.conn.Close(), f.close())
		}
		put, err := dialHTTP(f.addr)
		if err != nil {
			return bencher{}, errors.Join(err, s.e.conn.Close(), f.close())
		}
		addr, stop, err := startGnet(0)
		if err != nil {
			return bencher{}, errors.Join(err, put.conn.Close(), s.e.conn.Close(), f.close())
		}
		return bencher{
			value: func(ctx context.Context, d time.Duration) (sample, error) {
				return delivered(ctx, d, put, raw, s, quantile)
			},
			probe: func(ctx context.Context, d time.Duration) (sample, error) {
				if quantile > 50 {
					return sample{ops: 1, wall: time.Second, figure: fanoutPromise.Seconds()}, nil
				}
				return gnetEcho(ctx, d, addr, 256)
			},
			close: func() error { return errors.Join(put.conn.Close(), s.e.conn.Close(), stop(), f.close()) },
		}, nil
	}
}

// delivered sends raw again and again, each time until the subscriber has its record and the reply is read. The figure is
// the time from the one to the other in seconds.
func delivered(ctx context.Context, d time.Duration, put *exchange, raw []byte, s *subscriber, quantile float64) (sample, error) {
	h := hdrhistogram.New(100, int64(10*time.Second), 3) // nanoseconds
	out, err := timed(ctx, d, func() (int64, int64, error) {
		replied := make(chan error, 1)
		start := time.Now()
		go func() {
			_, err := put.do(raw)
			replied <- err
		}()
		if err := s.next(); err != nil {
			return 0, 0, errors.Join(err, <-replied)
		}
		took := time.Since(start)
		return 1, 0, errors.Join(<-replied, h.RecordValue(max(int64(took), 100)))
	})
	out.figure = float64(h.ValueAtQuantile(quantile)) / 1e9
	return out, err
}

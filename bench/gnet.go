package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/panjf2000/gnet/v2"
)

// gnetProbe is the plainest server that gnet allows: it throws away what it reads and answers 16 bytes for each unit of
// bytes, or sends back what it read.
type gnetProbe struct {
	gnet.BuiltinEventEngine
	unit   int // answer 16 bytes for each so many; 0: echo
	eng    gnet.Engine
	booted chan struct{}
	reply  [16]byte
}

func (p *gnetProbe) OnBoot(e gnet.Engine) gnet.Action {
	p.eng = e
	close(p.booted)
	return gnet.None
}

func (p *gnetProbe) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(new(int))
	return nil, gnet.None
}

func (p *gnetProbe) OnTraffic(c gnet.Conn) gnet.Action {
	if p.unit == 0 {
		data, err := c.Next(-1)
		if err == nil {
			_, err = c.Write(data)
		}
		return closeOn(err)
	}
	seen, ok := c.Context().(*int)
	if !ok {
		return gnet.Close
	}
	n, err := c.Discard(c.InboundBuffered())
	for *seen += n; *seen >= p.unit && err == nil; *seen -= p.unit {
		_, err = c.Write(p.reply[:])
	}
	return closeOn(err)
}

func closeOn(err error) gnet.Action {
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}

// startGnet runs a probe on a free port with as many loops as the native server has.
func startGnet(unit int) (string, func() error, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	p := &gnetProbe{unit: unit, booted: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		done <- gnet.Run(p, "tcp://"+addr, gnet.WithNumEventLoop(2), gnet.WithReadBufferCap(256<<10), gnet.WithTCPNoDelay(gnet.TCPNoDelay))
	}()
	select {
	case <-p.booted:
	case err := <-done:
		return "", nil, fmt.Errorf("start gnet: %w", err)
	}
	return addr, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return errors.Join(p.eng.Stop(ctx), <-done)
	}, nil
}

// gnetSink streams blocks to a server that throws them away and answers 16 bytes each; inFlight bytes are outstanding.
func gnetSink(ctx context.Context, d time.Duration, addr string, block []byte, inFlight int) (sample, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return sample{}, err
	}
	credit := make(chan struct{}, max(1, inFlight/len(block)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		owed := 0
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			for owed += n; owed >= 16; owed -= 16 {
				<-credit
			}
		}
	}()
	s, err := timed(ctx, d, func() (int64, int64, error) {
		credit <- struct{}{}
		n, err := c.Write(block)
		return 1, int64(n), err
	})
	err = errors.Join(err, c.Close())
	<-done
	return s, err
}

// gnetEcho sends messages of size bytes one at a time and takes the median time until each is back.
func gnetEcho(ctx context.Context, d time.Duration, addr string, size int) (sample, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return sample{}, err
	}
	msg, buf := noise(size), make([]byte, size)
	s, err := latencies(ctx, d, func() error {
		if _, err := c.Write(msg); err != nil {
			return err
		}
		_, err := io.ReadFull(c, buf)
		return err
	})
	return s, errors.Join(err, c.Close())
}

// latencies calls f one after the other; the figure is the median in seconds.
func latencies(ctx context.Context, d time.Duration, f func() error) (sample, error) {
	h := hdrhistogram.New(100, int64(10*time.Second), 3) // nanoseconds
	s, err := timed(ctx, d, func() (int64, int64, error) {
		start := time.Now()
		if err := f(); err != nil {
			return 0, 0, err
		}
		return 1, 0, h.RecordValue(max(int64(time.Since(start)), 100))
	})
	s.figure = float64(h.ValueAtQuantile(50)) / 1e9
	return s, err
}

package native_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/native"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

// wire is a connection that speaks frames by hand.
type wire struct {
	t testing.TB
	net.Conn
}

func (r *rig) wire() *wire {
	r.t.Helper()
	c, err := net.Dial("tcp", r.srv.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return &wire{r.t, c}
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	if _, err := w.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

// recv reads one frame within ten seconds.
func (w *wire) recv() (frame.Header, []byte, error) {
	_ = w.SetReadDeadline(time.Now().Add(10 * time.Second))
	var head [frame.HeaderLen]byte
	if _, err := io.ReadFull(w, head[:]); err != nil {
		return frame.Header{}, nil, err
	}
	h := frame.ParseHeader(head[:])
	body := make([]byte, h.Size()-frame.HeaderLen)
	_, err := io.ReadFull(w, body)
	return h, body, err
}

func (w *wire) expect(op frame.Op) (frame.Header, []byte) {
	w.t.Helper()
	h, body, err := w.recv()
	if err != nil || h.Op != op {
		msg := ""
		if h.Op == frame.OpError {
			f, _ := frame.DecodeError(body)
			msg = f.Code.String() + " " + string(f.Message)
		}
		w.t.Fatalf("got %s (%s), %v; want %s", h.Op, msg, err, op)
	}
	return h, body
}

// expectRefusal reads an ERROR of that code, and the end of the connection behind it.
func (w *wire) expectRefusal(code frame.Code) {
	w.t.Helper()
	w.expectError(code)
	if _, _, err := w.recv(); !errors.Is(err, io.EOF) {
		w.t.Fatalf("after ERROR: %v, want the connection's end", err)
	}
}

func (w *wire) expectError(code frame.Code) {
	w.t.Helper()
	_, body := w.expect(frame.OpError)
	f, err := frame.DecodeError(body)
	if err != nil || f.Code != code || len(f.Message) == 0 {
		w.t.Fatalf("ERROR %s %q, %v; want %s", f.Code, f.Message, err, code)
	}
}

func (w *wire) hello() frame.Welcome {
	w.t.Helper()
	w.send(frame.AppendHello(nil, 1, &frame.Hello{MinVersion: 1, MaxVersion: 1, MaxFrame: frame.DefaultMaxFrame, Name: []byte("wire")}))
	_, body := w.expect(frame.OpHello)
	wl, err := frame.DecodeWelcome(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return wl
}

// openStream returns the handle and the first shard's id.
func (w *wire) openStream(name string, level uint8) (handle, shard uint32) {
	w.t.Helper()
	w.send(frame.AppendOpen(nil, 2, &frame.Open{Stream: []byte(name), Create: true, Shards: 1, Routing: hashkey.XXH64, Durability: level}))
	h, body := w.expect(frame.OpOpen)
	o, err := frame.DecodeOpened(body)
	if err != nil || o.Len() != 1 {
		w.t.Fatalf("OPEN: %v, %d shards", err, o.Len())
	}
	return h.Handle, o.At(0).ID
}

func produceFrame(corr, handle uint32, level uint8, batches ...[]byte) []byte {
	all := bytes.Join(batches, nil)
	return append(frame.AppendProducePrefix(nil, corr, handle, level, len(batches), len(all)), all...)
}

func TestBadInput(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	bystander := r.dial(nativeclient.Options{})
	s := r.open(bystander, "bystander", 1, nativeclient.LevelOS)
	header := func(n uint32, op byte, flags byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, n)
		return append(append(b, op, flags, 0, 0), make([]byte, 8)...)
	}
	f := func(name string, code frame.Code, before bool, input func(handle, shard uint32) []byte) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			w := r.wire()
			w.t = t
			var handle, shard uint32
			if !before {
				w.hello()
				handle, shard = w.openStream("s", 2)
			}
			w.send(input(handle, shard))
			w.expectRefusal(code)
		})
	}
	lit := func(b []byte) func(uint32, uint32) []byte { return func(uint32, uint32) []byte { return b } }
	f("http", frame.CodeOversized, true, lit([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")))
	f("zeros", frame.CodeMalformed, true, lit(make([]byte, 64)))
	f("beyond 4 KiB before HELLO", frame.CodeOversized, true, lit(header(4097, 1, 0)))
	f("length 11", frame.CodeMalformed, true, lit(header(11, 11, 0)))
	f("OPEN before HELLO", frame.CodeUnauthenticated, true, lit(frame.AppendOpen(nil, 1, &frame.Open{Stream: []byte("s")})))
	f("HELLO of version 9", frame.CodeVersion, true, lit(frame.AppendHello(nil, 1, &frame.Hello{MinVersion: 9, MaxVersion: 9, MaxFrame: 1 << 20})))
	f("HELLO cut", frame.CodeMalformed, true, lit(header(12, 1, 0)))
	f("AUTH unasked", frame.CodeUnauthenticated, true, lit(header(12, 3, 0)))
	f("second HELLO", frame.CodeMalformed, false, lit(frame.AppendHello(nil, 1, &frame.Hello{MinVersion: 1, MaxVersion: 1, MaxFrame: 1 << 20})))
	f("oversized", frame.CodeOversized, false, lit(header(frame.DefaultMaxFrame+1, 4, 0)))
	f("oversized with its body on the way", frame.CodeOversized, false,
		lit(append(header(8<<20, 4, 0), make([]byte, 1<<20)...)))
	f("flags", frame.CodeMalformed, false, lit(header(12, 11, 1)))
	f("PRODUCE empty", frame.CodeMalformed, false, lit(header(12, 4, 0)))
	f("PRODUCE count too high", frame.CodeMalformed, false, func(handle, shard uint32) []byte {
		var bb batch.Builder
		p := produceFrame(1, handle, 2, makeBatch(t, &bb, shard, 0, "x"))
		p[frame.HeaderLen+4] = 2
		return p
	})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		w := r.wire()
		junk := make([]byte, 20+rng.IntN(5000))
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		w.send(junk)
		if h, _, err := w.recv(); err != nil || h.Op != frame.OpError {
			t.Fatalf("random bytes: %s, %v", h.Op, err)
		}
	}
	var bb batch.Builder
	done := newCollector()
	if err := s.ProduceBatch(t.Context(), makeBatch(t, &bb, s.Shards()[0].ID, 0, "x"), nativeclient.LevelOS, 0, done); err != nil {
		t.Fatal(err)
	}
	if a := done.wait(1)[0]; a.Err != nil {
		t.Fatalf("the other session: %v", a.Err)
	}
}

// What is wrong with one request leaves the session alone.
func TestRejectedRequests(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	w := r.wire()
	w.hello()
	handle, shard := w.openStream("s", 2)
	w.send(frame.AppendHeader(nil, 77, 0, 5, 0, 0))
	w.expectError(frame.CodeUnknownOp)
	w.send(frame.AppendFetch(nil, 6, handle+1, &frame.Fetch{Shard: shard}))
	w.expectError(frame.CodeUnknownHandle)
	w.send(frame.AppendFetch(nil, 7, handle, &frame.Fetch{Shard: shard + 1000}))
	w.expectError(frame.CodeNotFound)
	w.send(frame.AppendSubscribe(nil, 8, handle, &frame.Subscribe{Credit: 1}, []uint32{shard + 1000}))
	w.expectError(frame.CodeNotFound)
	w.send(frame.AppendOpen(nil, 9, &frame.Open{Stream: []byte("absent")}))
	w.expectError(frame.CodeNotFound)
	versioned := frame.AppendPing(nil, 0, 10, nil)
	versioned[6] = 1
	w.send(versioned)
	w.expectError(frame.CodeUnknownOp)

	var bb batch.Builder
	good := bytes.Clone(makeBatch(t, &bb, shard, 0, "good"))
	damaged := bytes.Clone(good)
	damaged[batch.HeaderLen+3] ^= 1
	elsewhere := bytes.Clone(makeBatch(t, &bb, shard+7, 0, "good"))
	w.send(produceFrame(11, handle, 2, good, damaged, elsewhere, good))
	_, body := w.expect(frame.OpAck)
	a, err := frame.DecodeAck(body)
	if err != nil || a.Len() != 4 {
		t.Fatalf("ACK: %v, %d results", err, a.Len())
	}
	for i, want := range []frame.Code{frame.OK, frame.CodeBadBatch, frame.CodeStaleRoute, frame.OK} {
		if got := a.At(i); got.Code != want || (want == frame.OK) != (got.Micros != 0) {
			t.Errorf("batch %d: %+v, want %s", i, got, want)
		}
	}
	if a.Credit != uint32(frame.HeaderLen+frame.PrefixLen+3*len(good)+len(damaged)) {
		t.Errorf("credit %d", a.Credit)
	}
	w.send(produceFrame(12, handle+9, 2, good))
	_, body = w.expect(frame.OpAck)
	if a, err = frame.DecodeAck(body); err != nil || a.At(0).Code != frame.CodeUnknownHandle {
		t.Fatalf("unknown handle: %v %+v", err, a.At(0))
	}
	w.send(frame.AppendPing(nil, 0, 13, []byte("still here")))
	if _, body = w.expect(frame.OpPing); string(body) != "still here" {
		t.Fatalf("PING echoed %q", body)
	}
}

// Frames arrive in pieces of any size.
func TestSplitFrames(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{})
	w := r.wire()
	w.hello()
	handle, shard := w.openStream("s", 2)
	var bb batch.Builder
	var all []byte
	const n = 40
	for i := range n {
		rec := strings.Repeat("x", i*97)
		all = append(all, produceFrame(uint32(100+i), handle, 2, makeBatch(t, &bb, shard, 0, rec, "second"))...)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	go func() {
		for len(all) > 0 {
			k := min(1+rng.IntN(3000), len(all))
			if rng.IntN(3) == 0 {
				k = min(1+rng.IntN(20), len(all))
			}
			if _, err := w.Write(all[:k]); err != nil {
				return
			}
			all = all[k:]
			time.Sleep(50 * time.Microsecond)
		}
	}()
	for i := range n {
		h, body := w.expect(frame.OpAck)
		if a, err := frame.DecodeAck(body); err != nil || h.Corr != uint32(100+i) || a.At(0).Code != frame.OK {
			t.Fatalf("ACK %d: corr %d, %v", i, h.Corr, err)
		}
	}
}

// authKeys are the keys of a server that asks for some.
func authKeys(k string) (secret, account string, ok bool) {
	switch k {
	case "AKID", "123456789012":
		return "secret", "", true
	case "AKIDBOUND":
		return "secret", "111122223333", true
	}
	return "", "", false
}

// TestAuthAccounts: a key speaks for its account, and for no other.
func TestAuthAccounts(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{Keys: authKeys})
	dial := func(key, secret string) (*nativeclient.Client, error) {
		return nativeclient.Dial(t.Context(), nativeclient.Options{Addr: r.srv.Addr().String(), AccessKey: key, SecretKey: secret})
	}
	c, err := dial("AKID", "secret")
	if err != nil {
		t.Fatal(err)
	}
	r.open(c, "s", 1, nativeclient.LevelMem)
	_ = c.Close()
	// A key that is an account number speaks for that account: the stream of the default account is not there.
	own, err := dial("123456789012", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Open(t.Context(), "s", nil); !errors.Is(err, nativeclient.ErrNotFound) {
		t.Errorf("stream of another account: %v", err)
	}
	_ = own.Close()
	// So does a key that is bound to one. It makes a stream of the same name there, and neither sees the other's.
	bound, err := dial("AKIDBOUND", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bound.Open(t.Context(), "s", nil); !errors.Is(err, nativeclient.ErrNotFound) {
		t.Errorf("stream of another account: %v", err)
	}
	r.open(bound, "s", 3, nativeclient.LevelMem)
	_ = bound.Close()
	for account, shards := range map[string]int{engine.DefaultAccount: 1, "111122223333": 3, "123456789012": 0} {
		if open, _, _ := r.eng.ShardUse(account, engine.DefaultRegion); open != shards {
			t.Errorf("account %s has %d open shards, want %d", account, open, shards)
		}
	}
	// No key may name another account's stream, and one without an account of its own is the server's.
	for _, who := range []struct {
		key, account string
		want         frame.Code
	}{{"AKID", "111122223333", frame.CodeDenied}, {"AKIDBOUND", engine.DefaultAccount, frame.CodeDenied}, {"AKIDBOUND", "111122223333", frame.OK}, {"AKID", engine.DefaultAccount, frame.OK}} {
		w := r.wire()
		challenge := w.hello()
		w.send(frame.AppendAuth(nil, 2, who.key, frame.Sum("secret", &challenge.Nonce, []byte(who.key))))
		w.expect(frame.OpAuth)
		w.send(frame.AppendOpen(nil, 3, &frame.Open{Account: []byte(who.account), Stream: []byte("s")}))
		if who.want == frame.OK {
			w.expect(frame.OpOpen)
		} else {
			w.expectError(who.want)
		}
	}
}

func TestAuth(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{Keys: authKeys, AuthTimeout: 200 * time.Millisecond})
	dial := func(key, secret string) (*nativeclient.Client, error) {
		return nativeclient.Dial(t.Context(), nativeclient.Options{Addr: r.srv.Addr().String(), AccessKey: key, SecretKey: secret})
	}
	for _, k := range [][2]string{{"AKID", "wrong"}, {"nobody", "secret"}, {"", ""}, {"nobody", ""}} {
		if c, err := dial(k[0], k[1]); !errors.Is(err, nativeclient.ErrAuth) {
			t.Errorf("key %q, secret %q: %v", k[0], k[1], err)
			if err == nil {
				_ = c.Close()
			}
		}
	}
	c, err := dial("AKID", "secret")
	if err != nil {
		t.Fatal(err)
	}
	r.open(c, "s", 1, nativeclient.LevelMem)
	w := r.wire()
	if wl := w.hello(); !wl.AuthRequired || wl.Nonce == [frame.NonceLen]byte{} {
		t.Fatalf("Welcome %+v", wl)
	}
	w.send(frame.AppendPing(nil, 0, 3, nil))
	w.expect(frame.OpPing)
	w.send(frame.AppendOpen(nil, 4, &frame.Open{Stream: []byte("s")}))
	w.expectRefusal(frame.CodeUnauthenticated)

	// The limit of frames before AUTH is 4 KiB.
	w = r.wire()
	w.hello()
	w.send(frame.AppendHeader(nil, frame.OpPing, 0, 1, 0, 4096))
	w.expectRefusal(frame.CodeOversized)

	// An answer to one challenge is none to the next.
	w = r.wire()
	first := w.hello()
	w2 := r.wire()
	w2.hello()
	w2.send(frame.AppendAuth(nil, 2, "AKID", frame.Sum("secret", &first.Nonce, []byte("AKID"))))
	w2.expectRefusal(frame.CodeAuthFailed)

	// Whoever says nothing is told off after the deadline, at each stage; whoever is authenticated stays.
	w = r.wire()
	w.expectRefusal(frame.CodeAuthTimeout)
	w = r.wire()
	w.hello()
	w.expectRefusal(frame.CodeAuthTimeout)
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("authenticated session: %v", err)
	}
	_ = c.Close()
}

func TestTooManySessions(t *testing.T) {
	r := newRig(t, memOptions(), native.Options{MaxSessions: 2})
	a, b := r.dial(nativeclient.Options{}), r.dial(nativeclient.Options{})
	w := r.wire()
	w.expectError(frame.CodeTooManySessions)
	_ = a.Close()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := nativeclient.Dial(t.Context(), nativeclient.Options{Addr: r.srv.Addr().String()})
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no room after a session ended: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
	if err := b.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
	"github.com/shardmill/shardmill/codec/hashkey"
)

var update = flag.Bool("update", false, "write the golden files")

func testBatch(t testing.TB, shard uint32) batch.Batch {
	t.Helper()
	var b batch.Builder
	b.Reset(shard, batch.BuildOptions{RouteEpoch: 3})
	b.SetClientMicros(1_700_000_000_000_000)
	if err := b.Append([]byte("key"), []byte("data")); err != nil {
		t.Fatal(err)
	}
	out, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(out)
}

// frames is one frame of each kind, as the golden files have them.
func frames(t testing.TB) map[string][]byte {
	b := testBatch(t, 9)
	var nonce [NonceLen]byte
	for i := range nonce {
		nonce[i] = byte(i)
	}
	shards := []Shard{
		{Index: 0, ID: 7, Range: hashkey.Range{Last: hashkey.Key{Hi: 1 << 63, Lo: 5}}, Parent: -1, AdjacentParent: -1},
		{Index: 1, ID: 9, Open: true, Range: hashkey.Range{First: hashkey.Key{Hi: 1, Lo: 2}, Last: hashkey.Max()}, Parent: 0, AdjacentParent: 2},
	}
	opened := Opened{Routing: hashkey.XXH64, Durability: 1, RouteEpoch: 3, StreamID: 11, Total: 2}
	produce := append(AppendProducePrefix(nil, 7, 2, 1, 2, 2*len(b)), b...)
	produce = append(produce, b...)
	ack := AppendAckPrefix(nil, 7, 2, 320, 2)
	ack = AppendAckResult(ack, AckResult{Position: 1 << 40, Micros: 1_700_000_000_000_001, Code: OK})
	ack = AppendAckResult(ack, AckResult{Code: CodeStaleRoute})
	deliver := func(op Op) []byte {
		return EndDeliver(append(AppendDeliverPrefix(nil, op, 8, 2, 9), b...), 0, 1<<40+128, op == OpDeliver)
	}
	return map[string][]byte{
		"hello":          AppendHello(nil, 1, &Hello{MinVersion: 1, MaxVersion: 2, Features: 4, MaxFrame: DefaultMaxFrame, Credit: 1 << 22, Name: []byte("client")}),
		"hello_response": AppendWelcome(nil, 1, &Welcome{Version: 1, AuthRequired: true, MaxFrame: DefaultMaxFrame, Features: 4, ProducerID: 99, Credit: 1 << 22, Nonce: nonce}),
		"auth":           AppendAuth(nil, 2, "AKID", Sum("secret", &nonce, []byte("AKID"))),
		"auth_response":  AppendEmpty(nil, OpAuth, FlagResponse, 2, 0),
		"open":           AppendOpen(nil, 3, &Open{Account: []byte("000000000000"), Region: []byte("us-east-1"), Stream: []byte("s")}),
		"open_create":    AppendOpen(nil, 3, &Open{Stream: []byte("s"), Create: true, Shards: 4, Routing: hashkey.XXH64, Durability: 1}),
		"open_response":  AppendOpened(nil, FlagMore, 3, 2, &opened, 2, func(i int) Shard { return shards[i] }),
		"produce":        produce,
		"ack":            ack,
		"fetch":          AppendFetch(nil, 8, 2, &Fetch{Shard: 9, Kind: FromMicros, Value: 1_700_000_000_000_000, MinBytes: 1, MaxBytes: 1 << 20, WaitMillis: 500}),
		"fetch_response": deliver(OpFetch),
		"subscribe":      AppendSubscribe(nil, 8, 2, &Subscribe{Kind: FromPosition, Value: 1 << 40, Credit: 1 << 20}, []uint32{7, 9}),
		"deliver":        deliver(OpDeliver),
		"unsubscribe":    AppendUnsubscribe(nil, 10, 8),
		"credit":         AppendCredit(nil, 8, 4096),
		"ping":           AppendPing(nil, 0, 11, []byte("ping")),
		"goaway":         AppendGoAway(nil, FlagDrain, CodeClosing),
		"error":          AppendError(nil, 12, 2, CodeUnknownHandle, "no such handle"),
	}
}

// decode runs the decoder that a frame's header calls for, and returns what it found.
func decode(h Header, body []byte) (any, error) {
	response := h.Flags&FlagResponse != 0
	switch h.Op {
	case OpHello:
		if response {
			v, err := DecodeWelcome(body)
			return v, err
		}
		v, err := DecodeHello(body)
		return v, err
	case OpAuth:
		if response {
			return nil, DecodeEmpty(h.Op, body)
		}
		v, err := DecodeAuth(body)
		return v, err
	case OpOpen:
		if response {
			o, err := DecodeOpened(body)
			for i := range o.Len() {
				o.At(i)
			}
			return o, err
		}
		v, err := DecodeOpen(body)
		return v, err
	case OpProduce:
		p, err := DecodeProduce(body)
		for rest := p; err == nil; {
			var b batch.Batch
			if b, err = rest.Next(); b == nil {
				break
			}
		}
		return p, err
	case OpAck:
		a, err := DecodeAck(body)
		for i := range a.Len() {
			a.At(i)
		}
		return a, err
	case OpFetch:
		if response {
			v, err := DecodeDeliver(body)
			return v, err
		}
		v, err := DecodeFetch(body)
		return v, err
	case OpDeliver:
		v, err := DecodeDeliver(body)
		return v, err
	case OpSubscribe:
		s, err := DecodeSubscribe(body)
		for i := range s.Len() {
			s.At(i)
		}
		return s, err
	case OpUnsubscribe:
		v, err := DecodeUnsubscribe(body)
		return v, err
	case OpCredit:
		id, n, err := DecodeCredit(body)
		return [2]uint32{id, n}, err
	case OpPing:
		v, err := DecodePing(body)
		return v, err
	case OpGoAway:
		v, err := DecodeGoAway(body)
		return v, err
	case OpError:
		v, err := DecodeError(body)
		return v, err
	}
	return nil, ErrMalformed
}

func TestGolden(t *testing.T) {
	for name, got := range frames(t) {
		path := filepath.Join("testdata", name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if hex.Dump(got) != string(want) {
			t.Errorf("%s is\n%swant\n%s", name, hex.Dump(got), want)
		}
	}
}

func TestDecodeWhatWasEncoded(t *testing.T) {
	all := frames(t)
	f := func(name string, want any) {
		t.Helper()
		b := all[name]
		h := ParseHeader(b)
		if h.Size() != len(b) {
			t.Errorf("%s: header says %d bytes of %d", name, h.Size(), len(b))
		}
		got, err := decode(h, b[HeaderLen:])
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	var nonce [NonceLen]byte
	for i := range nonce {
		nonce[i] = byte(i)
	}
	f("hello", Hello{MinVersion: 1, MaxVersion: 2, Features: 4, MaxFrame: DefaultMaxFrame, Credit: 1 << 22, Name: []byte("client")})
	f("hello_response", Welcome{Version: 1, AuthRequired: true, MaxFrame: DefaultMaxFrame, Features: 4, ProducerID: 99, Credit: 1 << 22, Nonce: nonce})
	f("open", Open{Account: []byte("000000000000"), Region: []byte("us-east-1"), Stream: []byte("s")})
	f("open_create", Open{Account: []byte{}, Region: []byte{}, Stream: []byte("s"), Create: true, Shards: 4, Routing: hashkey.XXH64, Durability: 1})
	f("fetch", Fetch{Shard: 9, Kind: FromMicros, Value: 1_700_000_000_000_000, MinBytes: 1, MaxBytes: 1 << 20, WaitMillis: 500})
	f("unsubscribe", uint32(8))
	f("credit", [2]uint32{8, 4096})
	f("ping", []byte("ping"))
	f("goaway", CodeClosing)
	f("error", Failure{Code: CodeUnknownHandle, Message: []byte("no such handle")})

	o, err := DecodeOpened(all["open_response"][HeaderLen:])
	if err != nil || o.Len() != 2 || o.Total != 2 || o.Routing != hashkey.XXH64 || o.RouteEpoch != 3 || o.StreamID != 11 || o.Durability != 1 {
		t.Errorf("OPEN response %+v, %v", o, err)
	}
	if s := o.At(1); !s.Open || s.ID != 9 || s.Parent != 0 || s.AdjacentParent != 2 || s.Range.Last != hashkey.Max() || s.Range.First.Lo != 2 {
		t.Errorf("shard %+v", s)
	}
	if s := o.At(0); s.Open || s.Parent != -1 {
		t.Errorf("shard %+v", s)
	}
	p, err := DecodeProduce(all["produce"][HeaderLen:])
	if err != nil || p.Level != 1 || p.Count != 2 {
		t.Fatalf("PRODUCE %+v, %v", p, err)
	}
	for range 2 {
		if b, err := p.Next(); err != nil || !bytes.Equal(b, testBatch(t, 9)) {
			t.Errorf("batch %x, %v", b, err)
		}
	}
	if b, err := p.Next(); b != nil || err != nil {
		t.Errorf("after the last batch: %x, %v", b, err)
	}
	a, err := DecodeAck(all["ack"][HeaderLen:])
	if err != nil || a.Credit != 320 || a.Len() != 2 || a.At(0) != (AckResult{Position: 1 << 40, Micros: 1_700_000_000_000_001}) ||
		a.At(1) != (AckResult{Code: CodeStaleRoute}) {
		t.Errorf("ACK %+v, %v", a, err)
	}
	s, err := DecodeSubscribe(all["subscribe"][HeaderLen:])
	if err != nil || s.Len() != 2 || s.At(0) != 7 || s.At(1) != 9 || s.Credit != 1<<20 || s.Value != 1<<40 {
		t.Errorf("SUBSCRIBE %+v, %v", s, err)
	}
	for name, end := range map[string]bool{"deliver": true, "fetch_response": false} {
		d, err := DecodeDeliver(all[name][HeaderLen:])
		if err != nil || d.Shard != 9 || d.End != end || d.Next != 1<<40+128 || !bytes.Equal(d.Batches, testBatch(t, 9)) {
			t.Errorf("%s %+v, %v", name, d, err)
		}
	}
}

// Batches keep their alignment within a frame that starts at a multiple of it.
func TestBatchesAreAligned(t *testing.T) {
	for _, n := range []int{len(AppendProducePrefix(nil, 1, 1, 0, 1, 0)), len(AppendDeliverPrefix(nil, OpFetch, 1, 1, 1))} {
		if n%batch.Align != 0 || n != HeaderLen+PrefixLen {
			t.Errorf("batches start at %d", n)
		}
	}
}

// Bodies that are cut, too long, or have a field out of range are refused.
func TestDamage(t *testing.T) {
	for name, b := range frames(t) {
		h, body := ParseHeader(b), b[HeaderLen:]
		open := map[string]bool{"ping": true, "deliver": true, "fetch_response": true}[name] // any length is right
		for n := range len(body) {
			if _, err := decode(h, body[:n:n]); err == nil && !(open && (n >= PrefixLen || name == "ping")) {
				t.Errorf("%s cut to %d of %d bytes is taken", name, n, len(body))
			} else if err != nil && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := decode(h, append(bytes.Clone(body), 0)); err == nil && !open {
			t.Errorf("%s with a byte too much is taken", name)
		}
	}
	f := func(name string, at int, v ...byte) {
		t.Helper()
		b := frames(t)[name]
		h, body := ParseHeader(b), b[HeaderLen:]
		copy(body[at:], v)
		if _, err := decode(h, body); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with %x at %d: %v", name, v, at, err)
		}
	}
	f("hello", 4, 1)                      // reserved
	f("hello", 24, 0xff, 0xff)            // name beyond its limit
	f("hello_response", 2, 2)             // a flag that is neither
	f("auth", 0, 0xff, 0xff)              // key beyond its limit
	f("open", 0, 129)                     // name beyond its limit
	f("open_create", 5, 0, 0, 0, 0)       // no shards
	f("open_create", 5, 0, 0, 0, 0xff)    // too many
	f("open_create", 9, 2)                // routing
	f("open_create", 10, 3)               // durability
	f("open_response", 0, 9)              // routing
	f("open_response", 12, 0xff)          // more shards than there are bytes
	f("open_response", 12, 0, 0, 0, 0xff) // far more
	f("open_response", 16+8, 2)           // neither open nor closed
	f("produce", 0, 3)                    // level
	f("produce", 1, 1)                    // reserved
	f("produce", 4, 0)                    // no batches
	f("produce", 4, 1)                    // fewer than there are
	f("produce", 4, 3)                    // more
	f("produce", 4, 0xff, 0xff, 0xff)     // beyond the limit
	f("produce", 8, 1)                    // reserved
	f("produce", PrefixLen+8, 0)          // batch length
	f("produce", PrefixLen+8, 0xff, 0xff, 0xff, 0xff)
	f("produce", PrefixLen+8, 97)
	f("ack", 4, 0) // no results
	f("ack", 4, 1)
	f("ack", 6, 1)   // reserved
	f("fetch", 4, 4) // kind
	f("fetch", 24, 0xff, 0xff, 0xff)
	f("subscribe", 0, 9)
	f("subscribe", 16, 0)
	f("subscribe", 16, 0xff, 0xff, 0xff, 0xff)
	f("deliver", 4, 2)
	f("goaway", 2, 1)
	f("error", 2, 0xff, 0xff)
	if _, err := DecodePing(make([]byte, MaxPing+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("long PING: %v", err)
	}
}

func TestAuthSum(t *testing.T) {
	var nonce [NonceLen]byte
	a := Auth{AccessKey: []byte("AKID"), MAC: Sum("secret", &nonce, []byte("AKID"))}
	if !a.Verify("secret", &nonce) || a.Verify("Secret", &nonce) {
		t.Error("Verify")
	}
	other := nonce
	other[0] = 1
	if a.Verify("secret", &other) {
		t.Error("an answer to another challenge is taken")
	}
	a.AccessKey = []byte("AKIE")
	if a.Verify("secret", &nonce) {
		t.Error("an answer of another key is taken")
	}
}

func TestLongTextsAreCut(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	b := AppendError(nil, 1, 1, CodeInternal, long)
	if f, err := DecodeError(b[HeaderLen:]); err != nil || len(f.Message) != MaxMessage {
		t.Errorf("message of %d bytes, %v", len(f.Message), err)
	}
	b = AppendHello(nil, 1, &Hello{Name: []byte(long)})
	if h, err := DecodeHello(b[HeaderLen:]); err != nil || len(h.Name) != MaxName {
		t.Errorf("name of %d bytes, %v", len(h.Name), err)
	}
}

// Every code has a name of its own, and those that end the session are the documented ones.
func TestCodes(t *testing.T) {
	seen := map[string]Code{}
	fatal := 0
	for c := range Code(200) {
		if strings.HasPrefix(c.String(), "CODE_") {
			continue
		}
		if other, twice := seen[c.String()]; twice {
			t.Errorf("codes %d and %d are both %s", other, c, c)
		}
		seen[c.String()] = c
		if c.Fatal() {
			fatal++
		}
	}
	if len(seen) != 24 || fatal != 9 {
		t.Errorf("%d codes, %d fatal", len(seen), fatal)
	}
	for o := range Op(20) {
		if known := o >= OpHello && o <= OpError; known == (o.String() == "UNKNOWN") {
			t.Errorf("operation %d is %s", o, o)
		}
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	all := frames(t)
	dst := make([]byte, 0, 4096)
	f := func(name string, fn func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("PRODUCE", func() {
		p, err := DecodeProduce(all["produce"][HeaderLen:])
		for err == nil {
			var b batch.Batch
			if b, err = p.Next(); b == nil {
				break
			}
		}
	})
	f("ACK", func() {
		dst = AppendAckResult(AppendAckPrefix(dst[:0], 1, 2, 3, 1), AckResult{})
		a, _ := DecodeAck(all["ack"][HeaderLen:])
		_ = a.At(1)
	})
	f("FETCH", func() {
		_, _ = DecodeFetch(all["fetch"][HeaderLen:])
		dst = EndDeliver(AppendDeliverPrefix(dst[:0], OpFetch, 1, 2, 3), 0, 4, true)
		_, _ = DecodeDeliver(all["deliver"][HeaderLen:])
	})
	f("CREDIT", func() {
		dst = AppendCredit(dst[:0], 1, 2)
		_, _, _ = DecodeCredit(all["credit"][HeaderLen:])
	})
}

package frame

import (
	"bytes"
	"testing"
)

// fuzzDecoder gives a decoder the golden bodies and whatever the fuzzer makes of them.
func fuzzDecoder(f *testing.F, fn func(t *testing.T, body []byte)) {
	for _, b := range frames(f) {
		f.Add(b[HeaderLen:])
	}
	f.Fuzz(fn)
}

// FuzzFrame: no header and body whatever make a decoder panic or read beyond the body.
func FuzzFrame(f *testing.F) {
	for _, b := range frames(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < HeaderLen {
			return
		}
		h := ParseHeader(b)
		if int64(h.Len)+lenField != int64(h.Size()) {
			t.Fatalf("size %d of len %d", h.Size(), h.Len)
		}
		body := b[HeaderLen:len(b):len(b)]
		for op := OpHello; op <= OpError; op++ {
			for _, flags := range []Flags{0, FlagResponse} {
				h.Op, h.Flags = op, flags
				_, _ = decode(h, body)
			}
		}
	})
}

// The fuzz targets below hold decoders and encoders against each other: what decodes encodes to the same bytes.

func FuzzHello(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		if h, err := DecodeHello(body); err == nil && !bytes.Equal(AppendHello(nil, 0, &h)[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, h)
		}
	})
}

func FuzzWelcome(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		if w, err := DecodeWelcome(body); err == nil && !bytes.Equal(AppendWelcome(nil, 0, &w)[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, w)
		}
	})
}

func FuzzAuth(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		if a, err := DecodeAuth(body); err == nil && !bytes.Equal(AppendAuth(nil, 0, string(a.AccessKey), a.MAC)[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, a)
		}
	})
}

func FuzzOpen(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		if o, err := DecodeOpen(body); err == nil && !bytes.Equal(AppendOpen(nil, 0, &o)[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, o)
		}
	})
}

func FuzzOpened(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		if o, err := DecodeOpened(body); err == nil && !bytes.Equal(AppendOpened(nil, 0, 0, 0, &o, o.Len(), o.At)[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, o)
		}
	})
}

func FuzzProduce(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		p, err := DecodeProduce(body)
		if err != nil {
			return
		}
		count, again := p.Count, AppendProducePrefix(nil, 0, 0, p.Level, p.Count, 0)
		for {
			b, err := p.Next()
			if err != nil {
				return
			}
			if b == nil {
				break
			}
			again = append(again, b...)
			count--
		}
		if count != 0 || !bytes.Equal(again[HeaderLen:], body) {
			t.Fatalf("%x: %d batches missing", body, count)
		}
	})
}

func FuzzAck(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		a, err := DecodeAck(body)
		if err != nil {
			return
		}
		again := AppendAckPrefix(nil, 0, 0, a.Credit, a.Len())
		for i := range a.Len() {
			again = AppendAckResult(again, a.At(i))
		}
		// The two reserved bytes of a result are not looked at.
		for i := range a.Len() {
			copy(again[HeaderLen+ackFixed+i*ackResult+18:], body[ackFixed+i*ackResult+18:][:2])
		}
		if !bytes.Equal(again[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, a)
		}
	})
}

func FuzzFetch(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		if v, err := DecodeFetch(body); err == nil && !bytes.Equal(AppendFetch(nil, 0, 0, &v)[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, v)
		}
	})
}

func FuzzDeliver(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		d, err := DecodeDeliver(body)
		if err != nil {
			return
		}
		again := EndDeliver(append(AppendDeliverPrefix(nil, OpDeliver, 0, 0, d.Shard), d.Batches...), 0, d.Next, d.End)
		if !bytes.Equal(again[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, d)
		}
	})
}

func FuzzSubscribe(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		s, err := DecodeSubscribe(body)
		if err != nil {
			return
		}
		var ids []uint32
		for i := range s.Len() {
			ids = append(ids, s.At(i))
		}
		if !bytes.Equal(AppendSubscribe(nil, 0, 0, &s, ids)[HeaderLen:], body) {
			t.Fatalf("%x is %+v", body, s)
		}
	})
}

func FuzzControl(f *testing.F) {
	fuzzDecoder(f, func(t *testing.T, body []byte) {
		check := func(name string, err error, again []byte) {
			if err == nil && !bytes.Equal(again[HeaderLen:], body) {
				t.Fatalf("%s: %x is encoded as %x", name, body, again[HeaderLen:])
			}
		}
		id, err := DecodeUnsubscribe(body)
		check("UNSUBSCRIBE", err, AppendUnsubscribe(nil, 0, id))
		sub, n, err := DecodeCredit(body)
		check("CREDIT", err, AppendCredit(nil, sub, n))
		ping, err := DecodePing(body)
		check("PING", err, AppendPing(nil, 0, 0, ping))
		code, err := DecodeGoAway(body)
		check("GOAWAY", err, AppendGoAway(nil, 0, code))
		e, err := DecodeError(body)
		check("ERROR", err, AppendError(nil, 0, 0, e.Code, string(e.Message)))
	})
}

package engine

import (
	"context"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/codec/sequence"
	"github.com/shardmill/shardmill/internal/vfs"
)

// What each iterator type shows of five records in five batches, one of them a batch of three, a second apart.
func TestIteratorTypes(t *testing.T) {
	t.Run("disk", func(t *testing.T) { testIteratorTypes(t, testOptions(vfs.NewMem(0))) })
	t.Run("memory", func(t *testing.T) { testIteratorTypes(t, Options{RingSize: smallRing}) })
}

func testIteratorTypes(t *testing.T, o Options) {
	synctest.Test(t, func(t *testing.T) {
		e := openTest(t, o)
		s := createTest(t, e, "s", 1)
		start := time.Now()
		var where []Appended
		for _, batch := range [][]Record{{rec("k", "0")}, {rec("k", "1"), rec("k", "2"), rec("k", "3")}, {rec("k", "4")}} {
			time.Sleep(time.Second)
			where = append(where, put(t, s, batch...)...)
		}
		f := func(typ IteratorType, seq string, at *time.Time, want string) {
			t.Helper()
			token, err := s.Iterator("0", typ, seq, at)
			if err != nil {
				t.Fatal(err)
			}
			for limit := range 5 {
				all, _ := readFrom(t, e, token, limit)
				got := ""
				for _, g := range all {
					got += g.data
				}
				if got != want {
					t.Fatalf("%s %s with limit %d: %q, want %q", typ, seq, limit, got, want)
				}
			}
		}
		time.Sleep(time.Second)
		f(TrimHorizon, "", nil, "01234")
		f(Latest, "", nil, "")
		for i := range where {
			f(AtSequence, where[i].Sequence.String(), nil, "01234"[i:])
			f(AfterSequence, where[i].Sequence.String(), nil, "01234"[i+1:])
		}
		sh := s.Info().Shards[0]
		f(AtSequence, sequence.Start(sh.CreatedSeconds, 0).String(), nil, "01234")
		f(AfterSequence, sequence.Start(sh.CreatedSeconds, 0).String(), nil, "01234")
		f(AtSequence, sequence.End(sh.CreatedSeconds, 0, sh.CreatedSeconds).String(), nil, "")
		f(AfterSequence, sequence.End(sh.CreatedSeconds, 0, sh.CreatedSeconds).String(), nil, "")
		for after, want := range map[time.Duration]string{
			-time.Hour: "01234", 0: "01234", time.Second: "01234", time.Second + time.Millisecond: "1234", 2 * time.Second: "1234",
			2*time.Second + time.Millisecond: "4", 3 * time.Second: "4", 3*time.Second + time.Millisecond: "", 4 * time.Second: "",
		} {
			at := start.Add(after)
			f(AtTimestamp, "", &at, want)
		}
		// LATEST shows what comes after it, and says how far behind a reader is.
		token, err := s.Iterator("0", Latest, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, rec("k", "5"))
		time.Sleep(2 * time.Second)
		put(t, s, rec("k", "6"))
		p, err := e.Records(context.Background(), token, 1)
		if err != nil || len(p.Records) != 1 || string(p.Records[0].Data) != "5" || p.MillisBehind != 0 {
			t.Fatalf("%+v %v", p, err)
		}
		time.Sleep(3 * time.Second)
		next := p.Next
		p.Release()
		if p, err = e.Records(context.Background(), next, 1); err != nil || string(p.Records[0].Data) != "6" || p.MillisBehind != 0 {
			t.Fatalf("%+v %v", p, err)
		}
		p.Release()
		if p, err = e.Records(context.Background(), token, 1); err != nil || p.MillisBehind != 3000 {
			t.Fatalf("%+v %v", p, err)
		}
		p.Release()
	})
}

// What the API's conformance suite pins about sequence numbers.
func TestSequencePins(t *testing.T) {
	e := openTest(t, testOptions(vfs.NewMem(0)))
	before := time.Now()
	s := createTest(t, e, "s", 3)
	step, _ := new(big.Int).SetString("22300745198530623141535718272648361505980432", 10)
	info := s.Info()
	for i, sh := range info.Shards {
		if old := before.Unix() - sh.CreatedSeconds; old < 2 || old > 7 {
			t.Fatalf("shard made %d seconds before the call", old)
		}
		if i == 0 {
			continue
		}
		a := bigNumber(sequence.Start(info.Shards[i-1].CreatedSeconds, info.Shards[i-1].Index))
		b := bigNumber(sequence.Start(sh.CreatedSeconds, sh.Index))
		if new(big.Int).Sub(b, a).Cmp(step) != 0 {
			t.Fatalf("shards %d and %d begin %v apart", i-1, i, new(big.Int).Sub(b, a))
		}
	}
	for _, a := range put(t, s, numbered(20)...) {
		start := sequence.Start(info.Shards[a.Shard].CreatedSeconds, a.Shard)
		if a.Sequence.String() <= start.String() || a.Sequence.Position < 1 && a.Sequence.Seconds <= start.Seconds {
			t.Fatalf("%v is not above the shard's start %v", a.Sequence, start)
		}
	}
	for index := range uint32(3) {
		token, err := s.Iterator(ShardID(index), TrimHorizon, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Records(context.Background(), token, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			parsed, err := sequence.Parse(r.Sequence.String())
			if err != nil || parsed != r.Sequence {
				t.Fatal(err)
			}
			if d := r.Arrival.Sub(time.Unix(parsed.Seconds, 0)); d < 0 || d >= 3*time.Second {
				t.Fatalf("arrival is %v from the number's seconds", d)
			}
		}
		p.Release()
	}
}

func bigNumber(n Sequence) *big.Int {
	b, ok := new(big.Int).SetString(n.String(), 10)
	if !ok {
		panic("BUG: " + n.String())
	}
	return b
}

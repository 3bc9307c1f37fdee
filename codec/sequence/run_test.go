package sequence

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNumber(t)
		n.Position = rapid.Uint64Range(0, MaxPosition-100).Draw(t, "from")
		text := [Digits]byte(Append(nil, n))
		for range 100 {
			n.Position++
			if Next(&text); string(text[:]) != n.String() {
				t.Fatalf("%#v: %s, want %s", n, text[:], n)
			}
		}
	})
}

// TestNextCarries wants the carry to run through to the digits that the addition itself does not touch.
func TestNextCarries(t *testing.T) {
	n := Number{ShardCreated: 1_700_000_000, Shard: 3, Seconds: 1_700_000_001}
	carried := 0
	for n.Position = 1; n.Position < 1<<40; n.Position = n.Position*3 + 1 {
		// The highest 24 digits change every 8.27 million positions: look for the last position before such a change.
		before := n.String()[:24]
		low, high := n.Position, n.Position+1<<24
		for low+1 < high {
			m := n
			if m.Position = (low + high) / 2; m.String()[:24] == before {
				low = m.Position
			} else {
				high = m.Position
			}
		}
		m := n
		m.Position = low
		text := [Digits]byte(Append(nil, m))
		Next(&text)
		if m.Position++; string(text[:]) != m.String() {
			t.Fatalf("%#v: %s, want %s", m, text[:], m)
		}
		if string(text[:24]) != before {
			carried++
		}
	}
	if carried == 0 {
		t.Error("nothing was carried")
	}
}

func BenchmarkNext(b *testing.B) {
	text := [Digits]byte(Append(nil, Number{ShardCreated: 1_700_000_000, Shard: 3, Position: 1 << 30, Seconds: 1_700_000_001}))
	b.SetBytes(Digits)
	b.ReportAllocs()
	for b.Loop() {
		Next(&text)
	}
}

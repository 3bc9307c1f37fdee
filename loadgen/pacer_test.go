package loadgen

import (
	"math"
	"testing"
	"time"
)

func TestConstantSchedule(t *testing.T) {
	f := func(rate float64, workers, records int, wantGap int64) {
		t.Helper()
		c := Config{Rate: rate, Arrival: Constant, Seed: 1}
		const begin = 1_000_000
		var first []int64
		for w := range workers {
			s := newSchedule(&c, w, workers, records, begin)
			start := s.due()
			first = append(first, start)
			for i := range 1_000_000 {
				if i == 999_999 {
					// Not a sum of gaps: nothing adds up over a long run.
					if got, want := s.due()-start, int64(999_999)*wantGap; got-want > 1 || want-got > 1 {
						t.Errorf("request %d is due after %d ns, want %d", i, got, want)
					}
				}
				s.advance(records)
			}
		}
		for w, at := range first {
			if want := begin + wantGap*int64(w)/int64(workers); at-want > 1 || want-at > 1 {
				t.Errorf("worker %d begins at %d, want %d", w, at, want)
			}
		}
	}
	f(1000, 1, 1, 1_000_000)
	f(1000, 4, 1, 4_000_000)
	f(1_000_000, 2, 500, 1_000_000)
}

func TestPoissonSchedule(t *testing.T) {
	const n, workers, records, rate = 200_000, 2, 10, 100_000.0
	c := Config{Rate: rate, Arrival: Poisson, Seed: 7}
	s := newSchedule(&c, 1, workers, records, 0)
	var sum, squares float64
	last := int64(0)
	over := 0
	const mean = 1e9 * workers * records / rate
	for range n {
		gap := float64(s.due() - last)
		last = s.due()
		sum += gap
		squares += gap * gap
		if gap > mean {
			over++
		}
		s.advance(records)
	}
	got := sum / n
	deviation := math.Sqrt(squares/n - got*got)
	// n gaps: the mean is within 1 % at more than four of its deviations, likewise the rest.
	if math.Abs(got/mean-1) > 0.01 || math.Abs(deviation/mean-1) > 0.02 {
		t.Errorf("gaps of %.0f +- %.0f ns, want %.0f for both", got, deviation, mean)
	}
	if share := float64(over) / n; math.Abs(share-1/math.E) > 0.01 {
		t.Errorf("%.3f of the gaps are above the mean, want 1/e", share)
	}
	again := newSchedule(&c, 1, workers, records, 0)
	other := newSchedule(&c, 0, workers, records, 0)
	if fresh := newSchedule(&c, 1, workers, records, 0); fresh.due() != again.due() || fresh.due() == other.due() {
		t.Error("a schedule must repeat by seed and worker")
	}
}

func TestSleeperDoesNotWakeEarly(t *testing.T) {
	s, err := newSleeper()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close() //nolint:errcheck // nothing depends on it
	for _, d := range []time.Duration{time.Microsecond, 200 * time.Microsecond, 3 * time.Millisecond} {
		began := time.Now()
		if err := s.sleep(int64(d)); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(began); got < d {
			t.Errorf("slept %v of %v", got, d)
		}
	}
}

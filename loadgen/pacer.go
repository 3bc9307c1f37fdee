package loadgen

import "math/rand/v2"

// schedule says when a worker's requests are intended. It depends on nothing but its own count, so that a target that
// stalls cannot slow it down. Not for concurrent use.
type schedule struct {
	start     float64 // nanoseconds on the run's clock
	perRecord float64 // nanoseconds between records of this worker
	records   uint64  // scheduled so far: constant arrivals are computed from the count, so that nothing drifts
	poisson   *rand.Rand
	at        float64 // time of the next request of Poisson arrivals
}

// newSchedule spreads rate records/s over workers, from begin on; their constant schedules interleave.
func newSchedule(c *Config, worker, workers, firstRecords int, begin int64) *schedule {
	s := &schedule{perRecord: 1e9 * float64(workers) / c.Rate, start: float64(begin)}
	gap := s.perRecord * float64(firstRecords)
	if c.Arrival == Poisson {
		s.poisson = rand.New(rand.NewPCG(c.Seed, uint64(worker)))
		s.at = s.start + s.poisson.ExpFloat64()*gap
		return s
	}
	s.start += gap * float64(worker) / float64(workers)
	return s
}

// due is when the next request is intended.
func (s *schedule) due() int64 {
	if s.poisson != nil {
		return int64(s.at)
	}
	return int64(s.start + float64(s.records)*s.perRecord)
}

// advance notes that the next request has been let go and carries so many records.
func (s *schedule) advance(records int) {
	s.records += uint64(records)
	if s.poisson != nil {
		s.at += s.poisson.ExpFloat64() * float64(records) * s.perRecord
	}
}

const (
	// minPause keeps a fast schedule from turning into a spin: at most 20,000 wake-ups a second and worker. Requests
	// that come due meanwhile leave together, each with its own intended time.
	minPause = 50_000
	// maxPause bounds how long a worker sleeps without looking whether the run was cancelled.
	maxPause = 50_000_000
)

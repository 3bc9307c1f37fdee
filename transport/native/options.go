package native

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// Options configure a Server. The zero value of each field is its default, except Engine.
type Options struct {
	// Addr is where to listen, host:port; default 127.0.0.1:4568. Port 0 picks a free one, see Server.Addr.
	Addr string
	// Engine is what the server serves. It stays the caller's: close the server first.
	Engine *engine.Engine
	// Keys returns the secret of an access key id and the account it belongs to, whose streams it sees and no others. An empty
	// account is the key itself where that is an account number, else the engine's. nil: clients need no AUTH. It may be
	// called concurrently.
	Keys func(accessKey string) (secret, account string, ok bool)
	// Loops is the number of event loops; default half the number of processors, 1 to 8. The other half appends, writes
	// and, on one machine, produces: on two processors one loop took a quarter less processor time per byte than two.
	Loops int
	// ReadBuffer is what one loop reads at a time, in bytes, rounded up to a power of two; default 256 KiB.
	ReadBuffer int
	// MaxFrame limits frames in both directions (their len field); default frame.DefaultMaxFrame, at most
	// frame.HardMaxFrame.
	MaxFrame int
	// Credit is what a session may have in flight, in bytes of PRODUCE frames; default 4 MiB, raised to one largest frame.
	Credit int
	// MaxSessions refuses further connections with an error frame; default 10000.
	MaxSessions int
	// AuthTimeout is how long a connection may take to say HELLO and, where asked to, AUTH; default 5 s.
	AuthTimeout time.Duration
	// DrainTimeout is how long Close waits for acknowledgements under way; default 1 s.
	DrainTimeout time.Duration
	// Workers is the number of goroutines for what may wait for a disk; default 4.
	Workers int
	// Log gets connection events; nil: nothing.
	Log *slog.Logger
}

const (
	defaultAddr       = "127.0.0.1:4568"
	defaultReadBuffer = 256 << 10
	maxReadBuffer     = 16 << 20
	defaultCredit     = 4 << 20
	maxCredit         = 1 << 30
	defaultSessions   = 10000
	maxLoops          = 64
	maxWorkers        = 64

	// outboundLimit stops pushes and responses to fetches on a connection whose unsent bytes exceed it.
	outboundLimit = 1 << 20
	// outboundHard ends a session whose unsent bytes exceed it by more than one frame: its client sends requests but does
	// not read the answers.
	outboundHard = 4 << 20

	maxStreams       = 1024 // handles of a session
	maxFetches       = 64   // unanswered FETCHes of a session
	maxSubscriptions = 64   // of a session
	maxOpens         = 16   // unanswered OPENs of a session
	maxColdReads     = 2    // reads of a session that are on a worker, or whose data is on the way back

	// chunkBytes is how much one push carries at most (more only where a single batch is larger): large enough that the
	// frame costs nothing, small enough to stay in the second-level cache between the copy out of the ring and the send.
	chunkBytes = 256 << 10
	// passBytes is how much one subscription is sent before the loop looks at its other connections.
	passBytes = 1 << 20
	// passReads is how many reads of shards one pass of a loop over its waiters makes.
	passReads = 256

	// retryEvery is how often sessions are looked at that wait for something nobody announces: room in the outbound
	// buffer, a shard's quota.
	retryEvery = 5 * time.Millisecond
	// deadlineGrid is what deadlines of waiting fetches are rounded up to, so that many of them expire in one pass.
	deadlineGrid = 4 * time.Millisecond
	// lingerFor is how long a refused client may take to read why before its connection is cut.
	lingerFor = time.Second
)

var errNoEngine = errors.New("native: Options.Engine is nil")

func (o *Options) setDefaults() {
	setDefault(&o.Addr, defaultAddr)
	setDefault(&o.Loops, min(max(1, runtime.NumCPU()/2), 8))
	setDefault(&o.ReadBuffer, defaultReadBuffer)
	setDefault(&o.MaxFrame, frame.DefaultMaxFrame)
	setDefault(&o.Credit, defaultCredit)
	o.Credit = max(o.Credit, o.MaxFrame+frame.HeaderLen)
	setDefault(&o.MaxSessions, defaultSessions)
	setDefault(&o.AuthTimeout, 5*time.Second)
	setDefault(&o.DrainTimeout, time.Second)
	setDefault(&o.Workers, 4)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Validate reports the first option that makes no sense.
func (o *Options) Validate() error {
	for _, f := range []struct {
		name     string
		v        int
		min, max int
	}{
		{"Loops", o.Loops, 0, maxLoops},
		{"ReadBuffer", o.ReadBuffer, 0, maxReadBuffer},
		{"MaxFrame", o.MaxFrame, 0, frame.HardMaxFrame},
		{"Credit", o.Credit, 0, maxCredit},
		{"MaxSessions", o.MaxSessions, 0, 1 << 20},
		{"Workers", o.Workers, 0, maxWorkers},
	} {
		if f.v < f.min || f.v > f.max {
			return fmt.Errorf("native: option %s is %d, not within %d..%d", f.name, f.v, f.min, f.max)
		}
	}
	if o.MaxFrame != 0 && o.MaxFrame < frame.MinMaxFrame {
		return fmt.Errorf("native: option MaxFrame is %d, less than %d", o.MaxFrame, frame.MinMaxFrame)
	}
	if o.Engine == nil {
		return errNoEngine
	}
	return nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/codec/zstdpool"
	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/engine/lane"
	"github.com/shardmill/shardmill/internal/vfs"
)

// Words that callers of the engine use; the parts they come from stay the engine's own business.
type (
	Name       = catalog.Name
	StreamInfo = catalog.StreamInfo
	ShardInfo  = catalog.ShardInfo
	Settings   = catalog.Settings
	Level      = lane.Level
	Ticket     = lane.Ticket
	Watermarks = lane.Watermarks
)

// How far an append must have come, see lane.Level: synced, handed to the operating system, in memory.
const (
	LevelDisk = lane.LevelDisk
	LevelOS   = lane.LevelOS
	LevelMem  = lane.LevelMem
)

const (
	// DefaultAccount and DefaultRegion complete names that carry none.
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
	// DefaultShardLimit is what AWS gives an account in its large regions.
	DefaultShardLimit = 20000
)

// Options configure an engine. The zero value of each field is its default.
type Options struct {
	FS          vfs.FS // nil: everything in memory, bounded by the ring
	Dir         string
	Durability  Level // of streams that do not say
	RingSize    int
	SegmentSize int64
	Appender    lane.AppenderKind
	ShardLimit  int           // open shards per account and region; default 20000
	Transition  time.Duration // how long CREATING, UPDATING and DELETING last; default 0: at once
	Account     string        // of names that carry none; default 000000000000
	Region      string        // likewise; default us-east-1
	// SubscriptionRate bounds what one subscription is given, in bytes of keys and data per second, over a few events;
	// default 0: no bound. AWS gives 2 MiB.
	SubscriptionRate int
}

func (o *Options) setDefaults() {
	if o.ShardLimit <= 0 {
		o.ShardLimit = DefaultShardLimit
	}
	if o.Account == "" {
		o.Account = DefaultAccount
	}
	if o.Region == "" {
		o.Region = DefaultRegion
	}
}

// Engine is the streams of one data folder.
type Engine struct {
	o          Options
	unlock     func() error // of the data folder; nil in memory
	cat        *catalog.Catalog
	lane       *lane.Lane
	seal       *sealer
	names      sync.Map // Name -> *Stream
	shards     shardTable
	appendings appendingPool
	pages      pagePool
	bodies     bodyCache
	malformed  atomic.Uint64
	batchLimit int // of batches the server builds, in bytes
	limits     limits
	create     sync.Mutex // one CreateStream at a time: a name is taken once
	due        dueList
	fanout     fanout
	stop       context.Context // done from Close on
	cancel     context.CancelFunc
	loops      sync.WaitGroup
	trimmed    atomic.Pointer[Error] // why the last attempt to trim failed
	failed     atomic.Pointer[Error] // why control operations and the appends they hold up fail from now on
	broken     context.Context       // done once failed is set
	fail1      context.CancelFunc
	closing    sync.Once
	closed     error
}

// Open opens or makes a data folder. Streams that were on their way to a state when the engine stopped arrive there. A
// folder that is in use, foreign or of a newer format is a *FolderError.
func Open(o Options) (*Engine, error) {
	o.setDefaults()
	e := &Engine{o: o}
	e.bodies.zstd = zstdpool.New()
	e.limits.shardLimit = o.ShardLimit
	e.batchLimit = appendLimit
	if o.RingSize > 0 {
		e.batchLimit = min(appendLimit, o.RingSize/4)
	}
	e.stop, e.cancel = context.WithCancel(context.Background())
	e.broken, e.fail1 = context.WithCancel(context.Background())
	if err := e.open(); err != nil {
		e.cancel()
		e.fail1()
		_ = e.release() // why it cannot be opened is what the caller must hear of
		return nil, err
	}
	e.loops.Go(e.background)
	return e, nil
}

func (e *Engine) open() (err error) {
	if e.o.Durability > LevelMem {
		return fmt.Errorf("engine: unknown durability %d", e.o.Durability)
	}
	laneOptions := lane.Options{RingSize: e.o.RingSize, SegmentSize: e.o.SegmentSize, Appender: e.o.Appender}
	catalogOptions := catalog.Options{}
	if e.o.FS != nil {
		if e.unlock, err = openFolder(e.o.FS, e.o.Dir); err != nil {
			return err
		}
		laneOptions.FS, laneOptions.Dir = e.o.FS, filepath.Join(e.o.Dir, laneDir)
		catalogOptions.FS, catalogOptions.Dir = e.o.FS, filepath.Join(e.o.Dir, catalogDir)
	}
	if e.cat, err = catalog.Open(catalogOptions); err != nil {
		return err
	}
	if e.lane, err = lane.Open(laneOptions); err != nil {
		return err
	}
	if e.seal, err = newSealer(e.cat.Secret()); err != nil {
		return err
	}
	for _, info := range e.cat.All() {
		if err := e.adopt(info); err != nil {
			return err
		}
	}
	return nil
}

// adopt brings a stream of the catalog to life. What the last process began it finishes.
func (e *Engine) adopt(info *StreamInfo) error {
	if info.Status == catalog.Deleting {
		return e.cat.Remove(info.ID)
	}
	settled := settleConsumers(info)
	if info.Status == catalog.Creating || info.Status == catalog.Updating {
		settled = settled.Clone()
		settled.Status = catalog.Active
	}
	if settled != info {
		if err := e.cat.Put(settled); err != nil {
			return err
		}
		info = settled
	}
	e.limits.adopt(info)
	e.names.Store(info.Name, e.newStream(info))
	return nil
}

// Close stops everything and releases the folder. Calls under way end with an error or finish first. Idempotent.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.fail(stoppedError(ErrClosed))
		e.cancel()
		e.fanout.close()
		e.loops.Wait()
		e.closed = e.release()
	})
	return e.closed
}

// release closes what open has opened, in reverse.
func (e *Engine) release() error {
	var errs []error
	if e.lane != nil {
		errs = append(errs, e.lane.Close())
	}
	if e.cat != nil {
		errs = append(errs, e.cat.Close())
	}
	if e.unlock != nil {
		errs = append(errs, e.unlock())
	}
	return errors.Join(errs...)
}

// fail makes err the answer to every later control operation and to appends that wait for one. The first error stays.
func (e *Engine) fail(err *Error) {
	if e.failed.CompareAndSwap(nil, err) {
		e.fail1()
	}
}

// Err is nil, or why the engine takes no more appends or changes; that stays until the engine is opened anew. Failing
// that, it is why old segments could not be removed, until they can.
func (e *Engine) Err() error {
	if err := e.failed.Load(); err != nil {
		return err
	}
	if err := e.lane.Err(); err != nil {
		return laneError(err)
	}
	if err := e.cat.Err(); err != nil {
		return catalogError(err)
	}
	return asError(e.trimmed.Load())
}

// name completes n with the engine's account and region.
func (e *Engine) name(n Name) Name {
	if n.Account == "" {
		n.Account = e.o.Account
	}
	if n.Region == "" {
		n.Region = e.o.Region
	}
	return n
}

// Defaults are the account and region of names that carry none.
func (e *Engine) Defaults() (account, region string) { return e.o.Account, e.o.Region }

// Stream returns a handle of the stream, whatever its status. CodeNotFound where there is none.
func (e *Engine) Stream(n Name) (*Stream, error) {
	n = e.name(n)
	if v, ok := e.names.Load(n); ok {
		return v.(*Stream), nil
	}
	return nil, notFound(n)
}

// Streams returns the streams of an account and region by name. The slice is the caller's, the values are snapshots.
func (e *Engine) Streams(account, region string) []*StreamInfo {
	where := e.name(Name{Account: account, Region: region})
	var out []*StreamInfo
	e.names.Range(func(k, v any) bool {
		if n := k.(Name); n.Account == where.Account && n.Region == where.Region {
			out = append(out, v.(*Stream).Info())
		}
		return true
	})
	slices.SortFunc(out, func(a, b *StreamInfo) int { return a.Name.Compare(b.Name) })
	return out
}

// ShardUse returns how many shards are open in an account and region, how many may be, and how many streams are on
// demand.
func (e *Engine) ShardUse(account, region string) (open, limit, onDemand int) {
	where := e.name(Name{Account: account, Region: region})
	open, onDemand = e.limits.use(where)
	return open, e.o.ShardLimit, onDemand
}

// Malformed counts the batches, and batches from some record on, that readers passed over because their producer built
// them wrongly: sums right, records not. Nothing else can be done with them.
func (e *Engine) Malformed() uint64 { return e.malformed.Load() }

// Observe calls fn after each advance of a watermark; see lane.Observe for what fn may do.
func (e *Engine) Observe(fn func(Watermarks)) (stop func()) { return e.lane.Observe(fn) }

// Watermarks returns how far the log has come.
func (e *Engine) Watermarks() Watermarks { return e.lane.Watermarks() }

// Wait blocks until everything below end has reached level.
func (e *Engine) Wait(ctx context.Context, end uint64, level Level) error {
	if err := e.lane.Wait(ctx, end, level); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return laneError(err)
	}
	return nil
}

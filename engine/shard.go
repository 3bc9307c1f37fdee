package engine

import (
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// shutBit in shard.word keeps appenders out; the bits below count those inside.
	shutBit = 1 << 40

	// shardPage is how many shards share a page of the shardTable.
	shardPage = 1 << 10

	maxShardIndex = 1<<31 - 1
)

// shard is an open shard as appenders see it: 56 bytes, and nothing that runs.
//
// Writers of word: every appender (enter, leave) and the one control operation that shuts the shard. Readers: the same.
// An appender counts itself in before it looks at shutBit, the control operation sets shutBit before it looks at the
// count; one of the two sees the other, so after shut and drained no batch of the shard can enter the lane any more.
type shard struct {
	word    atomic.Int64
	lastEnd atomic.Uint64 // where the shard's last batch ends in the lane; final once shut and drained
	s       *Stream
	id      uint32 // in the lane
	index   uint32 // in the stream
	created int64  // seconds
}

// enter counts an appender in, or refuses because the shard is shut. It must be followed by leave at once after the
// append to the lane, which never waits.
func (sh *shard) enter() bool {
	if sh.word.Add(1) < shutBit {
		return true
	}
	sh.word.Add(-1)
	return false
}

func (sh *shard) leave() { sh.word.Add(-1) }

// note remembers the end of an appended batch; between enter and leave.
func (sh *shard) note(end uint64) {
	for {
		old := sh.lastEnd.Load()
		if old >= end || sh.lastEnd.CompareAndSwap(old, end) {
			return
		}
	}
}

// shut keeps new appenders out; once per shard until reopened.
func (sh *shard) shut() { sh.word.Add(shutBit) }

// reopen undoes shut.
func (sh *shard) reopen() { sh.word.Add(-shutBit) }

// drain waits until nobody is inside a shut shard. Appenders stay for one copy into the ring, so yielding is enough
// unless one has lost its processor.
func (sh *shard) drain() {
	for i := 0; sh.word.Load()&(shutBit-1) != 0; i++ {
		if i < 100 {
			runtime.Gosched()
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// shardTable finds open shards by their number in the lane without a lock: pages of pointers, made and dropped as
// numbers come and go. Numbers are dense and never come again, so old pages empty out.
type shardTable struct {
	mu    sync.Mutex // serialises put and drop
	pages atomic.Pointer[[]*shardTablePage]
}

type shardTablePage struct {
	used   int // guarded by shardTable.mu
	shards [shardPage]atomic.Pointer[shard]
}

// get returns the open shard with that number, nil where there is none.
func (t *shardTable) get(id uint32) *shard {
	pages := t.pages.Load()
	if pages == nil || int(id/shardPage) >= len(*pages) {
		return nil
	}
	p := (*pages)[id/shardPage]
	if p == nil {
		return nil
	}
	return p.shards[id%shardPage].Load()
}

func (t *shardTable) put(shards []*shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var pages []*shardTablePage
	if old := t.pages.Load(); old != nil {
		pages = append(pages, *old...)
	}
	for _, sh := range shards {
		at := int(sh.id / shardPage)
		for at >= len(pages) {
			pages = append(pages, nil)
		}
		if pages[at] == nil {
			pages[at] = new(shardTablePage)
		}
		pages[at].used++
		pages[at].shards[sh.id%shardPage].Store(sh)
	}
	t.pages.Store(&pages)
}

func (t *shardTable) drop(shards []*shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pages := append([]*shardTablePage(nil), *t.pages.Load()...)
	for _, sh := range shards {
		p := pages[sh.id/shardPage]
		p.shards[sh.id%shardPage].Store(nil)
		if p.used--; p.used == 0 {
			pages[sh.id/shardPage] = nil
		}
	}
	t.pages.Store(&pages)
}

// ShardID is the name of a shard in the words of the Kinesis API.
func ShardID(index uint32) string { return fmt.Sprintf("shardId-%012d", index) }

var shardDigits = regexp.MustCompile(`^[0-9]+$`)

// ParseShardID reads a shard id as the Kinesis API does: "shardId-000000000007", "shardId-7", "x-7" and "7" are the same.
func ParseShardID(id string) (index uint32, ok bool) {
	if parts := strings.Split(id, "-"); len(parts) > 1 && parts[1] != "" {
		id = parts[1]
	}
	if !shardDigits.MatchString(id) {
		return 0, false
	}
	n, err := strconv.ParseUint(id, 10, 64)
	return uint32(n), err == nil && n <= maxShardIndex
}

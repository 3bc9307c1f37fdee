package engine

import (
	"context"
	"crypto/md5" //nolint:gosec // what the API defines
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/internal/vfs"
)

// model is a stream as plainly as it can be said: lists, big integers, no log.
type model struct {
	shards    []*modelShard // by index
	tags      map[string]string
	retention int
	next      int // number of the next record, for its data
}

type modelShard struct {
	first, last *big.Int
	parents     []int
	closed      bool
	records     []modelRecord
}

type modelRecord struct {
	key, data string
	seq       Sequence
}

func bigKey(k hashkey.Key) *big.Int {
	n, ok := new(big.Int).SetString(k.String(), 10)
	if !ok {
		panic("BUG: " + k.String())
	}
	return n
}

func newModel(shards int) *model {
	m := &model{tags: map[string]string{}, retention: 24}
	space := new(big.Int).Lsh(big.NewInt(1), 128)
	width := new(big.Int).Div(space, big.NewInt(int64(shards)))
	for i := range int64(shards) {
		last := new(big.Int).Sub(new(big.Int).Mul(width, big.NewInt(i+1)), big.NewInt(1))
		if i == int64(shards)-1 {
			last = new(big.Int).Sub(space, big.NewInt(1))
		}
		m.shards = append(m.shards, &modelShard{first: new(big.Int).Mul(width, big.NewInt(i)), last: last})
	}
	return m
}

func (m *model) route(key string, explicit *hashkey.Key) int {
	var at *big.Int
	if explicit != nil {
		at = bigKey(*explicit)
	} else {
		sum := md5.Sum([]byte(key)) //nolint:gosec // as above
		at = new(big.Int).SetBytes(sum[:])
	}
	for i, sh := range m.shards {
		if !sh.closed && sh.first.Cmp(at) <= 0 && at.Cmp(sh.last) <= 0 {
			return i
		}
	}
	panic("BUG: the model has a hole")
}

func (m *model) open() (out []int) {
	for i, sh := range m.shards {
		if !sh.closed {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b int) int { return m.shards[a].first.Cmp(m.shards[b].first) })
	return out
}

// machine runs the model and the engine side by side.
type machine struct {
	t     *testing.T
	disk  *vfs.Mem
	e     *Engine
	names []string
	m     map[string]*model
}

func (w *machine) reopen(rt *rapid.T, kill bool) {
	if kill {
		w.disk = w.disk.KillClone()
	}
	if err := w.e.Close(); err != nil {
		rt.Fatal(err)
	}
	var err error
	if w.e, err = Open(Options{FS: w.disk, Dir: "data", RingSize: 64 << 10, SegmentSize: 64 << 10}); err != nil {
		rt.Fatal(err)
	}
}

// pick draws a stream that exists.
func (w *machine) pick(rt *rapid.T) (*Stream, *model) {
	if len(w.names) == 0 {
		rt.Skip("no stream")
	}
	name := rapid.SampledFrom(w.names).Draw(rt, "stream")
	s, err := w.e.Stream(Name{Stream: name})
	if err != nil {
		rt.Fatal(err)
	}
	return s, w.m[name]
}

func (w *machine) create(rt *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "name")
	n := rapid.IntRange(1, 5).Draw(rt, "shards")
	err := w.e.CreateStream(context.Background(), CreateStream{Name: Name{Stream: name}, Shards: n})
	if w.m[name] != nil {
		if asCode(rt, err).Code != CodeInUse {
			rt.Fatal(err)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	w.m[name] = newModel(n)
	w.names = append(w.names, name)
}

func (w *machine) remove(rt *rapid.T) {
	s, _ := w.pick(rt)
	if err := w.e.DeleteStream(context.Background(), s.name); err != nil {
		rt.Fatal(err)
	}
	delete(w.m, s.name.Stream)
	w.names = slices.DeleteFunc(w.names, func(n string) bool { return n == s.name.Stream })
}

func (w *machine) appendSome(rt *rapid.T) {
	s, m := w.pick(rt)
	n := rapid.IntRange(1, 40).Draw(rt, "records")
	size := rapid.IntRange(0, 900).Draw(rt, "size")
	recs, keys := make([]Record, n), make([]string, n)
	for i := range recs {
		keys[i] = fmt.Sprint("key-", rapid.IntRange(0, 30).Draw(rt, "key"))
		recs[i] = Record{Key: []byte(keys[i]), Data: append(fmt.Appendf(nil, "%d:", m.next), make([]byte, size)...)}
		m.next++
		if rapid.IntRange(0, 4).Draw(rt, "explicit") == 0 {
			recs[i].Explicit = &hashkey.Key{Hi: rapid.Uint64().Draw(rt, "hi"), Lo: rapid.Uint64().Draw(rt, "lo")}
		}
	}
	out := make([]Appended, n)
	if err := s.Append(context.Background(), recs, LevelDisk, out); err != nil {
		rt.Fatal(err)
	}
	for i, a := range out {
		want := m.route(keys[i], recs[i].Explicit)
		if a.Err != nil || int(a.Shard) != want || a.Sequence.Shard != a.Shard {
			rt.Fatalf("record %d went to %+v, want shard %d", i, a, want)
		}
		sh := m.shards[want]
		sh.records = append(sh.records, modelRecord{keys[i], string(recs[i].Data), a.Sequence})
	}
}

func (w *machine) split(rt *rapid.T) {
	s, m := w.pick(rt)
	i := rapid.SampledFrom(m.open()).Draw(rt, "shard")
	if len(m.open()) > 30 {
		rt.Skip("enough shards")
	}
	sh := m.shards[i]
	width := new(big.Int).Sub(sh.last, sh.first)
	at := new(big.Int).Rsh(width, uint(rapid.IntRange(1, 9).Draw(rt, "where")))
	at.Add(at, sh.first)
	err := s.Split(context.Background(), ShardID(uint32(i)), at.String())
	if new(big.Int).Sub(at, sh.first).Cmp(big.NewInt(1)) <= 0 || at.Cmp(sh.last) >= 0 {
		if asCode(rt, err).Code != CodeInvalidArgument {
			rt.Fatal(err)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	sh.closed = true
	m.shards = append(m.shards, &modelShard{first: sh.first, last: new(big.Int).Sub(at, big.NewInt(1)), parents: []int{i}},
		&modelShard{first: at, last: sh.last, parents: []int{i}})
}

func (w *machine) merge(rt *rapid.T) {
	s, m := w.pick(rt)
	open := m.open()
	if len(open) < 2 {
		rt.Skip("one shard")
	}
	i := rapid.IntRange(0, len(open)-2).Draw(rt, "left")
	a, b := open[i], open[i+1]
	if err := s.Merge(context.Background(), ShardID(uint32(a)), ShardID(uint32(b))); err != nil {
		rt.Fatal(err)
	}
	m.shards[a].closed, m.shards[b].closed = true, true
	m.shards = append(m.shards, &modelShard{first: m.shards[a].first, last: m.shards[b].last, parents: []int{a, b}})
}

// reshard is taken over from the engine once its result is seen to be equal ranges: the way there is not prescribed.
func (w *machine) reshard(rt *rapid.T) {
	s, m := w.pick(rt)
	n := len(m.open())
	target := rapid.IntRange((n+1)/2, min(2*n, 30)).Draw(rt, "target")
	if err := s.Reshard(context.Background(), target); err != nil {
		rt.Fatal(err)
	}
	info := s.Info()
	checkLineage(w.t, info)
	for _, sh := range info.Shards[len(m.shards):] {
		fresh := &modelShard{first: bigKey(sh.Range.First), last: bigKey(sh.Range.Last)}
		for _, p := range []int32{sh.Parent, sh.AdjacentParent} {
			if p >= 0 {
				fresh.parents = append(fresh.parents, int(p))
				m.shards[p].closed = true
			}
		}
		m.shards = append(m.shards, fresh)
	}
	if len(m.open()) != target {
		rt.Fatalf("%d open shards, want %d", len(m.open()), target)
	}
}

func (w *machine) settings(rt *rapid.T) {
	s, m := w.pick(rt)
	key := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(rt, "tag")
	add, remove := map[string]string{key: fmt.Sprint(m.next)}, []string(nil)
	if rapid.Bool().Draw(rt, "remove") {
		add, remove = nil, []string{key}
		delete(m.tags, key)
	} else {
		m.tags[key] = add[key]
	}
	if err := s.SetTags(context.Background(), add, remove); err != nil {
		rt.Fatal(err)
	}
	hours := rapid.IntRange(24, 100).Draw(rt, "hours")
	if err := s.SetRetention(context.Background(), hours, hours >= m.retention); err != nil {
		rt.Fatal(err)
	}
	m.retention = hours
}

// readFromSequence reads on from a random record, at it or after it.
func (w *machine) readFromSequence(rt *rapid.T) {
	s, m := w.pick(rt)
	i := rapid.IntRange(0, len(m.shards)-1).Draw(rt, "shard")
	records := m.shards[i].records
	if len(records) == 0 {
		rt.Skip("empty shard")
	}
	at := rapid.IntRange(0, len(records)-1).Draw(rt, "record")
	typ, want := AtSequence, records[at:]
	if rapid.Bool().Draw(rt, "after") {
		typ, want = AfterSequence, records[at+1:]
	}
	token, err := s.Iterator(ShardID(uint32(i)), typ, records[at].seq.String(), nil)
	if err != nil {
		rt.Fatal(err)
	}
	w.compare(rt, m, i, token, want, rapid.IntRange(1, 50).Draw(rt, "limit"))
}

func (w *machine) compare(rt *rapid.T, m *model, i int, token string, want []modelRecord, limit int) {
	all, children := readFrom(rt, w.e, token, limit)
	if len(all) != len(want) {
		rt.Fatalf("shard %d: %d records, want %d", i, len(all), len(want))
	}
	for n, g := range all {
		if g.key != want[n].key || g.data != want[n].data || g.seq != want[n].seq {
			rt.Fatalf("shard %d, record %d: %v %.40q, want %v %.40q", i, n, g.seq, g.data, want[n].seq, want[n].data)
		}
	}
	var expect []int
	for c, sh := range m.shards {
		if m.shards[i].closed && slices.Contains(sh.parents, i) {
			expect = append(expect, c)
		}
	}
	if !slices.EqualFunc(children, expect, func(c ShardInfo, n int) bool { return int(c.Index) == n }) {
		rt.Fatalf("shard %d has children %+v, want %v", i, children, expect)
	}
}

// check compares all there is.
func (w *machine) check(rt *rapid.T) {
	if n := len(w.e.Streams("", "")); n != len(w.names) {
		rt.Fatalf("%d streams, want %d", n, len(w.names))
	}
	openShards := 0
	for _, name := range w.names {
		s, err := w.e.Stream(Name{Stream: name})
		if err != nil {
			rt.Fatal(err)
		}
		info, m := s.Info(), w.m[name]
		openShards += len(m.open())
		if len(info.Shards) != len(m.shards) || info.RetentionHours != m.retention || len(info.Tags) != len(m.tags) {
			rt.Fatalf("%+v, the model has %+v", info, m)
		}
		for k, v := range m.tags {
			if info.Tags[k] != v {
				rt.Fatalf("tag %s is %q, want %q", k, info.Tags[k], v)
			}
		}
		for i, sh := range m.shards {
			got := info.Shards[i]
			if got.Open() == sh.closed || bigKey(got.Range.First).Cmp(sh.first) != 0 || bigKey(got.Range.Last).Cmp(sh.last) != 0 {
				rt.Fatalf("shard %d is %+v, the model has %+v", i, got, sh)
			}
			token, err := s.Iterator(ShardID(uint32(i)), TrimHorizon, "", nil)
			if err != nil {
				rt.Fatal(err)
			}
			w.compare(rt, m, i, token, sh.records, 0)
		}
	}
	if open, _, _ := w.e.ShardUse("", ""); open != openShards {
		rt.Fatalf("%d open shards are counted, there are %d", open, openShards)
	}
}

// The engine under random operations, restarts and kills does what the model does.
func TestModel(t *testing.T) {
	appended := 0
	rapid.Check(t, func(rt *rapid.T) {
		disk := vfs.NewMem(0)
		e, err := Open(Options{FS: disk, Dir: "data", RingSize: 64 << 10, SegmentSize: 64 << 10})
		if err != nil {
			rt.Fatal(err)
		}
		w := &machine{t: t, disk: disk, e: e, m: map[string]*model{}}
		defer func() {
			if err := w.e.Close(); err != nil {
				rt.Error(err)
			}
		}()
		w.create(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"create":   w.create,
			"delete":   w.remove,
			"append":   w.appendSome,
			"append2":  w.appendSome,
			"append3":  w.appendSome,
			"split":    w.split,
			"merge":    w.merge,
			"reshard":  w.reshard,
			"settings": w.settings,
			"read":     w.readFromSequence,
			"restart":  func(rt *rapid.T) { w.reopen(rt, false) },
			"kill":     func(rt *rapid.T) { w.reopen(rt, true) },
			"":         w.check,
		})
		for _, m := range w.m {
			appended += m.next
		}
	})
	if appended == 0 {
		t.Fatal("nothing was ever appended")
	}
}

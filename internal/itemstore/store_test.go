package itemstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "items.db")
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// home is the scope of most tests.
func home() Scope { return Scope{Account: "000000000000", Region: "us-east-1"} }

// leases is a table as the Kinesis Client Library makes it, with its index.
func leases() Table {
	return Table{
		Name: "leases", ID: "id-1", Created: time.Unix(1, 0).UTC(), Key: Key{Hash: "leaseKey"}, OnDemand: true,
		Attributes: []Attribute{{"leaseKey", String}, {"leaseOwner", String}},
		Indexes:    []Index{{Name: "owners", Key: Key{Hash: "leaseOwner", Range: "leaseKey"}, Projection: "KEYS_ONLY"}},
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func put(t *testing.T, s *Store, i Item) {
	t.Helper()
	must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Put, Item: i}))
}

func lease(key, owner string) Item {
	i := Item{"leaseKey": text(key), "counter": num("1")}
	if owner != "" {
		i["leaseOwner"] = text(owner)
	}
	return i
}

func owned(t *testing.T, s *Store, owner string) (keys []string) {
	t.Helper()
	p := must[Page](t)(s.Query(home(), Read{Table: "leases", Index: "owners", Match: equal("leaseOwner", text(owner))}))
	for _, i := range p.Items {
		keys = append(keys, i["leaseKey"].Text)
		if len(i) != 2 {
			t.Errorf("a KEYS_ONLY index shows %v", i)
		}
	}
	return keys
}

func equal(name string, v Value) Condition {
	return Condition{{Op: OpEqual, Left: Operand{Name: name}, Right: Operand{Value: v}}}
}

func TestTables(t *testing.T) {
	s := open(t, Options{})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateTable(home(), leases()); !errors.Is(err, ErrTableExists) {
		t.Errorf("a second table of one name: %v", err)
	}
	elsewhere := Scope{Account: "111111111111", Region: "us-east-1"}
	if _, err := s.DescribeTable(elsewhere, "leases"); !errors.Is(err, ErrTableNotFound) {
		t.Errorf("another account sees the table: %v", err)
	}
	put(t, s, lease("a", "w1"))
	got := must[Table](t)(s.DescribeTable(home(), "leases"))
	if got.Items != 1 || got.Bytes != int64(lease("a", "w1").Size()) || len(got.Indexes) != 1 || !got.Created.Equal(time.Unix(1, 0)) {
		t.Errorf("described as %+v", got)
	}
	yes, no := true, false
	must[Table](t)(s.UpdateTable(home(), "leases", TableChange{Protected: &yes}))
	if _, err := s.DeleteTable(home(), "leases"); !errors.Is(err, ErrProtected) {
		t.Errorf("a protected table is deleted: %v", err)
	}
	must[Table](t)(s.UpdateTable(home(), "leases", TableChange{Protected: &no}))
	must[Table](t)(s.DeleteTable(home(), "leases"))
	if _, err := s.DescribeTable(home(), "leases"); !errors.Is(err, ErrTableNotFound) {
		t.Errorf("a deleted table: %v", err)
	}
	for i := range 5 {
		table := leases()
		table.Name, table.ID = "table-"+strconv.Itoa(i), strconv.Itoa(i)
		if err := s.CreateTable(home(), table); err != nil {
			t.Fatal(err)
		}
	}
	names, more, err := s.ListTables(home(), "table-1", 2)
	if err != nil || !more || !slices.Equal(names, []string{"table-2", "table-3"}) {
		t.Errorf("names after table-1: %v, %v, %v", names, more, err)
	}
	if names, more, _ := s.ListTables(home(), "table-3", 2); more || !slices.Equal(names, []string{"table-4"}) {
		t.Errorf("the last name: %v, %v", names, more)
	}
}

func TestIndexFollowsItems(t *testing.T) {
	s := open(t, Options{})
	table := leases()
	table.Indexes = nil
	if err := s.CreateTable(home(), table); err != nil {
		t.Fatal(err)
	}
	put(t, s, lease("b", "w1"))
	put(t, s, lease("a", "w1"))
	put(t, s, lease("free", ""))
	ix := leases().Indexes[0]
	must[Table](t)(s.UpdateTable(home(), "leases", TableChange{Create: &ix}))
	if _, err := s.UpdateTable(home(), "leases", TableChange{Create: &ix}); !errors.Is(err, ErrIndexExists) {
		t.Errorf("a second index of one name: %v", err)
	}
	f := func(owner string, want ...string) {
		t.Helper()
		if got := owned(t, s, owner); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", owner, got, want)
		}
	}
	f("w1", "a", "b")
	put(t, s, lease("a", "w2"))
	f("w1", "b")
	f("w2", "a")
	remove := []Change{{Op: Remove, Name: "leaseOwner"}}
	must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Update, Item: Item{"leaseKey": text("b")}, Changes: remove}))
	f("w1")
	must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Delete, Item: Item{"leaseKey": text("a")}}))
	f("w2")
	if _, err := s.Write(home(), Write{Table: "leases", Kind: Put, Item: Item{"leaseKey": text("x"), "leaseOwner": num("1")}}); err == nil {
		t.Error("an owner that is a number is taken into an index of texts")
	}
	must[Table](t)(s.UpdateTable(home(), "leases", TableChange{Drop: "owners"}))
	if _, err := s.Query(home(), Read{Table: "leases", Index: "owners", Match: equal("leaseOwner", text("w1"))}); err == nil {
		t.Error("a dropped index answers")
	}
}

func TestWrites(t *testing.T) {
	s := open(t, Options{})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	key := Item{"leaseKey": text("a")}
	absent := Condition{{Op: OpNotExists, Left: Operand{Name: "leaseKey"}}}
	must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Put, Item: lease("a", "w"), Condition: absent}))
	_, err := s.Write(home(), Write{Table: "leases", Kind: Put, Item: lease("a", "thief"), Condition: absent})
	if e, ok := errors.AsType[*ConditionError](err); !ok || e.Reasons[0].Item["leaseOwner"].Text != "w" {
		t.Fatalf("a put over what must not be there: %v", err)
	}
	changes := []Change{
		{Op: Add, Name: "counter", Value: Operand{Value: num("1")}},
		{Op: Set, Name: "copy", Value: Operand{Name: "counter"}},
		{Op: Add, Name: "set", Value: Operand{Value: Value{Type: StringSet, Set: []string{"x", "y"}}}},
	}
	r := must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Update, Item: key, Changes: changes}))
	if n := r[0].New; n["counter"].Text != "2" || n["copy"].Text != "1" || len(n["set"].Set) != 2 || r[0].Old["counter"].Text != "1" {
		t.Errorf("updated to %v", n)
	}
	take := []Change{{Op: Subtract, Name: "set", Value: Operand{Value: Value{Type: StringSet, Set: []string{"x", "y", "z"}}}}}
	r = must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Update, Item: key, Changes: take}))
	if _, there := r[0].New["set"]; there {
		t.Error("an empty set stays")
	}
	r = must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Update, Item: Item{"leaseKey": text("new")}, Changes: changes[:1]}))
	if r[0].Old != nil || r[0].New["counter"].Text != "1" {
		t.Errorf("an update of nothing makes %v", r[0].New)
	}
	refused := func(what string, w Write) {
		t.Helper()
		w.Table = "leases"
		if _, err := s.Write(home(), w); err == nil {
			t.Errorf("%s is taken", what)
		} else if _, ok := errors.AsType[*InputError](err); !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("an item without its key", Write{Item: Item{"x": num("1")}})
	refused("a key of another type", Write{Item: Item{"leaseKey": num("1")}})
	refused("an empty key", Write{Item: Item{"leaseKey": text("")}})
	refused("a long key", Write{Item: Item{"leaseKey": text(strings.Repeat("k", MaxHashKey+1))}})
	refused("a large item", Write{Item: Item{"leaseKey": text("l"), "x": text(strings.Repeat("x", MaxItemSize))}})
	refused("more than a key", Write{Kind: Delete, Item: lease("a", "")})
	refused("a changed key", Write{Kind: Update, Item: key, Changes: []Change{{Op: Set, Name: "leaseKey", Value: Operand{Value: text("z")}}}})
	refused("a sum of texts", Write{Kind: Update, Item: key, Changes: []Change{{Op: Add, Name: "counter", Value: Operand{Value: text("z")}}}})
	refused("a copy of nothing", Write{Kind: Update, Item: key, Changes: []Change{{Op: Set, Name: "x", Value: Operand{Name: "nothing"}}}})
}

func TestTransactions(t *testing.T) {
	s := open(t, Options{})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	put(t, s, lease("a", "w"))
	writes := []Write{
		{Table: "leases", Kind: Check, Item: Item{"leaseKey": text("a")}, Condition: equal("leaseOwner", text("other"))},
		{Table: "leases", Kind: Put, Item: lease("b", "w")},
	}
	_, err := s.Write(home(), writes...)
	if e, ok := errors.AsType[*ConditionError](err); !ok || !e.Reasons[0].Failed || e.Reasons[1].Failed {
		t.Fatalf("a failed check: %v", err)
	}
	if i, _ := s.Get(home(), "leases", Item{"leaseKey": text("b")}); i != nil {
		t.Error("half of a transaction happened")
	}
	writes[0].Condition = equal("leaseOwner", text("w"))
	must[[]Result](t)(s.Write(home(), writes...))
	if got := must[Table](t)(s.DescribeTable(home(), "leases")); got.Items != 2 || got.Bytes != int64(lease("a", "w").Size()*2) {
		t.Errorf("%d items of %d bytes", got.Items, got.Bytes)
	}
	if _, err := s.Write(home(), writes[1], writes[1]); err == nil {
		t.Error("two writes of one item are taken")
	}
	if _, err := s.Write(home(), make([]Write, MaxWrites+1)...); !errors.Is(err, ErrLimit) {
		t.Errorf("too many writes: %v", err)
	}
}

func TestPages(t *testing.T) {
	s := open(t, Options{NoSync: true})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	const items = 57
	for i := range items {
		put(t, s, lease(fmt.Sprintf("shard-%02d", i), []string{"w1", "w2"}[i%2]))
	}
	f := func(r Read, query bool, pages, want int) {
		t.Helper()
		r.Table = "leases"
		seen := map[string]bool{}
		for n := 1; ; n++ {
			p := must[Page](t)(s.read(home(), r, query))
			for _, i := range p.Items {
				seen[i["leaseKey"].Text] = true
			}
			if p.Last == nil {
				if n != pages {
					t.Errorf("%+v: %d pages, want %d", r, n, pages)
				}
				break
			}
			r.After = p.Last
		}
		if len(seen) != want {
			t.Errorf("%+v: %d items, want %d", r, len(seen), want)
		}
	}
	f(Read{}, false, 1, items)
	f(Read{Limit: 10}, false, 6, items)
	f(Read{Limit: 10, Filter: equal("leaseOwner", text("w1"))}, false, 6, 29)
	f(Read{Index: "owners", Match: equal("leaseOwner", text("w1")), Limit: 10}, true, 3, 29)
	f(Read{Index: "owners", Limit: 50}, false, 2, items)
	f(Read{Match: equal("leaseKey", text("shard-03"))}, true, 1, 1)
	f(Read{Match: equal("leaseKey", text("shard-0"))}, true, 1, 0)
	both := append(equal("leaseOwner", text("w2")), equal("leaseKey", text("shard-03"))...)
	f(Read{Index: "owners", Match: both}, true, 1, 1)
	total := 0
	for segment := range 4 {
		p := must[Page](t)(s.Scan(home(), Read{Table: "leases", Segment: segment, Segments: 4}))
		if total += len(p.Items); len(p.Items) == 0 {
			t.Errorf("segment %d is empty", segment)
		}
	}
	if total != items {
		t.Errorf("all segments have %d items, want %d", total, items)
	}
	bad := Read{Table: "leases", Index: "owners", Match: equal("leaseOwner", text("w1")), After: lease("shard-00", "w2").pick("leaseKey", "leaseOwner")}
	if _, err := s.Query(home(), bad); err == nil {
		t.Error("a start outside of the query is taken")
	}
	if _, err := s.Query(home(), Read{Table: "leases", Match: equal("counter", num("1"))}); err == nil {
		t.Error("a query without the hash key is answered")
	}
	big := strings.Repeat("x", 300<<10)
	for i := range 5 {
		put(t, s, Item{"leaseKey": text(fmt.Sprintf("zz-%d", i)), "data": text(big)})
	}
	p := must[Page](t)(s.Scan(home(), Read{Table: "leases"}))
	if p.Last == nil || p.Scanned != items+4 {
		t.Errorf("a page has %d items, to %v", p.Scanned, p.Last)
	}
}

func TestItemsOutliveTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "items.db")
	s := open(t, Options{Path: path})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	put(t, s, specimenLease())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Path: path})
	got := must[Item](t)(s.Get(home(), "leases", Item{"leaseKey": text("a")}))
	if !(Value{Type: Map, Map: got}).Equal(Value{Type: Map, Map: specimenLease()}) {
		t.Errorf("read back as %v", got)
	}
	if got := owned(t, s, "w"); len(got) != 1 {
		t.Errorf("the index has %v", got)
	}
	if _, err := Open(Options{Path: path}); err == nil {
		t.Error("a file is open twice")
	}
}

func specimenLease() Item {
	i := specimen()
	i["leaseKey"], i["leaseOwner"] = text("a"), text("w")
	return i
}

func TestSizeLimit(t *testing.T) {
	s := open(t, Options{NoSync: true, MaxBytes: 256 << 10})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	var err error
	n := 0
	for ; n < 100 && err == nil; n++ {
		_, err = s.Write(home(), Write{Table: "leases", Kind: Put, Item: Item{"leaseKey": text(strconv.Itoa(n)), "x": text(strings.Repeat("x", 32<<10))}})
	}
	if !errors.Is(err, ErrFull) || n < 3 {
		t.Errorf("after %d writes: %v", n, err)
	}
	must[[]Result](t)(s.Write(home(), Write{Table: "leases", Kind: Delete, Item: Item{"leaseKey": text("0")}}))
}

// TestOneWinner has workers compete for leases by the counter, as the Kinesis Client Library does.
func TestOneWinner(t *testing.T) {
	s := open(t, Options{NoSync: true})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	put(t, s, Item{"leaseKey": text("a"), "counter": num("0")})
	const workers, rounds = 4, 25
	var wins [workers]int
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range rounds {
				now, err := s.Get(home(), "leases", Item{"leaseKey": text("a")})
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Write(home(), Write{
					Table: "leases", Kind: Update, Item: Item{"leaseKey": text("a")}, Condition: equal("counter", now["counter"]),
					Changes: []Change{{Op: Add, Name: "counter", Value: Operand{Value: num("1")}}},
				})
				if err == nil {
					wins[w]++
				} else if _, lost := errors.AsType[*ConditionError](err); !lost {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range wins {
		total += n
	}
	got := must[Item](t)(s.Get(home(), "leases", Item{"leaseKey": text("a")}))
	if got["counter"].Text != strconv.Itoa(total) || total < rounds {
		t.Errorf("%d wins, but the counter is %s", total, got["counter"].Text)
	}
}

// TestKill takes the file as it is after each answered write, as a killed process leaves it.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "items.db")
	s := open(t, Options{Path: path})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		put(t, s, lease(strconv.Itoa(i), "w"))
		left := must[[]byte](t)(os.ReadFile(path))
		copied := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(copied, left, 0o600); err != nil {
			t.Fatal(err)
		}
		after := open(t, Options{Path: copied})
		if got := must[Table](t)(after.DescribeTable(home(), "leases")); got.Items != int64(i+1) {
			t.Fatalf("%d items after %d writes", got.Items, i+1)
		}
		if got := owned(t, after, "w"); len(got) != i+1 {
			t.Fatalf("the index has %d items after %d writes", len(got), i+1)
		}
	}
}

// TestErrorsStick has the store remember an error of the disk: writes get it from then on, reads go on.
func TestErrorsStick(t *testing.T) {
	s := open(t, Options{})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	lost := errors.New("lost")
	s.failed.Store(&lost)
	if _, err := s.Write(home(), Write{Table: "leases", Kind: Put, Item: lease("a", "w")}); !errors.Is(err, lost) || !errors.Is(s.Err(), lost) {
		t.Errorf("a write after a lost disk: %v, %v", err, s.Err())
	}
	if _, err := s.DescribeTable(home(), "leases"); err != nil {
		t.Errorf("reads end with a lost disk: %v", err)
	}
}

// TestWritesShareSyncs has many callers wait for the disk at once: each gets its own answer, and the file sees fewer
// transactions than there were writes.
func TestWritesShareSyncs(t *testing.T) {
	s := open(t, Options{})
	if err := s.CreateTable(home(), leases()); err != nil {
		t.Fatal(err)
	}
	put(t, s, lease("taken", "w"))
	stats := s.db.Stats()
	before := stats.TxStats.GetWrite()
	const callers = 16
	absent := Condition{{Op: OpNotExists, Left: Operand{Name: "leaseKey"}}}
	s.group.turn.Lock()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			name, fails := strconv.Itoa(c), false
			if c%2 == 1 {
				name, fails = "taken", true
			}
			_, err := s.Write(home(), Write{Table: "leases", Kind: Put, Item: lease(name, "w"), Condition: absent})
			if _, failed := errors.AsType[*ConditionError](err); failed != fails || !fails && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for waiting := 0; waiting < callers; time.Sleep(time.Millisecond) {
		s.group.mu.Lock()
		waiting = len(s.group.queue)
		s.group.mu.Unlock()
	}
	s.group.turn.Unlock()
	wg.Wait()
	if got := must[Table](t)(s.DescribeTable(home(), "leases")); got.Items != 1+callers/2 {
		t.Errorf("%d items, want %d", got.Items, 1+callers/2)
	}
	stats = s.db.Stats()
	// A transaction alone writes two pages at least, its item's and the meta page.
	if writes := stats.TxStats.GetWrite() - before; writes == 0 || writes >= callers {
		t.Errorf("%d page writes for %d items: nothing was shared", writes, callers/2)
	}
}

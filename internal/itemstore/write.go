package itemstore

import (
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// WriteKind is what a Write does.
type WriteKind uint8

// Kinds of writes. Check only evaluates the condition.
const (
	Put WriteKind = iota
	Update
	Delete
	Check
)

// ChangeOp is what a Change does to an attribute.
type ChangeOp uint8

// Changes of an attribute. Add adds to a number or a set, Subtract takes members out of a set.
const (
	Set ChangeOp = iota
	Remove
	Add
	Subtract
)

// Change alters one attribute.
type Change struct {
	Op    ChangeOp
	Name  string
	Value Operand // Set may name another attribute, whose old value it takes
}

// Write is one conditional change.
type Write struct {
	Table     string
	Kind      WriteKind
	Item      Item // Put: the item; otherwise the key
	Changes   []Change
	Condition Condition
}

// Result is an item before and after a write; nil where there is none.
type Result struct{ Old, New Item }

// Write makes all changes or none, and returns once they are on disk. A condition that does not hold is a
// *ConditionError.
func (s *Store) Write(sc Scope, writes ...Write) ([]Result, error) {
	if len(writes) > MaxWrites {
		return nil, fmt.Errorf("%d writes: %w", len(writes), ErrLimit)
	}
	results := make([]Result, len(writes))
	err := s.shared(func(tx *bbolt.Tx) (changed bool, err error) {
		pending := make([]*pendingWrite, len(writes))
		reasons := make([]Reason, len(writes))
		failed, total := false, 0
		touched := make(map[string]bool, len(writes))
		for i := range writes {
			p, err := s.prepare(tx, sc, &writes[i])
			if err != nil {
				return false, err
			}
			id := p.table.ID + string(p.key)
			if touched[id] {
				return false, invalid("Transaction request cannot include multiple operations on one item")
			}
			touched[id] = true
			if !writes[i].Condition.Holds(p.old) {
				reasons[i], failed = Reason{Failed: true, Item: p.old}, true
				continue
			}
			if p.new, err = p.outcome(&writes[i]); err != nil {
				return false, err
			}
			total += p.new.Size()
			pending[i] = p
		}
		if failed {
			return false, &ConditionError{Reasons: reasons}
		}
		if total > MaxTotal && len(writes) > 1 {
			return false, fmt.Errorf("%d bytes in one transaction: %w", total, ErrLimit)
		}
		for i, p := range pending {
			if writes[i].Kind != Check {
				changed = true
				if err := p.apply(); err != nil {
					return true, err
				}
			}
			results[i] = Result{Old: p.old, New: p.new}
		}
		return changed, nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// pendingWrite is a write whose item was looked up.
type pendingWrite struct {
	table    *openTable
	key      []byte
	old, new Item
}

func (s *Store) prepare(tx *bbolt.Tx, sc Scope, w *Write) (*pendingWrite, error) {
	t, err := find(tx, sc, w.Table)
	if err != nil {
		return nil, err
	}
	if w.Kind == Put || w.Kind == Update {
		if err := s.room(tx); err != nil {
			return nil, err
		}
	}
	if err := t.checkKey(w.Item, w.Kind == Put); err != nil {
		return nil, err
	}
	p := &pendingWrite{table: t, key: primaryKey(t.Key, w.Item)}
	if stored := t.items.Get(p.key); stored != nil {
		if p.old, err = decodeItem(stored); err != nil {
			return nil, fmt.Errorf("item of table %s: %w", t.Name, err)
		}
	}
	return p, nil
}

// checkKey checks that an item has the key's attributes, and, where it is just a key, no others.
func (t *openTable) checkKey(i Item, whole bool) error {
	limits := []int{MaxHashKey, MaxRangeKey}
	names := t.Key.names()
	if !whole && len(i) != len(names) {
		return invalid("The provided key element does not match the schema")
	}
	for n, name := range names {
		v, ok := i[name]
		switch {
		case !ok && whole:
			return invalid("One or more parameter values were invalid: Missing the key %s in the item", name)
		case !ok || !whole && v.Type != t.typeOf(name):
			return invalid("The provided key element does not match the schema")
		}
		if err := checkKeyValue(name, v, t.typeOf(name), limits[n]); err != nil {
			return err
		}
	}
	return nil
}

// checkIndexed checks the attributes that an index is made of, where an item has them.
func (t *openTable) checkIndexed(ix Index, i Item) error {
	limits := []int{MaxHashKey, MaxRangeKey}
	for n, name := range ix.Key.names() {
		if v, ok := i[name]; ok {
			if err := checkKeyValue(name, v, t.typeOf(name), limits[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// outcome is the item after a write, nil for none.
func (p *pendingWrite) outcome(w *Write) (Item, error) {
	var next Item
	switch w.Kind {
	case Delete:
		return nil, nil
	case Check:
		return p.old, nil
	case Put:
		next = w.Item
	case Update:
		var err error
		if next, err = p.changed(w); err != nil {
			return nil, err
		}
	}
	if n := next.Size(); n > MaxItemSize {
		return nil, invalid("Item size has exceeded the maximum allowed size")
	}
	for _, ix := range p.table.Indexes {
		if err := p.table.checkIndexed(ix, next); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// changed applies changes to a copy of the old item, or to the key where there is none.
func (p *pendingWrite) changed(w *Write) (Item, error) {
	next := maps.Clone(p.old)
	if next == nil {
		next = maps.Clone(w.Item)
	}
	for _, c := range w.Changes {
		if slices.Contains(p.table.Key.names(), c.Name) {
			return nil, invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", c.Name)
		}
		v, ok := c.Value.in(p.old)
		switch c.Op {
		case Remove:
			delete(next, c.Name)
			continue
		case Set:
			if !ok {
				return nil, invalid("The provided expression refers to an attribute that does not exist in the item")
			}
			next[c.Name] = v
			continue
		}
		old, there := next[c.Name]
		v, keep, err := combine(c.Op, old, there, v)
		if err != nil {
			return nil, err
		}
		if keep {
			next[c.Name] = v
		} else {
			delete(next, c.Name)
		}
	}
	return next, nil
}

// combine adds v to old or takes it away; keep is false where nothing is left.
func combine(op ChangeOp, old Value, there bool, v Value) (out Value, keep bool, err error) {
	if op == Subtract && !there {
		return Value{}, false, nil
	}
	if !v.Type.IsSet() && (op == Subtract || v.Type != Number) {
		return Value{}, false, invalid("One or more parameter values were invalid: ADD and DELETE with a value take numbers and sets only, not %s", typeName(v.Type))
	}
	if !there {
		return v, true, nil
	}
	if old.Type != v.Type {
		return Value{}, false, invalid("Type mismatch for attribute to update")
	}
	if v.Type == Number {
		text, err := addNumbers(old.Text, v.Text)
		return Value{Type: Number, Text: text}, true, err
	}
	out = Value{Type: v.Type}
	if op == Add {
		out.Set = slices.Concat(old.Set, v.Set)
		slices.Sort(out.Set)
		out.Set = slices.Compact(out.Set)
		return out, true, nil
	}
	out.Set = slices.DeleteFunc(slices.Clone(old.Set), func(m string) bool { return slices.Contains(v.Set, m) })
	return out, len(out.Set) > 0, nil
}

// apply stores the outcome, in the items and in every index.
func (p *pendingWrite) apply() error {
	t := p.table
	for _, ix := range t.Indexes {
		b := t.bucket.Bucket([]byte(indexPrefix + ix.Name))
		if b == nil {
			return fmt.Errorf("index %s of table %s: %w", ix.Name, t.Name, ErrCorrupt)
		}
		if at := indexKey(ix, p.old, p.key); at != nil {
			if err := b.Delete(at); err != nil {
				return err
			}
		}
		if at := indexKey(ix, p.new, p.key); at != nil {
			if err := b.Put(at, p.key); err != nil {
				return err
			}
		}
	}
	stats := t.stats() // as the writes before this one left it
	if p.old != nil {
		stats.items--
		stats.bytes -= int64(p.old.Size())
	}
	if p.new == nil {
		if err := t.items.Delete(p.key); err != nil {
			return err
		}
		return t.keepStats(stats)
	}
	stats.items++
	stats.bytes += int64(p.new.Size())
	if err := t.items.Put(p.key, encodeItem(p.new)); err != nil {
		return err
	}
	return t.keepStats(stats)
}

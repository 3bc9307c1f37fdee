package itemstore

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"
)

// Get returns an item, nil where there is none. Reads are always consistent.
func (s *Store) Get(sc Scope, table string, key Item) (i Item, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		t, err := find(tx, sc, table)
		if err != nil {
			return err
		}
		if err := t.checkKey(key, false); err != nil {
			return err
		}
		if stored := t.items.Get(primaryKey(t.Key, key)); stored != nil {
			i, err = decodeItem(stored)
		}
		return err
	})
	return i, err
}

// Read selects a page of a table or of an index.
type Read struct {
	Table, Index string
	// Match is the key condition of a query: equality of the hash key, and of the range key if it is named. A scan has nil.
	Match Condition
	// Segment of Segments, for a scan; Segments 0 means the whole table.
	Segment, Segments int
	Filter            Condition
	Limit             int  // items to look at; 0 means as many as fit MaxPage
	After             Item // the key where the page before ended
}

// Page is what a read found.
type Page struct {
	Items   []Item
	Scanned int  // items looked at, before Filter
	Last    Item // where to go on; nil at the end
}

// Query and Scan read one page; which it is shows in Read.Match.
func (s *Store) Query(sc Scope, r Read) (Page, error) { return s.read(sc, r, true) }
func (s *Store) Scan(sc Scope, r Read) (Page, error)  { return s.read(sc, r, false) }

func (s *Store) read(sc Scope, r Read, query bool) (page Page, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		t, err := find(tx, sc, r.Table)
		if err != nil {
			return err
		}
		w := walk{Read: r, table: t, key: t.Key, from: t.items}
		if r.Index != "" {
			ix, ok := t.index(r.Index)
			if !ok {
				return invalid("The table does not have the specified index: %s", r.Index)
			}
			w.index, w.key = &ix, ix.Key
			if w.from = t.bucket.Bucket([]byte(indexPrefix + ix.Name)); w.from == nil {
				return fmt.Errorf("index %s of table %s: %w", ix.Name, t.Name, ErrCorrupt)
			}
		}
		if query {
			if w.prefix, err = w.matched(); err != nil {
				return err
			}
		}
		page, err = w.page()
		return err
	})
	return page, err
}

// walk is one read under way.
type walk struct {
	Read
	table  *openTable
	index  *Index
	key    Key // of the table or the index
	from   *bbolt.Bucket
	prefix []byte
	whole  []byte // the one key that a query of a table's hash and range key wants
}

// matched turns the key condition into the prefix of what it selects.
func (w *walk) matched() ([]byte, error) {
	got := Item{}
	for _, t := range w.Match {
		name, v := t.Left.Name, t.Right.Value
		if t.Op != OpEqual || name == "" || t.Right.Name != "" {
			return nil, unsupported("a key condition other than attribute = value")
		}
		if _, twice := got[name]; twice || !slices.Contains(w.key.names(), name) {
			return nil, invalid("Query condition missed key schema element: %s", w.key.Hash)
		}
		if v.Type != w.table.typeOf(name) {
			return nil, invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
		}
		got[name] = v
	}
	hash, ok := got[w.key.Hash]
	if !ok {
		return nil, invalid("Query condition missed key schema element: %s", w.key.Hash)
	}
	b := appendHash(nil, hash)
	if v, ok := got[w.key.Range]; ok && w.key.Range != "" {
		if w.index != nil {
			return appendHash(b, v), nil
		}
		b = appendRange(b, v)
		w.whole = b
	}
	return b, nil
}

// start is the first key after r.After.
func (w *walk) start() ([]byte, error) {
	if w.After == nil {
		return nil, nil
	}
	names := w.table.Key.names()
	if err := w.table.checkKey(w.After.pick(names...), false); err != nil {
		return nil, invalid("The provided starting key is invalid")
	}
	at := primaryKey(w.table.Key, w.After)
	if w.index != nil {
		if w.table.checkIndexed(*w.index, w.After) != nil {
			return nil, invalid("The provided starting key is invalid")
		}
		if at = indexKey(*w.index, w.After, at); at == nil {
			return nil, invalid("The provided starting key is invalid")
		}
	}
	if w.prefix != nil && !bytes.HasPrefix(at, w.prefix) {
		return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	return at, nil
}

func (w *walk) page() (p Page, err error) {
	start, err := w.start()
	if err != nil {
		return p, err
	}
	c := w.from.Cursor()
	k, v := c.Seek(w.prefix)
	if start != nil {
		if k, v = c.Seek(start); bytes.Equal(k, start) {
			k, v = c.Next()
		}
	}
	size, last := 0, Item(nil)
	for ; k != nil && bytes.HasPrefix(k, w.prefix); k, v = c.Next() {
		if w.whole != nil && !bytes.Equal(k, w.whole) {
			break
		}
		item, err := w.item(v)
		if err != nil {
			return p, err
		}
		if w.Segments > 1 && int(xxhash.Sum64(primaryKey(w.table.Key, item))%uint64(w.Segments)) != w.Segment {
			continue
		}
		if w.Limit > 0 && p.Scanned == w.Limit || size >= MaxPage {
			p.Last = last
			return p, nil
		}
		size += item.Size()
		p.Scanned++
		last = item.pick(append(w.table.Key.names(), w.key.names()...)...)
		item = w.projected(item)
		if w.Filter.Holds(item) {
			p.Items = append(p.Items, item)
		}
	}
	if w.Limit > 0 && p.Scanned == w.Limit {
		p.Last = last // as DynamoDB does: it has not looked whether there is more
	}
	return p, nil
}

// item is the item that an entry stands for.
func (w *walk) item(v []byte) (Item, error) {
	if w.index != nil {
		if v = w.table.items.Get(v); v == nil {
			return nil, fmt.Errorf("index %s of table %s names no item: %w", w.index.Name, w.table.Name, ErrCorrupt)
		}
	}
	return decodeItem(v)
}

// projected is what an index shows of an item.
func (w *walk) projected(i Item) Item {
	if w.index == nil || w.index.Projection == "ALL" {
		return i
	}
	return i.pick(slices.Concat(w.table.Key.names(), w.key.names(), w.index.Include)...)
}

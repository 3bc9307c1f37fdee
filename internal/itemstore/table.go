package itemstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Names of buckets and keys in the file.
const (
	tablesBucket = "tables"
	itemsBucket  = "items"
	indexPrefix  = "ix:"
	statsKey     = "stats"
)

// Attribute declares the type of a key attribute.
type Attribute struct {
	Name string
	Type Type
}

// Index is a global secondary index.
type Index struct {
	Name       string
	Key        Key
	Projection string   // ALL, KEYS_ONLY or INCLUDE
	Include    []string `json:",omitempty"` // INCLUDE: further attributes
}

// Tag is a pair that a table carries.
type Tag struct{ Key, Value string }

// Table describes a table. ID, Created, Items and Bytes are the store's to set.
type Table struct {
	Name, ID   string
	Created    time.Time
	Attributes []Attribute
	Key        Key
	Indexes    []Index `json:",omitempty"`
	Protected  bool    `json:",omitempty"`
	// OnDemand tells how the table is said to be billed; the units are kept and shown, not enforced.
	OnDemand              bool  `json:",omitempty"`
	ReadUnits, WriteUnits int64 `json:",omitempty"`
	Tags                  []Tag `json:",omitempty"`

	Items, Bytes int64 `json:"-"`
}

// typeOf is the declared type of an attribute, 0 where it has none.
func (t *Table) typeOf(name string) Type {
	for _, a := range t.Attributes {
		if a.Name == name {
			return a.Type
		}
	}
	return 0
}

func (t *Table) index(name string) (Index, bool) {
	i := slices.IndexFunc(t.Indexes, func(ix Index) bool { return ix.Name == name })
	if i < 0 {
		return Index{}, false
	}
	return t.Indexes[i], true
}

// declared checks that key attributes have a type.
func (t *Table) declared(k Key) error {
	for _, name := range k.names() {
		if t.typeOf(name) == 0 {
			return invalid("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s]", name)
		}
	}
	return nil
}

func (sc Scope) prefix() []byte { return []byte(sc.Account + "\x00" + sc.Region + "\x00") }

func (sc Scope) tableKey(name string) []byte { return append(sc.prefix(), name...) }

// openTable is a table within a transaction.
type openTable struct {
	Table
	bucket, items *bbolt.Bucket
}

func find(tx *bbolt.Tx, sc Scope, name string) (*openTable, error) {
	text := tx.Bucket([]byte(tablesBucket)).Get(sc.tableKey(name))
	if text == nil {
		return nil, fmt.Errorf("table %s: %w", name, ErrTableNotFound)
	}
	t := &openTable{}
	if err := json.Unmarshal(text, &t.Table); err != nil {
		return nil, fmt.Errorf("description of table %s: %w", name, errors.Join(ErrCorrupt, err))
	}
	if t.bucket = tx.Bucket([]byte("t" + t.ID)); t.bucket != nil {
		t.items = t.bucket.Bucket([]byte(itemsBucket))
	}
	if t.items == nil {
		return nil, fmt.Errorf("table %s without items: %w", name, ErrCorrupt)
	}
	now := t.stats()
	t.Items, t.Bytes = now.items, now.bytes
	return t, nil
}

// keep writes the description of a table.
func (t *openTable) keep(tx *bbolt.Tx, sc Scope) error {
	text, err := json.Marshal(&t.Table)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(tablesBucket)).Put(sc.tableKey(t.Name), text)
}

// totals count the items of a table and their bytes.
type totals struct{ items, bytes int64 }

func (t *openTable) stats() (n totals) {
	if b := t.bucket.Get([]byte(statsKey)); len(b) == 16 {
		n.items = int64(binary.LittleEndian.Uint64(b))
		n.bytes = int64(binary.LittleEndian.Uint64(b[8:]))
	}
	return n
}

func (t *openTable) keepStats(n totals) error {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n.items))
	binary.LittleEndian.PutUint64(b[8:], uint64(n.bytes))
	return t.bucket.Put([]byte(statsKey), b[:])
}

// CreateTable makes a table. ID must be new and Created set; the caller has checked names.
func (s *Store) CreateTable(sc Scope, t Table) error {
	if err := t.declared(t.Key); err != nil {
		return err
	}
	if len(t.Indexes) > MaxIndexes {
		return fmt.Errorf("%d indexes: %w", len(t.Indexes), ErrLimit)
	}
	for i, ix := range t.Indexes {
		if err := t.declared(ix.Key); err != nil {
			return err
		}
		if slices.ContainsFunc(t.Indexes[:i], func(other Index) bool { return other.Name == ix.Name }) {
			return invalid("One or more parameter values were invalid: Duplicate index name: %s", ix.Name)
		}
	}
	return s.update(func(tx *bbolt.Tx) error {
		if err := s.room(tx); err != nil {
			return err
		}
		tables := tx.Bucket([]byte(tablesBucket))
		if tables.Get(sc.tableKey(t.Name)) != nil {
			return fmt.Errorf("table %s: %w", t.Name, ErrTableExists)
		}
		n := 0
		prefix := sc.prefix()
		for c, k := cursorAt(tables, prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			n++
		}
		if n >= MaxTables {
			return fmt.Errorf("%d tables: %w", n, ErrLimit)
		}
		o := openTable{Table: t}
		var err error
		if o.bucket, err = tx.CreateBucket([]byte("t" + t.ID)); err != nil {
			return err
		}
		if o.items, err = o.bucket.CreateBucket([]byte(itemsBucket)); err != nil {
			return err
		}
		for _, ix := range t.Indexes {
			if _, err := o.bucket.CreateBucket([]byte(indexPrefix + ix.Name)); err != nil {
				return err
			}
		}
		return o.keep(tx, sc)
	})
}

func cursorAt(b *bbolt.Bucket, prefix []byte) (*bbolt.Cursor, []byte) {
	c := b.Cursor()
	k, _ := c.Seek(prefix)
	return c, k
}

// DescribeTable returns a table's description.
func (s *Store) DescribeTable(sc Scope, name string) (t Table, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		o, err := find(tx, sc, name)
		if err == nil {
			t = o.Table
		}
		return err
	})
	return t, err
}

// TableChange is what UpdateTable may alter; nil fields stay.
type TableChange struct {
	Attributes []Attribute // declarations, added to those there are
	Create     *Index      // filled from the items there are before UpdateTable returns
	Drop       string      // name of an index
	Protected  *bool
	OnDemand   *bool
}

// UpdateTable changes a table and returns its new description.
func (s *Store) UpdateTable(sc Scope, name string, c TableChange) (t Table, err error) {
	err = s.update(func(tx *bbolt.Tx) error {
		o, err := find(tx, sc, name)
		if err != nil {
			return err
		}
		for _, a := range c.Attributes {
			switch o.typeOf(a.Name) {
			case 0:
				o.Attributes = append(o.Attributes, a)
			case a.Type:
			default:
				return invalid("One or more parameter values were invalid: Attribute %s is already defined with another type", a.Name)
			}
		}
		if c.Create != nil {
			if err := s.addIndex(tx, o, *c.Create); err != nil {
				return err
			}
		}
		if c.Drop != "" {
			if err := o.dropIndex(c.Drop); err != nil {
				return err
			}
		}
		if c.Protected != nil {
			o.Protected = *c.Protected
		}
		if c.OnDemand != nil {
			o.OnDemand = *c.OnDemand
		}
		t = o.Table
		return o.keep(tx, sc)
	})
	return t, err
}

func (s *Store) addIndex(tx *bbolt.Tx, o *openTable, ix Index) error {
	if err := s.room(tx); err != nil {
		return err
	}
	if _, there := o.index(ix.Name); there {
		return fmt.Errorf("index %s: %w", ix.Name, ErrIndexExists)
	}
	if err := o.declared(ix.Key); err != nil {
		return err
	}
	if len(o.Indexes) >= MaxIndexes {
		return fmt.Errorf("%d indexes: %w", len(o.Indexes), ErrLimit)
	}
	b, err := o.bucket.CreateBucket([]byte(indexPrefix + ix.Name))
	if err != nil {
		return err
	}
	o.Indexes = append(o.Indexes, ix)
	return o.items.ForEach(func(k, v []byte) error {
		item, err := decodeItem(v)
		if err != nil {
			return err
		}
		if o.checkIndexed(ix, item) != nil {
			return nil // as in DynamoDB, an item whose attribute has the wrong type is left out
		}
		if at := indexKey(ix, item, k); at != nil {
			return b.Put(at, k)
		}
		return nil
	})
}

func (t *openTable) dropIndex(name string) error {
	if _, there := t.index(name); !there {
		return fmt.Errorf("index %s: %w", name, ErrIndexNotFound)
	}
	t.Indexes = slices.DeleteFunc(t.Indexes, func(ix Index) bool { return ix.Name == name })
	return t.bucket.DeleteBucket([]byte(indexPrefix + name))
}

// DeleteTable removes a table with its items and returns what it was.
func (s *Store) DeleteTable(sc Scope, name string) (t Table, err error) {
	err = s.update(func(tx *bbolt.Tx) error {
		o, err := find(tx, sc, name)
		if err != nil {
			return err
		}
		if o.Protected {
			return fmt.Errorf("table %s: %w", name, ErrProtected)
		}
		t = o.Table
		if err := tx.DeleteBucket([]byte("t" + o.ID)); err != nil {
			return err
		}
		return tx.Bucket([]byte(tablesBucket)).Delete(sc.tableKey(name))
	})
	return t, err
}

// ListTables returns up to limit names after the given one, in order, and whether there are more.
func (s *Store) ListTables(sc Scope, after string, limit int) (names []string, more bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		prefix := sc.prefix()
		c := tx.Bucket([]byte(tablesBucket)).Cursor()
		k, _ := c.Seek(sc.tableKey(after))
		if after != "" && bytes.Equal(k, sc.tableKey(after)) {
			k, _ = c.Next()
		}
		for ; bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if len(names) == limit {
				more = true
				break
			}
			names = append(names, string(k[len(prefix):]))
		}
		return nil
	})
	return names, more, err
}

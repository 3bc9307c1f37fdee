package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/internal/vfs"
)

func openTest(t testing.TB, fsys vfs.FS) *Catalog {
	t.Helper()
	c, err := Open(Options{FS: fsys, Dir: "data/catalog", CompactAt: 2 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// newStream is a stream with ids of the catalog.
func newStream(c *Catalog, name string, shards int) *StreamInfo {
	s := &StreamInfo{
		ID: c.ReserveStream(), Name: Name{"000000000000", "us-east-1", name}, Status: Active, Durability: 1,
		RetentionHours: 24, MaxRecordBytes: 1 << 20, Created: time.Unix(1_700_000_000, 123456789),
		Tags: map[string]string{"team": name}, RouteEpoch: 1, NextIndex: uint32(shards),
	}
	first := c.ReserveShards(shards)
	for i, r := range hashkey.Even(shards) {
		s.Shards = append(s.Shards, ShardInfo{
			Index: uint32(i), ID: first + uint32(i), Range: r, Parent: -1, AdjacentParent: -1, CreatedSeconds: 1_700_000_000, Start: 96,
		})
	}
	return s
}

// split is s with its shard at place split in the middle.
func split(c *Catalog, s *StreamInfo, place int) *StreamInfo {
	n := s.Clone()
	parent := &n.Shards[place]
	parent.ClosedSeconds, parent.End = 1_700_000_100, 4096
	a, b := parent.Range.Split(parent.Range.Mid())
	first := c.ReserveShards(2)
	for i, r := range []hashkey.Range{a, b} {
		n.Shards = append(n.Shards, ShardInfo{
			Index: n.NextIndex, ID: first + uint32(i), Range: r, Parent: int32(s.Shards[place].Index), AdjacentParent: -1,
			CreatedSeconds: 1_700_000_101, Start: 4096,
		})
		n.NextIndex++
	}
	n.RouteEpoch++
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same compares what a catalog holds with what it should.
func same(want, got []*StreamInfo) string {
	if len(want) == 0 && len(got) == 0 {
		return ""
	}
	return cmp.Diff(want, got)
}

// step is one change of the script that the crash and fault tests run.
type step func(c *Catalog) error

// script makes, changes and removes streams, with enough bytes for several compactions.
func script() []step {
	get := func(c *Catalog, name string) *StreamInfo { return c.Get(Name{"000000000000", "us-east-1", name}) }
	put := func(name string, change func(c *Catalog, s *StreamInfo) *StreamInfo) step {
		return func(c *Catalog) error {
			s := get(c, name)
			if s == nil {
				return fmt.Errorf("no stream %s", name)
			}
			return c.Put(change(c, s.Clone()))
		}
	}
	var out []step
	for i := range 4 {
		name := fmt.Sprintf("s%d", i)
		out = append(out,
			func(c *Catalog) error { return c.Put(newStream(c, name, 1+3*i)) },
			put(name, func(c *Catalog, s *StreamInfo) *StreamInfo { return split(c, s, 0) }),
			put(name, func(_ *Catalog, s *StreamInfo) *StreamInfo {
				for k := range 20 {
					s.Tags[fmt.Sprintf("tag-%d", k)] = fmt.Sprintf("some value that takes a few bytes of the log %d", i*k)
				}
				return s
			}),
			put(name, func(_ *Catalog, s *StreamInfo) *StreamInfo { s.RetentionHours, s.Status = 48+i, Updating; return s }),
			put(name, func(_ *Catalog, s *StreamInfo) *StreamInfo { s.Settings = someSettings(i); return s }),
			put(name, func(_ *Catalog, s *StreamInfo) *StreamInfo { s.Settings.KeyID, s.Settings.Policies = "", nil; return s }),
			put(name, func(_ *Catalog, s *StreamInfo) *StreamInfo { s.Consumers = someConsumers(i); return s }),
			put(name, func(c *Catalog, s *StreamInfo) *StreamInfo { return split(c, s, len(s.Shards)-1) }),
			put(name, func(_ *Catalog, s *StreamInfo) *StreamInfo {
				s.DropConsumer("fraud")
				s.Consumer("old").Tags = nil
				return s
			}),
			put(name, func(_ *Catalog, s *StreamInfo) *StreamInfo { s.Shards = s.Shards[1:]; s.Status = Active; return s }),
		)
	}
	return append(out,
		func(c *Catalog) error { return c.Remove(get(c, "s1").ID) },
		func(c *Catalog) error { return c.Put(newStream(c, "s1", 2)) },
	)
}

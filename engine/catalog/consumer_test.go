package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/internal/vfs"
)

func someConsumers(n int) []ConsumerInfo {
	return []ConsumerInfo{
		{Name: "billing", Created: 1_700_000_000 + int64(n), Status: Active, Tags: map[string]string{"team": "shop", "": "empty key"}},
		{Name: "fraud", Created: 1_700_000_001, Status: Creating},
		{Name: "old", Created: 1_600_000_000, Status: Deleting, Tags: map[string]string{"k": ""}},
	}
}

// TestConsumersGolden: the bytes of change 11 never change.
func TestConsumersGolden(t *testing.T) {
	const salt = 0x1122334455667788
	log := appendHeader(nil, header{roleLog, 5, salt})
	with := goldenState().streams[3].Clone()
	with.Consumers = someConsumers(0)
	without := with.Clone()
	without.Consumers = nil
	for _, body := range []func([]byte) []byte{
		func(b []byte) []byte { return diff(b, goldenState().streams[3], with) },
		func(b []byte) []byte { return diff(b, with, without) },
		func(b []byte) []byte { return diff(b, without, with) },
	} {
		at := len(log)
		var err error
		log, err = endEntry(body(beginEntry(log)), at, int64(at), salt)
		must(t, err)
	}
	want := golden(t, "consumers-v1", log)
	if !bytes.Equal(log, want) {
		t.Fatal("consumers are not written as they were")
	}
	st := goldenState()
	end, err := st.replay(want, "log", salt)
	if err != nil || end != int64(len(want)) {
		t.Fatal(end, err)
	}
	if d := cmp.Diff(with, st.streams[3]); d != "" {
		t.Fatal(d)
	}
}

// TestConsumersSurvive: consumers are there after a reopen, from the log and from a snapshot; a change of the stream's
// other settings keeps them, and they go with the stream.
func TestConsumersSurvive(t *testing.T) {
	for _, compactAt := range []int64{1, 1 << 20} {
		fsys := vfs.NewMem(0)
		o := Options{FS: fsys, Dir: "data/catalog", CompactAt: compactAt}
		c, err := Open(o)
		must(t, err)
		s := newStream(c, "s", 2)
		must(t, c.Put(s))
		next := s.Clone()
		for _, one := range someConsumers(1) {
			next.SetConsumer(one)
		}
		must(t, c.Put(next))
		again := next.Clone()
		again.RetentionHours = 48
		again.DropConsumer("old")
		again.DropConsumer("nobody")
		fraud := *again.Consumer("fraud")
		fraud.Status = Active
		again.SetConsumer(fraud)
		must(t, c.Put(again))
		if next.Consumer("old") == nil || next.Consumer("fraud").Status != Creating {
			t.Fatal("a change of a clone shows in what it was cloned from")
		}
		must(t, c.Close())
		c, err = Open(o)
		must(t, err)
		got := c.Get(s.Name)
		want := []ConsumerInfo{someConsumers(1)[0], {Name: "fraud", Created: 1_700_000_001, Status: Active}}
		if d := cmp.Diff(want, got.Consumers); d != "" || got.RetentionHours != 48 {
			t.Fatal(d, got.RetentionHours)
		}
		none := got.Clone()
		none.DropConsumer("billing")
		none.DropConsumer("fraud")
		must(t, c.Put(none))
		must(t, c.Close())
		c, err = Open(o)
		must(t, err)
		if d := cmp.Diff(none, c.Get(s.Name)); d != "" {
			t.Fatal(d)
		}
		must(t, c.Put(got))
		must(t, c.Remove(s.ID))
		must(t, c.Close())
		c, err = Open(o)
		must(t, err)
		if c.Get(s.Name) != nil {
			t.Fatal("the stream is still there")
		}
		must(t, c.Close())
	}
}

// TestConsumersRefused: what the file has no room for is refused before it is written, and damage when it is read.
func TestConsumersRefused(t *testing.T) {
	c := openTest(t, vfs.NewMem(0))
	f := func(why string, list ...ConsumerInfo) {
		t.Helper()
		s := newStream(c, "s", 1)
		s.Consumers = list
		if err := c.Put(s); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
		st := goldenState()
		s.ID = 3
		err := st.apply(appendConsumers([]byte{entryVersion}, s), "log", 0)
		var damage *CorruptionError
		if !errors.As(err, &damage) {
			t.Errorf("%s is read: %v", why, err)
		}
	}
	f("consumer name", ConsumerInfo{Status: Active})
	f("consumer name", ConsumerInfo{Name: strings.Repeat("n", maxString+1), Status: Active})
	f("consumer status", ConsumerInfo{Name: "c"})
	f("consumer status", ConsumerInfo{Name: "c", Status: Updating})
	f("consumers out of order", ConsumerInfo{Name: "c", Status: Active}, ConsumerInfo{Name: "b", Status: Active})
	f("consumers out of order", ConsumerInfo{Name: "c", Status: Active}, ConsumerInfo{Name: "c", Status: Active})
	f("consumer tag too long", ConsumerInfo{Name: "c", Status: Active, Tags: map[string]string{"k": strings.Repeat("v", maxTagBytes+1)}})
	var many []ConsumerInfo
	for i := range MaxConsumers + 1 {
		many = append(many, ConsumerInfo{Name: fmt.Sprintf("c%05d", i), Status: Active})
	}
	f("too many consumers", many...)
}

package engine

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/internal/vfs"
)

func TestTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		const takes = 500 * time.Millisecond
		o := testOptions(vfs.NewMem(0))
		o.Transition = takes
		e := openTest(t, o)
		status := func(s *Stream, want catalog.Status) {
			t.Helper()
			if got := s.Info().Status; got != want {
				t.Fatalf("status %s, want %s", got, want)
			}
		}
		arrive := func() {
			t.Helper()
			time.Sleep(takes)
			synctest.Wait()
		}
		s := createTest(t, e, "s", 2)
		status(s, catalog.Creating)
		const missing = "Stream s under account 000000000000 not found."
		out := make([]Appended, 1)
		wantError(t, s.Append(ctx, []Record{rec("a", "1")}, LevelMem, out), CodeNotFound, missing)
		wantError(t, s.Split(ctx, "0", "5"), CodeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
		time.Sleep(takes - time.Millisecond)
		status(s, catalog.Creating)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		status(s, catalog.Active)

		if err := s.Split(ctx, "0", "5"); err != nil {
			t.Fatal(err)
		}
		status(s, catalog.Updating)
		const updating = "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING"
		wantError(t, s.Split(ctx, "1", "5"), CodeInUse, updating)
		wantError(t, s.Merge(ctx, "2", "3"), CodeInUse, updating)
		wantError(t, s.Reshard(ctx, 4), CodeInUse, updating)
		put(t, s, rec("a", "1"), rec("b", "2")) // the data plane stays open
		if n := len(readAll(t, s, 0)); n != 2 {
			t.Fatalf("%d records", n)
		}
		arrive()
		status(s, catalog.Active)
		if err := s.Merge(ctx, "2", "3"); err != nil {
			t.Fatal(err)
		}
		arrive()

		if err := e.DeleteStream(ctx, s.name); err != nil {
			t.Fatal(err)
		}
		status(s, catalog.Deleting)
		wantError(t, s.Append(ctx, []Record{rec("a", "1")}, LevelMem, out), CodeNotFound, missing)
		wantError(t, s.Reshard(ctx, 4), CodeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state DELETING")
		if _, err := s.AppendBatch(buildBatch(t, s.Info().Shards[1].ID, 0, numbered(1))); asCode(t, err).Code != CodeNotFound {
			t.Fatal(err)
		}
		if err := e.DeleteStream(ctx, s.name); err != nil { // again is fine
			t.Fatal(err)
		}
		wantError(t, e.CreateStream(ctx, CreateStream{Name: s.name, Shards: 1}), CodeInUse, "Stream s under account 000000000000 already exists.")
		if n := len(readAll(t, s, 0)); n != 2 {
			t.Fatalf("%d records while DELETING", n)
		}
		arrive()
		_, err := e.Stream(s.name)
		wantError(t, err, CodeNotFound, missing)
		wantError(t, s.SetRetention(ctx, 48, true), CodeNotFound, missing)
		if s.Info() == nil {
			t.Fatal("a handle of a stream that is gone has no info")
		}
	})
}

// No more than five streams of an account may be CREATING at once.
func TestCreatingLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		const takes = time.Second
		e := openTest(t, Options{RingSize: smallRing, Transition: takes})
		for i := range creatingLimit {
			createTest(t, e, fmt.Sprint("c", i), 1)
		}
		if err := e.CreateStream(ctx, CreateStream{Name: Name{Stream: "more"}, Shards: 1}); asCode(t, err).Code != CodeLimitExceeded {
			t.Fatal(err)
		}
		if err := e.DeleteStream(ctx, Name{Stream: "c0"}); err != nil {
			t.Fatal(err)
		}
		createTest(t, e, "more", 1)
		time.Sleep(takes)
		synctest.Wait()
		if open, _, _ := e.ShardUse("", ""); open != creatingLimit {
			t.Fatalf("%d open shards", open)
		}
		for i := range creatingLimit {
			createTest(t, e, fmt.Sprint("d", i), 1)
		}
	})
}

// What was on its way when the engine stopped is there after a restart.
func TestTransitionsRestart(t *testing.T) {
	ctx := context.Background()
	fsys := vfs.NewMem(0)
	o := testOptions(fsys)
	o.Transition = time.Hour
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	createTest(t, e, "creating", 1)
	gone := createTest(t, e, "deleting", 1)
	if err := e.DeleteStream(ctx, gone.name); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil { // idempotent
		t.Fatal(err)
	}
	e = openTest(t, testOptions(fsys))
	all := e.Streams("", "")
	if len(all) != 1 || all[0].Name.Stream != "creating" || all[0].Status != catalog.Active {
		t.Fatalf("%+v", all)
	}
}

package engine

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/internal/vfs"
)

func TestConsumers(t *testing.T) {
	ctx := context.Background()
	fsys := vfs.NewMem(0)
	e := openTest(t, testOptions(fsys))
	s := createTest(t, e, "s", 1)
	c, err := s.RegisterConsumer(ctx, "c", map[string]string{"team": "a:b"})
	if err != nil || c.Status != catalog.Active || c.Created < time.Now().Unix()-5 {
		t.Fatal(c, err)
	}
	_, err = s.RegisterConsumer(ctx, "c", nil)
	wantError(t, err, CodeInUse, "Consumer c under stream s already exists for account 000000000000.")
	_, err = s.RegisterConsumer(ctx, "d", map[string]string{"k": "<"})
	wantError(t, err, CodeInvalidArgument, "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . : / = + - @.")
	for i := range consumerLimit - 1 {
		register(t, s, fmt.Sprintf("c%02d", i))
	}
	_, err = s.RegisterConsumer(ctx, "d", nil)
	wantError(t, err, CodeLimitExceeded, "This request would exceed the limit on the number of consumers of stream s under account 000000000000. "+
		"Current consumer count: 20. Limit: 20.")
	if err := s.SetConsumerTags(ctx, "c", c.Created, map[string]string{"more": "1"}, []string{"team"}); err != nil {
		t.Fatal(err)
	}
	const missing = "Consumer c, account 000000000000 not found."
	_, err = s.Consumer("c", c.Created+1)
	wantError(t, err, CodeNotFound, missing)
	wantError(t, s.DeregisterConsumer(ctx, "c", c.Created+1), CodeNotFound, missing)
	wantError(t, s.SetConsumerTags(ctx, "c", c.Created+1, nil, nil), CodeNotFound, missing)
	wantError(t, e.DeleteStream(ctx, s.name), CodeInUse, "DeleteStream can't delete 000000000000:s because there are consumers associated with this data stream. "+
		"To delete s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it.")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Subscribe(Subscribe{Consumer: "c", ShardID: "0", Type: Latest})
	if asCode(t, err).Code != CodeStopped {
		t.Fatal(err)
	}

	e = openTest(t, testOptions(fsys))
	if s, err = e.Stream(Name{Stream: "s"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Consumer("c", c.Created)
	if err != nil || got.Status != catalog.Active || !maps.Equal(got.Tags, map[string]string{"more": "1"}) || len(s.Info().Consumers) != consumerLimit {
		t.Fatal(got, err)
	}
	if err := s.DeregisterConsumer(ctx, "c", c.Created); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.DeregisterConsumer(ctx, "c", 0), CodeNotFound, missing)
	register(t, s, "d")
	if err := e.DeleteStreamAndConsumers(ctx, s.name); err != nil {
		t.Fatal(err)
	}
	_, err = s.RegisterConsumer(ctx, "e", nil)
	wantError(t, err, CodeNotFound, "Stream s under account 000000000000 not found.")
	if s = createTest(t, e, "s", 1); len(s.Info().Consumers) != 0 {
		t.Fatal("a new stream has the consumers of the old one")
	}
}

func TestConsumerTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		const takes = 500 * time.Millisecond
		fsys := vfs.NewMem(0)
		o := testOptions(fsys)
		o.Transition = takes
		e := openTest(t, o)
		s := createTest(t, e, "s", 1)
		_, err := s.RegisterConsumer(ctx, "c", nil)
		wantError(t, err, CodeInUse, "Stream s under account 000000000000 not ACTIVE or UPDATING, instead in state CREATING")
		arrive := func() { time.Sleep(takes); synctest.Wait() }
		arrive()
		status := func(want catalog.Status) {
			t.Helper()
			if c, err := s.Consumer("c", 0); err != nil || c.Status != want {
				t.Fatalf("%v %v, want %s", c, err, want)
			}
		}
		c := register(t, s, "c")
		status(catalog.Creating)
		o2 := Subscribe{Consumer: "c", ShardID: "0", Type: Latest}
		_, err = s.Subscribe(o2)
		wantError(t, err, CodeInUse, fmt.Sprintf("Consumer c with creation timestamp %d under stream: s, account 000000000000 is not in ACTIVE status.", c.Created))
		for i := range creatingConsumers - 1 {
			register(t, s, fmt.Sprintf("c%d", i))
		}
		_, err = s.RegisterConsumer(ctx, "sixth", nil)
		wantError(t, err, CodeLimitExceeded, "This request would exceed the limit on the number of consumers in the CREATING state of stream s under account 000000000000. Limit: 5.")
		arrive()
		status(catalog.Active)
		x := subscribe(t, s, o2)
		next(t, x)
		if err := s.DeregisterConsumer(ctx, "c", c.Created); err != nil {
			t.Fatal(err)
		}
		status(catalog.Deleting)
		_, err = x.Next(ctx)
		wantError(t, err, CodeNotFound, "Consumer c, account 000000000000 not found.")
		if err := s.DeregisterConsumer(ctx, "c", c.Created); err != nil {
			t.Fatal("a second time:", err)
		}
		_, err = s.RegisterConsumer(ctx, "c", nil)
		wantError(t, err, CodeInUse, "Consumer c under stream s already exists for account 000000000000.")
		arrive()
		_, err = s.Consumer("c", 0)
		wantError(t, err, CodeNotFound, "Consumer c, account 000000000000 not found.")

		// What is on its way when the engine stops has arrived when it is opened again.
		register(t, s, "coming")
		if err := s.DeregisterConsumer(ctx, "c0", 0); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = openTest(t, o)
		if s, err = e.Stream(Name{Stream: "s"}); err != nil {
			t.Fatal(err)
		}
		names := ""
		for _, c := range s.Info().Consumers {
			if c.Status != catalog.Active {
				t.Errorf("%s is %s", c.Name, c.Status)
			}
			names += c.Name + " "
		}
		if names != "c1 c2 c3 coming " {
			t.Fatal(names)
		}
	})
}

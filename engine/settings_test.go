package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
	"github.com/shardmill/shardmill/internal/vfs"
)

var ctx0 = context.Background()

func wantCode(t *testing.T, err error, code Code, text string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("%v, want code %d with %q", err, code, text)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// putEach appends n records with the key, one call each, and counts them by shard.
func putEach(t *testing.T, s *Stream, n int, key string) map[uint32]int {
	t.Helper()
	got := map[uint32]int{}
	for range n {
		out := make([]Appended, 1)
		ok(t, s.Append(ctx0, []Record{{Key: []byte(key), Data: []byte("x")}}, LevelMem, out))
		if out[0].Err != nil {
			t.Fatal(out[0].Err)
		}
		got[out[0].Shard]++
	}
	return got
}

func shardRecords(t *testing.T, e *Engine, s *Stream, shard string) []ReadRecord {
	t.Helper()
	token, err := s.Iterator(shard, TrimHorizon, "", nil)
	ok(t, err)
	p, err := e.Records(ctx0, token, 0)
	ok(t, err)
	defer p.Release()
	out := slices.Clone(p.Records)
	for i := range out {
		out[i].Key, out[i].Data = slices.Clone(out[i].Key), nil
	}
	return out
}

func TestSetMode(t *testing.T) {
	e := openTest(t, Options{})
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 3})
	ok(t, s.SetMode(ctx0, false, 0)) // nothing to do
	ok(t, s.SetMode(ctx0, true, 0))
	const text = "Request is invalid. Stream s under account 000000000000 is in On-Demand mode."
	wantCode(t, s.Split(ctx0, "0", "5"), CodeValidation, text)
	wantCode(t, s.Merge(ctx0, "0", "1"), CodeValidation, text)
	wantCode(t, s.Reshard(ctx0, 4), CodeValidation, text)
	if _, _, n := e.ShardUse("", ""); n != 1 || s.Info().OpenShards() != 3 {
		t.Errorf("%d on-demand streams, %d shards", n, s.Info().OpenShards())
	}
	ok(t, s.SetDistribution(ctx0, true))
	ok(t, s.SetMode(ctx0, false, 0))
	if _, _, n := e.ShardUse("", ""); n != 0 || s.Info().Settings.Auto {
		t.Errorf("%d on-demand streams, auto %v", n, s.Info().Settings.Auto)
	}
	wantCode(t, s.SetMode(ctx0, true, 0), CodeLimitExceeded, "2 capacity mode changes")
	if _, _, n := e.ShardUse("", ""); n != 0 {
		t.Errorf("a refused change is counted: %d", n)
	}
}

func TestOnDemandLimit(t *testing.T) {
	e := openTest(t, Options{})
	for i := range onDemandLimit {
		createWith(t, e, CreateStream{Name: Name{Stream: fmt.Sprint(i)}, OnDemand: true})
	}
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 1})
	wantCode(t, s.SetMode(ctx0, true, 0), CodeLimitExceeded, "This request would exceed the limit on the number of On-Demand streams for the account 000000000000 in us-east-1. Current On-Demand streams count: 50. Limit: 50.")
	st, err := e.Stream(Name{Stream: "7"})
	ok(t, err)
	if st.Info().OpenShards() != 4 {
		t.Error("an on-demand stream is not born with 4 shards")
	}
}

// TestSettingsTransition: the operations that take time leave the stream UPDATING, and it refuses others meanwhile.
func TestSettingsTransition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := Open(Options{Transition: time.Second})
		ok(t, err)
		ok(t, e.CreateStream(ctx0, CreateStream{Name: Name{Stream: "s"}, Shards: 1}))
		s, err := e.Stream(Name{Stream: "s"})
		ok(t, err)
		wantCode(t, s.SetMode(ctx0, true, 0), CodeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
		_, err = e.SetCommitment(ctx0, "", "", true)
		ok(t, err)
		for _, f := range []func() error{
			func() error { return s.SetMode(ctx0, true, 0) },
			func() error { return s.StartEncryption(ctx0, "alias/aws/kinesis") },
			func() error { return s.StopEncryption(ctx0, "alias/aws/kinesis") },
			func() error { _, err := s.SetWarmThroughput(ctx0, 100); return err },
		} {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			ok(t, f())
			if st := s.Info().Status; st != catalog.Updating {
				t.Errorf("the stream is %s", st)
			}
			wantCode(t, s.SetDistribution(ctx0, true), CodeInUse, "instead in state UPDATING")
			putEach(t, s, 1, "k")
		}
		if w, have := WarmOf(s.Info()); !have || w != (WarmThroughput{100, 1}) {
			t.Error(w, have)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w, have := WarmOf(s.Info()); !have || w != (WarmThroughput{100, 100}) || s.Info().Status != catalog.Active {
			t.Error(w, have)
		}
		ok(t, e.Close())
	})
}

// TestEncryption: a record says whether it was written under a key, whatever the stream has now.
func TestEncryption(t *testing.T) {
	e := openTest(t, Options{})
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 1})
	const uuid = "12345678-1234-1234-1234-123456789012"
	putEach(t, s, 2, "k")
	ok(t, s.StopEncryption(ctx0, uuid)) // nothing to do
	ok(t, s.StartEncryption(ctx0, uuid))
	putEach(t, s, 1, "k")
	ok(t, s.StartEncryption(ctx0, "arn:aws:kms:us-east-1:000000000000:key/"+uuid)) // another key
	putEach(t, s, 2, "k")
	ok(t, s.StopEncryption(ctx0, uuid))
	putEach(t, s, 1, "k")
	ok(t, s.StartEncryption(ctx0, "alias/x"))
	putEach(t, s, 1, "k")
	var got []bool
	for _, r := range shardRecords(t, e, s, "0") {
		got = append(got, r.Encrypted)
	}
	if want := []bool{false, false, true, true, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if s.Info().Settings.KeyID != "alias/x" {
		t.Error(s.Info().Settings.KeyID)
	}
	for _, bad := range []string{"", strings.Repeat("k", maxKeyID+1)} {
		wantCode(t, s.StartEncryption(ctx0, bad), CodeInvalidArgument, "KeyId")
	}
}

func TestManyEncryptedSpans(t *testing.T) {
	e := openTest(t, Options{})
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 1})
	spans := make([]catalog.Span, catalog.MaxSpans)
	for i := range spans {
		spans[i] = catalog.Span{From: uint64(i*10 + 1<<40), To: uint64(i*10 + 5 + 1<<40)}
	}
	got := s.recent(spans)
	if len(got) != catalog.MaxSpans-1 || got[0] != (catalog.Span{From: 1 << 40, To: 1<<40 + 15}) {
		t.Error(len(got), got[0])
	}
}

func TestMetricsPoliciesAndSizes(t *testing.T) {
	e := openTest(t, Options{})
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, Shards: 1})
	before, after, err := s.SetMetrics(ctx0, 0b101, true)
	if before != 0 || after != 0b101 || err != nil {
		t.Error(before, after, err)
	}
	before, after, err = s.SetMetrics(ctx0, 0b110, false)
	if before != 0b101 || after != 0b001 || err != nil {
		t.Error(before, after, err)
	}
	self := PolicyHolder{}
	if had, err := s.DeletePolicy(ctx0, self); had || err != nil {
		t.Error(had, err)
	}
	for _, bad := range []string{"", "[]", "{", "x", strings.Repeat(" ", maxPolicy) + "{}"} {
		wantCode(t, s.SetPolicy(ctx0, self, bad), CodeInvalidArgument, "policy")
	}
	ok(t, s.SetPolicy(ctx0, self, `{"a":1}`))
	ok(t, s.SetPolicy(ctx0, self, `{"a":2}`))
	if p, have, err := s.Policy(self); !have || err != nil || p != `{"a":2}` {
		t.Error(p, have, err)
	}
	c, err := s.RegisterConsumer(ctx0, "c", nil)
	ok(t, err)
	holder := PolicyHolder{c.Name, c.Created}
	ok(t, s.SetPolicy(ctx0, holder, `{"c":1}`))
	if p, have, err := s.Policy(holder); !have || err != nil || p != `{"c":1}` {
		t.Error(p, have, err)
	}
	wantCode(t, s.SetPolicy(ctx0, PolicyHolder{"d", 1}, "{}"), CodeNotFound, "Consumer d")
	ok(t, s.DeregisterConsumer(ctx0, c.Name, c.Created))
	_, _, err = s.Policy(holder)
	wantCode(t, err, CodeNotFound, "Consumer c")
	if had, err := s.DeletePolicy(ctx0, self); !had || err != nil || s.Info().Settings.Policies != nil {
		t.Error(had, err, s.Info().Settings.Policies)
	}
	big := []Record{{Key: []byte("k"), Data: make([]byte, DefaultRecordBytes)}}
	wantCode(t, s.Append(ctx0, big, LevelMem, make([]Appended, 1)), CodeValidation, "1048576")
	ok(t, s.SetMaxRecordBytes(ctx0, MaxRecordBytes))
	ok(t, s.Append(ctx0, big, LevelMem, make([]Appended, 1)))
	wantCode(t, s.SetMaxRecordBytes(ctx0, MaxRecordBytes+1), CodeInvalidArgument, "[1024, 10240]")
}

// TestDistribution: AUTO deals records out evenly whatever their keys, returns the keys, and takes records without one.
func TestDistribution(t *testing.T) {
	e := openTest(t, Options{})
	p := createWith(t, e, CreateStream{Name: Name{Stream: "p"}, Shards: 1})
	wantCode(t, p.SetDistribution(ctx0, true), CodeInvalidArgument, "AUTO")
	wantCode(t, e.CreateStream(ctx0, CreateStream{Name: Name{Stream: "q"}, Shards: 1, Auto: true}), CodeInvalidArgument, "AUTO")
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, OnDemand: true})
	if got := putEach(t, s, 8, "k"); len(got) != 1 {
		t.Errorf("one key on %d shards", len(got))
	}
	wantCode(t, s.Append(ctx0, []Record{{}}, LevelMem, make([]Appended, 1)), CodeValidation, "partitionKey")
	ok(t, s.SetDistribution(ctx0, true))
	for shard, n := range putEach(t, s, 80, "auto") {
		if n != 20 {
			t.Errorf("shard %d has %d of 80 records", shard, n)
		}
	}
	recs, out, counts := make([]Record, 100), make([]Appended, 100), map[uint32]int{}
	ok(t, s.Append(ctx0, recs, LevelMem, out))
	for i := range out {
		counts[out[i].Shard]++
	}
	if len(counts) != 4 || counts[0] != 25 {
		t.Errorf("%v", counts)
	}
	for _, r := range shardRecords(t, e, s, "3") {
		if k := string(r.Key); k != "auto" && k != "k" && k != "" {
			t.Errorf("key %q", k)
		}
	}
}

func TestCommitment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := Open(Options{})
		ok(t, err)
		ok(t, e.CreateStream(ctx0, CreateStream{Name: Name{Stream: "s"}, OnDemand: true}))
		s, err := e.Stream(Name{Stream: "s"})
		ok(t, err)
		_, err = s.SetWarmThroughput(ctx0, 10)
		wantCode(t, err, CodeValidation, "MinimumThroughputBillingCommitment is not enabled")
		start := time.Now()
		c, err := e.SetCommitment(ctx0, "", "", true)
		if err != nil || !c.Active || c.Ending || !c.Started.Equal(start) || !c.Earliest.Equal(start.Add(MinCommitment)) {
			t.Error(c, err)
		}
		_, err = s.SetWarmThroughput(ctx0, maxWarmMiBps+1)
		wantCode(t, err, CodeLimitExceeded, "10240")
		if w, err := s.SetWarmThroughput(ctx0, 10); err != nil || w != (WarmThroughput{10, 4}) {
			t.Error(w, err)
		}
		time.Sleep(time.Hour)
		if c, err = e.SetCommitment(ctx0, "", "", false); err != nil || !c.Active || !c.Ending || !c.Ended.Equal(start.Add(MinCommitment)) {
			t.Error(c, err)
		}
		if c = e.Commitment("", "eu-west-1"); c != (Commitment{}) {
			t.Error("another region", c)
		}
		time.Sleep(MinCommitment)
		if c = e.Commitment("", ""); c.Active || c.Ending {
			t.Error(c)
		}
		ok(t, e.Close())
	})
}

// TestSettingsReopen: all of it survives a crash of the process.
func TestSettingsReopen(t *testing.T) {
	disk := vfs.NewMem(0)
	e := openTest(t, Options{FS: disk, Dir: "data"})
	s := createWith(t, e, CreateStream{Name: Name{Stream: "s"}, OnDemand: true})
	_, err := e.SetCommitment(ctx0, "", "", true)
	ok(t, err)
	ok(t, s.StartEncryption(ctx0, "alias/x"))
	ok(t, s.SetPolicy(ctx0, PolicyHolder{}, "{}"))
	ok(t, s.SetDistribution(ctx0, true))
	_, _, err = s.SetMetrics(ctx0, 0x7f, true)
	ok(t, err)
	_, err = s.SetWarmThroughput(ctx0, 33)
	ok(t, err)
	want := s.Info().Settings
	again := openTest(t, Options{FS: disk.KillClone(), Dir: "data"})
	s, err = again.Stream(Name{Stream: "s"})
	ok(t, err)
	if got := s.Info().Settings; fmt.Sprint(got) != fmt.Sprint(want) || !again.Commitment("", "").Active {
		t.Errorf("%+v, want %+v", got, want)
	}
}

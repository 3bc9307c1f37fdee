package catalog

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/internal/vfs"
)

func someSettings(n int) Settings {
	return Settings{
		KeyID: "alias/aws/kinesis", Encrypted: []Span{{96, 4096}, {8192 + uint64(n), 0}}, Metrics: 0x7f, Auto: true, WarmMiBps: 100 + n,
		ModeChanges: []int64{1_700_000_000, 1_700_000_100},
		Policies:    map[string]string{"": `{"Version":"2012-10-17"}`, "consumer/c:1700000000": "{}"},
	}
}

// TestSettingsGolden: the bytes of changes 9 and 10 never change.
func TestSettingsGolden(t *testing.T) {
	log := appendHeader(nil, header{roleLog, 5, 0x1122334455667788})
	with := goldenState().streams[3].Clone()
	with.Settings = someSettings(0)
	account := AccountInfo{
		Place: Place{"123456789012", "eu-central-1"}, Committed: true, Started: time.Unix(1_700_000_000, 7), Ended: time.Unix(1_600_000_000, 0),
	}
	for _, body := range []func([]byte) []byte{
		func(b []byte) []byte { return diff(b, goldenState().streams[3], with) },
		func(b []byte) []byte { return appendAccount(b, &account) },
	} {
		at := len(log)
		var err error
		log, err = endEntry(body(beginEntry(log)), at, int64(at), 0x1122334455667788)
		must(t, err)
	}
	want := golden(t, "settings-v1", log)
	if !bytes.Equal(log, want) {
		t.Fatal("settings are not written as they were")
	}
	st := goldenState()
	end, err := st.replay(want, "log", 0x1122334455667788)
	if err != nil || end != int64(len(want)) {
		t.Fatal(end, err)
	}
	if d := cmp.Diff(with, st.streams[3]); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff(account, st.accounts[account.Place]); d != "" {
		t.Fatal(d)
	}
}

// TestSettingsSurvive: settings of streams and accounts are there after a reopen, from the log and from a snapshot, and
// a change of the stream itself keeps them.
func TestSettingsSurvive(t *testing.T) {
	for _, compactAt := range []int64{1, 1 << 20} {
		disk := vfs.NewMem(0)
		c, err := Open(Options{FS: disk, Dir: "data/catalog", CompactAt: compactAt})
		must(t, err)
		s := newStream(c, "a", 2)
		s.Settings = someSettings(3)
		must(t, c.Put(s))
		s = s.Clone()
		s.RetentionHours = 100
		must(t, c.Put(s))
		a := AccountInfo{Place: Place{"000000000000", "us-east-1"}, Committed: true, Started: time.Unix(1_700_000_000, 1)}
		must(t, c.PutAccount(a))
		for i := range 40 { // several compactions at the smaller limit
			b := a
			b.Place.Region = strings.Repeat("x", i+1)
			must(t, c.PutAccount(b))
		}
		must(t, c.Close())
		c = openTest(t, disk)
		if d := cmp.Diff(s, c.Get(s.Name)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(a, c.Account(a.Place)); d != "" {
			t.Error(d)
		}
		if got := c.Account(Place{"1", "2"}); got != (AccountInfo{Place: Place{"1", "2"}}) {
			t.Error(got)
		}
	}
}

func TestSettingsLimits(t *testing.T) {
	c, err := Open(Options{})
	must(t, err)
	for _, change := range []func(*Settings){
		func(s *Settings) { s.KeyID = strings.Repeat("k", maxKeyID+1) },
		func(s *Settings) { s.Encrypted = make([]Span, MaxSpans+1) },
		func(s *Settings) { s.ModeChanges = make([]int64, maxChanges+1) },
		func(s *Settings) { s.WarmMiBps = -1 },
		func(s *Settings) { s.Policies = map[string]string{"": strings.Repeat("p", maxPolicy+1)} },
	} {
		s := newStream(c, "a", 1)
		change(&s.Settings)
		if err := c.Put(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v", err)
		}
	}
	if err := c.PutAccount(AccountInfo{Place: Place{Region: strings.Repeat("r", maxString+1)}}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestEncryptedAt(t *testing.T) {
	s := Settings{Encrypted: []Span{{10, 20}, {30, 0}}}
	for position, want := range map[uint64]bool{0: false, 9: false, 10: true, 19: true, 20: false, 29: false, 30: true, 1 << 40: true} {
		if s.EncryptedAt(position) != want {
			t.Errorf("%d: %v", position, !want)
		}
	}
}

package catalog

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"time"
)

const (
	// maxKeyID and maxPolicy bound a KMS key id and a resource policy, in bytes. The API stops at 2,048 and 20,480.
	maxKeyID  = 8 << 10
	maxPolicy = 64 << 10
	// maxPolicies bounds the policies of one stream: its own and those of its consumers.
	maxPolicies = 1 << 10
	// MaxSpans bounds the spans of encrypted records that a stream remembers.
	MaxSpans = 1 << 10
	// maxChanges bounds the mode changes that a stream remembers.
	maxChanges = 16
	// maxAccounts bounds the accounts with settings of their own.
	maxAccounts = 1 << 16
)

// Settings are what control operations switch on a stream beside its shards and tags. The zero value is a new stream's.
type Settings struct {
	KeyID       string            // KMS key the records are said to be encrypted with, as it was given; empty: none
	Encrypted   []Span            // lane positions of records that were written under a key, ascending; the last may be open
	Metrics     uint8             // shard-level metrics switched on, one bit each
	Auto        bool              // records are spread over the shards whatever their keys
	WarmMiBps   int               // warm throughput asked for; 0: never
	ModeChanges []int64           // when the capacity mode was changed of late, seconds since 1970
	Policies    map[string]string // resource policies; "" is the stream's own, "consumer/..." a consumer's; nil: none
}

// Span is lane positions [From, To); To 0 means that it goes on.
type Span struct{ From, To uint64 }

// EncryptedAt tells whether a record at that lane position was written while the stream had a key.
func (s *Settings) EncryptedAt(position uint64) bool {
	for i := len(s.Encrypted) - 1; i >= 0; i-- {
		if p := s.Encrypted[i]; position >= p.From {
			return p.To == 0 || position < p.To
		}
	}
	return false
}

// clone is a copy that shares nothing with s.
func (s *Settings) clone() Settings {
	c := *s
	c.Encrypted = slices.Clone(s.Encrypted)
	c.ModeChanges = slices.Clone(s.ModeChanges)
	c.Policies = maps.Clone(s.Policies)
	return c
}

func (s *Settings) equal(o *Settings) bool {
	return s.KeyID == o.KeyID && s.Metrics == o.Metrics && s.Auto == o.Auto && s.WarmMiBps == o.WarmMiBps &&
		slices.Equal(s.Encrypted, o.Encrypted) && slices.Equal(s.ModeChanges, o.ModeChanges) && maps.Equal(s.Policies, o.Policies)
}

// wrong tells what does not fit the file, "" where all does.
func (s *Settings) wrong() string {
	switch {
	case len(s.KeyID) > maxKeyID:
		return "key id too long"
	case len(s.Encrypted) > MaxSpans:
		return "too many encrypted spans"
	case len(s.ModeChanges) > maxChanges:
		return "too many mode changes"
	case len(s.Policies) > maxPolicies:
		return "too many policies"
	case s.WarmMiBps < 0 || s.WarmMiBps > math.MaxInt32:
		return "warm throughput"
	}
	for k, v := range s.Policies {
		if len(k) > maxString || len(v) > maxPolicy {
			return "policy too long"
		}
	}
	return ""
}

func appendSettings(dst []byte, id uint32, s *Settings) []byte {
	return appendChange(dst, kindSettings, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(id))
		flags := byte(0)
		if s.Auto {
			flags |= 1
		}
		b = append(b, flags, s.Metrics)
		b = binary.AppendUvarint(b, uint64(s.WarmMiBps))
		b = appendString(b, s.KeyID)
		b = binary.AppendUvarint(b, uint64(len(s.Encrypted)))
		for _, p := range s.Encrypted {
			b = binary.AppendUvarint(binary.AppendUvarint(b, p.From), p.To)
		}
		b = binary.AppendUvarint(b, uint64(len(s.ModeChanges)))
		for _, sec := range s.ModeChanges {
			b = binary.AppendVarint(b, sec)
		}
		b = binary.AppendUvarint(b, uint64(len(s.Policies)))
		for _, k := range slices.Sorted(maps.Keys(s.Policies)) {
			b = appendString(appendString(b, k), s.Policies[k])
		}
		return b
	})
}

func (st *state) putSettings(d *decoder) {
	stream := st.stream(d)
	var s Settings
	s.Auto = d.byte("flags", 1) == 1
	s.Metrics = d.byte("metrics", math.MaxUint8)
	s.WarmMiBps = int(d.uvarint("warm throughput", math.MaxInt32))
	s.KeyID = d.string("key id", maxKeyID)
	for range d.uvarint("encrypted spans", MaxSpans) {
		s.Encrypted = append(s.Encrypted, Span{d.uvarint("span", math.MaxUint64), d.uvarint("span", math.MaxUint64)})
		if d.bad != "" {
			return
		}
	}
	for range d.uvarint("mode changes", maxChanges) {
		s.ModeChanges = append(s.ModeChanges, d.varint("mode change"))
	}
	for range d.uvarint("policies", maxPolicies) {
		k := d.string("policy resource", maxString)
		text := d.string("policy", maxPolicy)
		if d.bad != "" {
			return
		}
		if s.Policies == nil {
			s.Policies = map[string]string{}
		}
		s.Policies[k] = text
	}
	if d.bad == "" {
		stream.Settings = s
	}
}

// Place is an account in a region: what account settings belong to.
type Place struct{ Account, Region string }

// AccountInfo is what an account has set for a region. Values handed out are copies.
type AccountInfo struct {
	Place     Place
	Committed bool      // to a minimum throughput
	Started   time.Time // of the last commitment; zero: there never was one
	Ended     time.Time // of the last commitment; zero: it goes on, or there never was one
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func appendAccount(dst []byte, a *AccountInfo) []byte {
	return appendChange(dst, kindAccount, func(b []byte) []byte {
		b = appendString(appendString(b, a.Place.Account), a.Place.Region)
		flags := byte(0)
		if a.Committed {
			flags |= 1
		}
		b = append(b, flags)
		return binary.AppendVarint(binary.AppendVarint(b, nanos(a.Started)), nanos(a.Ended))
	})
}

func (st *state) putAccount(d *decoder) {
	var a AccountInfo
	a.Place.Account = d.string("account", maxString)
	a.Place.Region = d.string("region", maxString)
	a.Committed = d.byte("flags", 1) == 1
	a.Started = fromNanos(d.varint("started"))
	a.Ended = fromNanos(d.varint("ended"))
	if d.bad == "" {
		st.accounts[a.Place] = a
	}
}

// sortedAccounts returns the accounts by name, so that equal states give equal snapshots.
func (st *state) sortedAccounts() []AccountInfo {
	out := slices.Collect(maps.Values(st.accounts))
	slices.SortFunc(out, func(a, b AccountInfo) int {
		return slices.Compare([]string{a.Place.Account, a.Place.Region}, []string{b.Place.Account, b.Place.Region})
	})
	return out
}

// Account returns what an account has set for a region; the zero settings where it never set any.
func (c *Catalog) Account(p Place) AccountInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.st.accounts[p]; ok {
		return a
	}
	return AccountInfo{Place: p}
}

// PutAccount replaces the settings of an account and returns once that is durable. ErrTooLarge: too many accounts have
// settings, or a name is too long.
func (c *Catalog) PutAccount(a AccountInfo) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	_, known := c.st.accounts[a.Place]
	if !known && len(c.st.accounts) >= maxAccounts || len(a.Place.Account) > maxString || len(a.Place.Region) > maxString {
		return ErrTooLarge
	}
	if err := c.commitLocked(func(b []byte) []byte { return appendAccount(b, &a) }); err != nil {
		return err
	}
	c.st.accounts[a.Place] = a
	c.compactLocked()
	return nil
}

package catalog

import (
	"encoding/binary"
	"maps"
	"slices"
	"sort"
)

// MaxConsumers bounds the consumers of one stream. The API stops at 20, or 50 for some accounts.
const MaxConsumers = 1 << 10

// consumerMinLen is what a consumer takes in a change at least.
const consumerMinLen = 1 + 1 + 1 + 1

// ConsumerInfo is one consumer registered with a stream. Name and Created together are its identity: a consumer that is
// registered again is another one.
type ConsumerInfo struct {
	Name    string
	Created int64  // seconds since 1970
	Status  Status // Creating, Active or Deleting
	Tags    map[string]string
}

// Consumer returns the consumer of that name, nil where there is none. It aliases s.
func (s *StreamInfo) Consumer(name string) *ConsumerInfo {
	if i, ok := s.findConsumer(name); ok {
		return &s.Consumers[i]
	}
	return nil
}

// SetConsumer adds a consumer or replaces the one of its name. Only for a stream of the caller's own, see Clone.
func (s *StreamInfo) SetConsumer(c ConsumerInfo) {
	if i, ok := s.findConsumer(c.Name); ok {
		s.Consumers[i] = c
	} else {
		s.Consumers = slices.Insert(s.Consumers, i, c)
	}
}

// DropConsumer forgets the consumer of that name, if there is one. Only for a stream of the caller's own, see Clone.
func (s *StreamInfo) DropConsumer(name string) {
	i, ok := s.findConsumer(name)
	switch {
	case ok && len(s.Consumers) == 1:
		s.Consumers = nil // as a stream is read that never had one
	case ok:
		s.Consumers = slices.Delete(s.Consumers, i, i+1)
	}
}

func (s *StreamInfo) findConsumer(name string) (int, bool) {
	i := sort.Search(len(s.Consumers), func(i int) bool { return s.Consumers[i].Name >= name })
	return i, i < len(s.Consumers) && s.Consumers[i].Name == name
}

func cloneConsumers(list []ConsumerInfo) []ConsumerInfo {
	list = slices.Clone(list)
	for i := range list {
		list[i].Tags = maps.Clone(list[i].Tags)
	}
	return list
}

func equalConsumers(a, b []ConsumerInfo) bool {
	return slices.EqualFunc(a, b, func(x, y ConsumerInfo) bool {
		return x.Name == y.Name && x.Created == y.Created && x.Status == y.Status && maps.Equal(x.Tags, y.Tags)
	})
}

// wrongConsumers tells what does not fit the file, "" where all does.
func wrongConsumers(list []ConsumerInfo) string {
	if len(list) > MaxConsumers {
		return "too many consumers"
	}
	for i := range list {
		c := &list[i]
		switch {
		case c.Name == "" || len(c.Name) > maxString:
			return "consumer name"
		case i > 0 && list[i-1].Name >= c.Name:
			return "consumers out of order"
		case c.Status != Creating && c.Status != Active && c.Status != Deleting:
			return "consumer status"
		case len(c.Tags) > maxTags:
			return "too many tags of a consumer"
		}
		for k, v := range c.Tags {
			if len(k) > maxTagBytes || len(v) > maxTagBytes {
				return "consumer tag too long"
			}
		}
	}
	return ""
}

// appendConsumers appends the change that makes s.Consumers all the consumers of the stream.
func appendConsumers(dst []byte, s *StreamInfo) []byte {
	return appendChange(dst, kindConsumers, func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(s.ID))
		b = binary.AppendUvarint(b, uint64(len(s.Consumers)))
		for i := range s.Consumers {
			c := &s.Consumers[i]
			b = appendString(b, c.Name)
			b = binary.AppendVarint(b, c.Created)
			b = append(b, statusCode(c.Status))
			b = binary.AppendUvarint(b, uint64(len(c.Tags)))
			for _, k := range slices.Sorted(maps.Keys(c.Tags)) {
				b = appendString(appendString(b, k), c.Tags[k])
			}
		}
		return b
	})
}

func (st *state) putConsumers(d *decoder) {
	s := st.stream(d)
	var list []ConsumerInfo
	for range d.count("consumers", consumerMinLen) {
		c := ConsumerInfo{Name: d.string("consumer name", maxString), Created: d.varint("consumer created")}
		c.Status = statusOf(d.byte("consumer status", 4))
		for range d.uvarint("consumer tags", maxTags) {
			k := d.string("tag key", maxTagBytes)
			v := d.string("tag value", maxTagBytes)
			if d.bad != "" {
				return
			}
			if c.Tags == nil {
				c.Tags = map[string]string{}
			}
			c.Tags[k] = v
		}
		list = append(list, c)
		if d.bad != "" || len(list) > MaxConsumers {
			break
		}
	}
	if bad := wrongConsumers(list); bad != "" {
		d.fail(bad)
	}
	if d.bad == "" {
		s.Consumers = list
	}
}

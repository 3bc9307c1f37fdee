package engine

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
)

// maxPolicy is how long a resource policy may be, in bytes.
const maxPolicy = 20 << 10

// PolicyHolder is what a resource policy belongs to: a stream, or one of its consumers.
type PolicyHolder struct {
	Consumer string // empty: the stream itself
	Created  int64  // of the consumer, seconds since 1970
}

// key is what the policy is kept under.
func (h PolicyHolder) key() string {
	if h.Consumer == "" {
		return ""
	}
	return "consumer/" + h.Consumer + ":" + strconv.FormatInt(h.Created, 10)
}

// SetPolicy attaches a policy or replaces the one there is: PutResourcePolicy. The policy is kept and returned; nothing
// acts on it here. CodeInvalidArgument: the text is no JSON object, or longer than 20 KiB; CodeNotFound: no such consumer.
func (s *Stream) SetPolicy(_ context.Context, h PolicyHolder, policy string) error {
	if len(policy) > maxPolicy {
		return newError(CodeInvalidArgument, "The policy is longer than %d bytes.", maxPolicy)
	}
	if !strings.HasPrefix(strings.TrimLeft(policy, " \t\r\n"), "{") || !json.Valid([]byte(policy)) {
		return newError(CodeInvalidArgument, "The policy is not a valid JSON document.")
	}
	_, err := s.setPolicy(h, &policy)
	return err
}

// DeletePolicy takes the policy away again: DeleteResourcePolicy. It tells whether there was one. CodeNotFound: no such
// consumer.
func (s *Stream) DeletePolicy(_ context.Context, h PolicyHolder) (had bool, err error) {
	return s.setPolicy(h, nil)
}

// Policy returns the policy of the stream or of one of its consumers; ok tells whether there is one. CodeNotFound: no such
// consumer.
func (s *Stream) Policy(h PolicyHolder) (policy string, ok bool, err error) {
	info, gone := s.exists()
	if gone != nil {
		return "", false, gone
	}
	if err := s.holds(info, h); err != nil {
		return "", false, err
	}
	policy, ok = info.Settings.Policies[h.key()]
	return policy, ok, nil
}

// holds refuses a consumer that is not there.
func (s *Stream) holds(info *StreamInfo, h PolicyHolder) *Error {
	if h.Consumer == "" {
		return nil
	}
	_, err := s.findConsumer(info, h.Consumer, h.Created)
	return err
}

// setPolicy works in any state of the stream; nil takes the policy away. Policies of consumers that are gone go with the
// next change.
func (s *Stream) setPolicy(h PolicyHolder, policy *string) (had bool, err error) {
	s.control.Lock()
	defer s.control.Unlock()
	info, refused := s.exists()
	if refused == nil {
		refused = s.e.failed.Load()
	}
	if refused == nil {
		refused = s.holds(info, h)
	}
	if refused != nil {
		return false, refused
	}
	next := info.Clone()
	set := &next.Settings
	if _, had = set.Policies[h.key()]; !had && policy == nil {
		return false, nil
	}
	kept := map[string]string{}
	for i := range info.Consumers {
		k := PolicyHolder{info.Consumers[i].Name, info.Consumers[i].Created}.key()
		if text, ok := set.Policies[k]; ok {
			kept[k] = text
		}
	}
	if text, ok := set.Policies[""]; ok {
		kept[""] = text
	}
	if delete(kept, h.key()); policy != nil {
		kept[h.key()] = *policy
	}
	if set.Policies = kept; len(kept) == 0 {
		set.Policies = nil
	}
	return had, asError(s.commit(next, nil))
}

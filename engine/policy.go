package engine

import (
	"context"
	"encoding/json"
	"strings"
)

// maxPolicy is how long a resource policy may be, in bytes.
const maxPolicy = 20 << 10

// SetPolicy attaches a policy to the stream, or replaces the one it has: PutResourcePolicy. resource is empty for the
// stream itself and "consumer/..." for one of its consumers. The policy is kept and returned; nothing acts on it here.
// CodeInvalidArgument: the text is no JSON object, or longer than 20 KiB.
func (s *Stream) SetPolicy(_ context.Context, resource, policy string) error {
	if len(policy) > maxPolicy {
		return newError(CodeInvalidArgument, "The policy is longer than %d bytes.", maxPolicy)
	}
	if !strings.HasPrefix(strings.TrimLeft(policy, " \t\r\n"), "{") || !json.Valid([]byte(policy)) {
		return newError(CodeInvalidArgument, "The policy is not a valid JSON document.")
	}
	return s.setPolicy(resource, &policy)
}

// DeletePolicy takes the policy away again: DeleteResourcePolicy. CodeNotFound where there is none.
func (s *Stream) DeletePolicy(_ context.Context, resource string) error {
	return s.setPolicy(resource, nil)
}

// Policy returns the policy of the stream or of one of its consumers; ok tells whether there is one.
func (s *Stream) Policy(resource string) (policy string, ok bool) {
	policy, ok = s.Info().Settings.Policies[resource]
	return policy, ok
}

// setPolicy works in any state of the stream; nil takes the policy away.
func (s *Stream) setPolicy(resource string, policy *string) error {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err == nil {
		err = s.e.failed.Load()
	}
	if err != nil {
		return err
	}
	next := info.Clone()
	set := &next.Settings
	if policy == nil {
		if _, ok := set.Policies[resource]; !ok {
			return newError(CodeNotFound, "No resource policy found for stream %s under account %s.", s.name.Stream, s.name.Account)
		}
		if delete(set.Policies, resource); len(set.Policies) == 0 {
			set.Policies = nil
		}
		return asError(s.commit(next, nil))
	}
	if set.Policies == nil {
		set.Policies = map[string]string{}
	}
	set.Policies[resource] = *policy
	return asError(s.commit(next, nil))
}

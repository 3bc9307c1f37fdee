package engine

import (
	"context"
	"maps"
	"regexp"
	"strings"
)

// maxTags is how many tags a stream may have.
const maxTags = 50

// tagCharacters is what the Kinesis API takes in keys and values: AddTagsToStream lets % through its first check only to
// refuse it in the second.
var tagCharacters = regexp.MustCompile(`^[\x{00C0}-\x{1FFF}\x{2C00}-\x{D7FF}0-9A-Za-z_./=+ @%-]*$`)

// newTagCharacters are those of CreateStream and TagResource, which have the colon too.
var newTagCharacters = regexp.MustCompile(`^[\x{00C0}-\x{1FFF}\x{2C00}-\x{D7FF}0-9A-Za-z_./=+ @:-]*$`)

// SetTags adds or overwrites tags and removes others: AddTagsToStream and RemoveTagsFromStream.
func (s *Stream) SetTags(_ context.Context, add map[string]string, remove []string) error {
	return s.setTags(add, remove, func() *Error { return checkTags(s.name, add, remove) })
}

// SetResourceTags is SetTags with the characters of TagResource and UntagResource, which take the colon.
func (s *Stream) SetResourceTags(_ context.Context, add map[string]string, remove []string) error {
	return s.setTags(add, remove, func() *Error {
		if err := checkNewTags(s.name, add); err != nil {
			return err
		}
		for _, k := range remove {
			if err := checkNewTags(s.name, map[string]string{k: ""}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Stream) setTags(add map[string]string, remove []string, check func() *Error) error {
	s.control.Lock()
	defer s.control.Unlock()
	info, err := s.exists()
	if err != nil {
		return err
	}
	if err := check(); err != nil {
		return err
	}
	next := info.Clone()
	if next.Tags == nil {
		next.Tags = map[string]string{}
	}
	for _, k := range remove {
		delete(next.Tags, k)
	}
	maps.Copy(next.Tags, add)
	if len(next.Tags) > maxTags && len(add) > 0 {
		return tooManyTags(s.name)
	}
	if err := s.e.failed.Load(); err != nil {
		return err
	}
	return asError(s.commit(next, nil))
}

// tooManyTags still says 10, as AWS does.
func tooManyTags(n Name) *Error {
	return newError(CodeInvalidArgument, "Failed to add tags to stream %s under account %s because a given stream cannot have more than 10 tags associated with it.",
		n.Stream, n.Account)
}

func checkTags(n Name, add map[string]string, remove []string) *Error {
	percent, verb := false, "remove tags from"
	check := func(text string) bool {
		percent = percent || strings.Contains(text, "%")
		return tagCharacters.MatchString(text)
	}
	ok := true
	for k, v := range add {
		ok = check(k) && check(v) && ok
		verb = "add tags to"
	}
	for _, k := range remove {
		ok = check(k) && ok
	}
	if !ok {
		return newError(CodeInvalidArgument, "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - %% @.")
	}
	if percent {
		return newError(CodeInvalidArgument, "Failed to %s stream %s under account %s because some tags contained illegal characters. "+
			"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.", verb, n.Stream, n.Account)
	}
	return nil
}

// checkNewTags checks the tags of a stream to be.
func checkNewTags(n Name, tags map[string]string) *Error {
	if len(tags) > maxTags {
		return tooManyTags(n)
	}
	for k, v := range tags {
		if !newTagCharacters.MatchString(k) || !newTagCharacters.MatchString(v) {
			return newError(CodeInvalidArgument, "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . : / = + - @.")
		}
	}
	return nil
}

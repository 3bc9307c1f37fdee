package engine

import (
	"context"

	"github.com/shardmill/shardmill/engine/catalog"
)

// maxKeyID bounds the name of a KMS key, in bytes: 2,048 characters.
const maxKeyID = 8 << 10

// StartEncryption notes that records are encrypted with a KMS key from now on: StartStreamEncryption. Nothing is
// encrypted: the key is kept and returned, and records written from now on say so. Any key is taken to exist. With Options.Transition the stream is UPDATING for that long afterwards.
//
// Errors: CodeInUse where the stream is not ACTIVE, CodeInvalidArgument where keyID is empty or too long.
func (s *Stream) StartEncryption(_ context.Context, keyID string) error {
	if err := checkKey(keyID); err != nil {
		return err
	}
	_, err := s.change(true, func(next *StreamInfo) (bool, *Error) {
		set := &next.Settings
		if set.KeyID == keyID {
			return false, nil
		}
		if set.KeyID == "" {
			set.Encrypted = append(s.recent(set.Encrypted), catalog.Span{From: s.e.lane.Watermarks().Published})
		}
		set.KeyID = keyID
		return true, nil
	})
	return err
}

// StopEncryption ends what StartEncryption began: StopStreamEncryption. Records written in between keep saying that they
// are encrypted. Where there is no key it does nothing.
func (s *Stream) StopEncryption(_ context.Context, keyID string) error {
	if err := checkKey(keyID); err != nil {
		return err
	}
	_, err := s.change(true, func(next *StreamInfo) (bool, *Error) {
		set := &next.Settings
		if set.KeyID == "" {
			return false, nil
		}
		set.KeyID = ""
		last := &set.Encrypted[len(set.Encrypted)-1]
		last.To = max(s.e.lane.Watermarks().Published, last.From+1)
		return true, nil
	})
	return err
}

// recent drops spans of which no record is left, and joins the oldest two where there would be too many.
func (s *Stream) recent(spans []catalog.Span) []catalog.Span {
	horizon := s.e.lane.Horizon()
	for len(spans) > 0 && spans[0].To != 0 && spans[0].To <= horizon {
		spans = spans[1:]
	}
	if len(spans) == catalog.MaxSpans {
		spans[1].From = spans[0].From
		spans = spans[1:]
	}
	return spans
}

func checkKey(keyID string) *Error {
	if keyID == "" || len(keyID) > maxKeyID {
		return newError(CodeInvalidArgument, "KeyId must have between 1 and %d characters.", maxKeyID)
	}
	return nil
}

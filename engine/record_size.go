package engine

import "context"

// SetMaxRecordBytes changes how large data and key of a record may be: UpdateMaxRecordSize. Records that are there stay.
// CodeInUse where the stream is not ACTIVE, CodeInvalidArgument outside 1 to 10 MiB.
func (s *Stream) SetMaxRecordBytes(_ context.Context, n int) error {
	if n < DefaultRecordBytes || n > MaxRecordBytes {
		return newError(CodeInvalidArgument, "MaxRecordSizeInKiB must be in the range: [%d, %d]. Specified value was %d",
			DefaultRecordBytes>>10, MaxRecordBytes>>10, n>>10)
	}
	_, err := s.change(false, func(next *StreamInfo) (bool, *Error) {
		changed := next.MaxRecordBytes != n
		next.MaxRecordBytes = n
		return changed, nil
	})
	return err
}

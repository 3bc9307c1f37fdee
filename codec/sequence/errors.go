package sequence

import "errors"

// ErrSyntax: not a sequence number of any version: not decimal, too large, or a version that never was.
var ErrSyntax = errors.New("sequence: not a sequence number")

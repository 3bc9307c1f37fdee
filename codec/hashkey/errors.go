package hashkey

import "errors"

// ErrSyntax: not a hash key in decimal, or not below 2^128. The Kinesis API writes hash keys as 0|([1-9]\d{0,38}).
var ErrSyntax = errors.New("hashkey: not a decimal number below 2^128")

package awshttp

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// appendHead writes the first byte of an item and its number in as few bytes as hold it.
func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return append(dst, major|25, byte(n>>8), byte(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

// AppendCBORMap writes the head of a map of n pairs. The functions here allocate only to grow dst.
func AppendCBORMap(dst []byte, n int) []byte { return appendHead(dst, cborMap, uint64(n)) }

// AppendCBORList writes the head of a list of n items.
func AppendCBORList(dst []byte, n int) []byte { return appendHead(dst, cborList, uint64(n)) }

// AppendCBORInt writes an integer.
func AppendCBORInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, cborNeg, uint64(-1-n))
	}
	return appendHead(dst, cborUint, uint64(n))
}

// AppendCBORTime writes milliseconds since 1970 as a time.
func AppendCBORTime(dst []byte, millis int64) []byte {
	return AppendCBORInt(appendHead(dst, cborTag, cborEpoch), millis)
}

// AppendCBORBytes writes a byte string.
func AppendCBORBytes[T string | []byte](dst []byte, s T) []byte {
	return append(appendHead(dst, cborBytes, uint64(len(s))), s...)
}

// AppendCBORText writes a text string. Invalid UTF-8 becomes U+FFFD.
func AppendCBORText[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))])) // short enough not to be copied to the heap
		if r == utf8.RuneError && n == 1 {
			return appendUnsafeText(dst, string(s))
		}
		i += n
	}
	return append(appendHead(dst, cborText, uint64(len(s))), s...)
}

func appendUnsafeText(dst []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return append(appendHead(dst, cborText, uint64(len(s))), s...)
}

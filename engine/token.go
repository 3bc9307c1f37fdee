package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/engine/catalog"
)

// A shard iterator is base64 of
//
//	8  00 00 00 00 00 00 00 01, as at AWS
//	12 nonce: 6 random bytes of this process, 6 counted up; no two tokens are equal
//	n  AES-256-GCM of the content, the first 8 bytes authenticated too; n = 4 mod 16, so that the whole is 8 mod 16 as at AWS
//	16 tag
//
// with a key that the catalog keeps, so that iterators survive a restart. The content, little endian:
//
//	u8 version 1 | i64 made, ms since 1970 | u32 stream id | u32 shard index | u64 position | u8 length, bytes of account,
//	region, name | zeros
//
// The name makes a stream that is gone nameable in the error.
const (
	tokenPrefix  = 8
	tokenNonce   = 12
	tokenTag     = 16
	tokenVersion = 1
	tokenFixed   = 1 + 8 + 4 + 4 + 8
	// maxToken bounds what is decoded, in base64: three names of 255 bytes. The API stops at 512 characters, which AWS's
	// own name lengths do not reach.
	maxToken = 1200

	// iteratorLife is how long a token can be used.
	iteratorLife = 5 * time.Minute
)

// iterator is where a reader of a shard stands.
type iterator struct {
	made     int64 // ms since 1970
	stream   uint32
	shard    uint32 // index
	position uint64 // of the next record
	name     Name
}

// sealer makes and opens tokens. Safe for concurrent use.
type sealer struct {
	aead    cipher.AEAD
	random  [tokenNonce / 2]byte
	counter atomic.Uint64
}

func newSealer(secret [catalog.SecretLen]byte) (*sealer, error) {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		return nil, fmt.Errorf("iterator key: %w", err)
	}
	s := &sealer{}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("iterator key: %w", err)
	}
	_, err = rand.Read(s.random[:])
	return s, err
}

// seal makes a token.
func (s *sealer) seal(it iterator) string {
	var space [tokenPrefix + tokenNonce + tokenFixed + 3 + 3*maxNamePart + 16 + tokenTag]byte
	b := append(space[:0], 0, 0, 0, 0, 0, 0, 0, 1)
	b = append(b, s.random[:]...)
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], s.counter.Add(1))
	b = append(b, n[:tokenNonce-len(s.random)]...)
	content := len(b)
	b = append(b, tokenVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(it.made))
	b = binary.LittleEndian.AppendUint32(b, it.stream)
	b = binary.LittleEndian.AppendUint32(b, it.shard)
	b = binary.LittleEndian.AppendUint64(b, it.position)
	for _, part := range [...]string{it.name.Account, it.name.Region, it.name.Stream} {
		part = part[:min(len(part), maxNamePart)]
		b = append(append(b, byte(len(part))), part...)
	}
	for (len(b)-content)%16 != 4 {
		b = append(b, 0)
	}
	b = s.aead.Seal(b[:content], b[tokenPrefix:content], b[content:], b[:tokenPrefix])
	return base64.StdEncoding.EncodeToString(b)
}

const maxNamePart = 255

// open reads a token that seal made, maybe wrapped in double quotes.
func (s *sealer) open(token string) (iterator, bool) {
	if n := len(token); n >= 2 && token[0] == '"' && token[n-1] == '"' {
		token = token[1 : n-1]
	}
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // base64 would skip line ends
		return iterator{}, false
	}
	var space [maxToken]byte
	b, err := base64.StdEncoding.Strict().AppendDecode(space[:0], []byte(token))
	if err != nil || len(b) < tokenPrefix+tokenNonce+tokenFixed+3+tokenTag {
		return iterator{}, false
	}
	const content = tokenPrefix + tokenNonce
	if binary.BigEndian.Uint64(b) != 1 {
		return iterator{}, false
	}
	p, err := s.aead.Open(b[content:content], b[tokenPrefix:content], b[content:], b[:tokenPrefix])
	if err != nil || p[0] != tokenVersion {
		return iterator{}, false
	}
	it := iterator{
		made:     int64(binary.LittleEndian.Uint64(p[1:])),
		stream:   binary.LittleEndian.Uint32(p[9:]),
		shard:    binary.LittleEndian.Uint32(p[13:]),
		position: binary.LittleEndian.Uint64(p[17:]),
	}
	p = p[tokenFixed:]
	for _, part := range [...]*string{&it.name.Account, &it.name.Region, &it.name.Stream} {
		if len(p) == 0 || len(p) < 1+int(p[0]) {
			return iterator{}, false
		}
		end := 1 + int(p[0])
		*part, p = string(p[1:end]), p[end:]
	}
	return it, it.shard <= math.MaxInt32
}

var errInvalidIterator = &Error{Code: CodeInvalidArgument, Message: "Invalid ShardIterator."}

// openToken reads a token and refuses one that has expired.
func (e *Engine) openToken(token string, now time.Time) (iterator, *Error) {
	it, ok := e.seal.open(token)
	if !ok {
		return it, errInvalidIterator
	}
	made := time.UnixMilli(it.made)
	if now.Sub(made) > iteratorLife {
		const form = "Mon Jan 02 15:04:05 UTC 2006"
		return it, newError(CodeExpiredIterator, "Iterator expired. The iterator was created at time %s while right now it is %s "+
			"which is further in the future than the tolerated delay of %d milliseconds.",
			made.UTC().Format(form), now.UTC().Format(form), iteratorLife.Milliseconds())
	}
	return it, nil
}

package kinesisapi

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/shardmill/shardmill/transport/awshttp"
)

// tokenLife is how long a page token is good for.
const tokenLife = 300 * time.Second

// maxToken bounds a page token before it is decoded. One holds two names of 128 characters and an ARN's worth of others.
const maxToken = 4096

// page is what a token remembers between two calls of a listing.
type page struct {
	Action  string
	Account string
	Region  string
	Stream  string       `json:",omitempty"`
	After   string       // last name or shard id of the page before
	Filter  *ShardFilter `json:",omitempty"`
	Expires int64        // milliseconds since 1970
}

// tokenSealer makes and reads page tokens. Its key lives as long as the process: a token is good for minutes only.
type tokenSealer struct{ aead cipher.AEAD }

func (t *tokenSealer) init() error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	t.aead, err = cipher.NewGCMWithRandomNonce(block)
	return err
}

func (t *tokenSealer) seal(p page) (string, error) {
	p.Expires = time.Now().Add(tokenLife).UnixMilli()
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(t.aead.Seal(nil, nil, text, nil)), nil
}

// open reads a token of one action; a caller of another account or region cannot use it.
func (t *tokenSealer) open(c *awshttp.Call, action, token string) (page, error) {
	var p page
	bad := invalidArgument("NextToken is invalid.")
	if len(token) > maxToken {
		return p, bad
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return p, bad
	}
	text, err := t.aead.Open(nil, nil, raw, nil)
	if err != nil || json.Unmarshal(text, &p) != nil || p.Action != action || p.Account != c.Account || p.Region != c.Region {
		return p, bad
	}
	if time.Now().UnixMilli() > p.Expires {
		return p, &awshttp.Error{Type: "ExpiredNextTokenException", Message: "NextToken has expired."}
	}
	return p, nil
}

package frame

import (
	"crypto/hmac"
	"crypto/sha256"
)

const (
	// MaxName bounds the client's name in HELLO, in bytes.
	MaxName = 128
	// NonceLen is the length of the server's challenge.
	NonceLen = 32
	// MaxAccessKey bounds an access key id, in bytes (the AWS limit).
	MaxAccessKey = 128
	// MACLen is the length of the answer to the challenge.
	MACLen = sha256.Size
)

// Hello opens a session. Body:
//
//	u16 minVersion | u16 maxVersion | u32 zero | u64 features | u32 maxFrame | u32 credit | u16 length | name
type Hello struct {
	MinVersion, MaxVersion uint16
	Features               uint64 // bits the client knows; none are defined yet
	MaxFrame               uint32 // largest len field the client takes
	Credit                 uint32 // bytes of PRODUCE frames the client would like in flight; 0 leaves it to the server
	Name                   []byte // aliases the frame
}

// AppendHello appends a whole HELLO request.
func AppendHello(dst []byte, corr uint32, h *Hello) []byte {
	start := len(dst)
	name := h.Name
	if len(name) > MaxName {
		name = name[:MaxName]
	}
	dst = AppendHeader(dst, OpHello, 0, corr, 0, 0)
	dst = appendU16(dst, h.MinVersion)
	dst = appendU16(dst, h.MaxVersion)
	dst = appendU32(dst, 0)
	dst = appendU64(dst, h.Features)
	dst = appendU32(dst, h.MaxFrame)
	dst = appendU32(dst, h.Credit)
	dst = appendU16(dst, uint16(len(name)))
	return End(append(dst, name...), start)
}

// DecodeHello reads the body of a HELLO request.
func DecodeHello(body []byte) (Hello, error) {
	r := reader{b: body}
	h := Hello{MinVersion: r.u16(), MaxVersion: r.u16()}
	r.zero(4)
	h.Features, h.MaxFrame, h.Credit = r.u64(), r.u32(), r.u32()
	h.Name = r.bytes(int(r.u16()), MaxName)
	return h, r.end(OpHello)
}

// Welcome answers HELLO. Body:
//
//	u16 version | u8 authRequired | u8 zero | u32 maxFrame | u64 features | u64 producerID | u32 credit | u32 zero | nonce[32]
type Welcome struct {
	Version      uint16
	AuthRequired bool
	MaxFrame     uint32 // largest len field the server takes on this session once it is authenticated
	Features     uint64
	ProducerID   uint64 // unique among the sessions of this server's life
	Credit       uint32 // bytes of PRODUCE frames (whole frames) the client may have in flight
	Nonce        [NonceLen]byte
}

// AppendWelcome appends a whole HELLO response.
func AppendWelcome(dst []byte, corr uint32, w *Welcome) []byte {
	start := len(dst)
	dst = AppendHeader(dst, OpHello, FlagResponse, corr, 0, 0)
	dst = appendU16(dst, w.Version)
	dst = appendFlag(dst, w.AuthRequired)
	dst = append(dst, 0)
	dst = appendU32(dst, w.MaxFrame)
	dst = appendU64(dst, w.Features)
	dst = appendU64(dst, w.ProducerID)
	dst = appendU32(dst, w.Credit)
	dst = appendU32(dst, 0)
	return End(append(dst, w.Nonce[:]...), start)
}

// DecodeWelcome reads the body of a HELLO response.
func DecodeWelcome(body []byte) (Welcome, error) {
	r := reader{b: body}
	w := Welcome{Version: r.u16(), AuthRequired: r.flag()}
	r.zero(1)
	w.MaxFrame, w.Features, w.ProducerID, w.Credit = r.u32(), r.u64(), r.u64(), r.u32()
	r.zero(4)
	copy(w.Nonce[:], r.take(NonceLen))
	return w, r.end(OpHello)
}

// Auth answers the challenge of a Welcome. Body: u16 length | access key id | mac[32]. The response has no body.
type Auth struct {
	AccessKey []byte // aliases the frame
	MAC       [MACLen]byte
}

// Sum is the answer to a challenge: HMAC-SHA256 under the secret key over a fixed label, the nonce and the access key id.
func Sum(secret string, nonce *[NonceLen]byte, accessKey []byte) (mac [MACLen]byte) {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("shardmill native auth 1\n"))
	h.Write(nonce[:])
	h.Write(accessKey)
	h.Sum(mac[:0])
	return mac
}

// Verify tells, in constant time, whether a is the answer to nonce under secret.
func (a *Auth) Verify(secret string, nonce *[NonceLen]byte) bool {
	want := Sum(secret, nonce, a.AccessKey)
	return hmac.Equal(want[:], a.MAC[:])
}

// AppendAuth appends a whole AUTH request. accessKey has at most MaxAccessKey bytes.
func AppendAuth(dst []byte, corr uint32, accessKey string, mac [MACLen]byte) []byte {
	dst = AppendHeader(dst, OpAuth, 0, corr, 0, 2+len(accessKey)+MACLen)
	dst = appendU16(dst, uint16(len(accessKey)))
	dst = append(dst, accessKey...)
	return append(dst, mac[:]...)
}

// DecodeAuth reads the body of an AUTH request.
func DecodeAuth(body []byte) (Auth, error) {
	r := reader{b: body}
	a := Auth{AccessKey: r.bytes(int(r.u16()), MaxAccessKey)}
	copy(a.MAC[:], r.take(MACLen))
	return a, r.end(OpAuth)
}

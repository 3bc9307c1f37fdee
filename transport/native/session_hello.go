package native

import (
	"crypto/rand"
	"log/slog"

	"github.com/shardmill/shardmill/codec/frame"
)

// hello negotiates version, frame limits and credit.
func (s *session) hello(h *frame.Header, body []byte) {
	req, err := frame.DecodeHello(body)
	switch {
	case err != nil:
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	case s.state != stateHello:
		s.refuse(h.Corr, frame.CodeMalformed, "second HELLO")
		return
	case req.MinVersion > frame.Version || req.MaxVersion < frame.Version:
		s.refuse(h.Corr, frame.CodeVersion, "this server speaks version 1")
		return
	case req.MaxFrame < frame.MinMaxFrame:
		s.refuse(h.Corr, frame.CodeMalformed, "largest frame of the client is below the minimum")
		return
	}
	o := &s.srv.o
	s.name = string(req.Name)
	s.maxOut = min(int(req.MaxFrame), o.MaxFrame)
	s.credit = o.Credit
	if req.Credit != 0 {
		s.credit = max(min(int(req.Credit), o.Credit), o.MaxFrame+frame.HeaderLen)
	}
	w := frame.Welcome{
		Version:      frame.Version,
		AuthRequired: o.Keys != nil,
		MaxFrame:     uint32(o.MaxFrame),
		ProducerID:   s.srv.producers.Add(1),
		Credit:       uint32(s.credit),
	}
	s.state = stateReady
	if w.AuthRequired {
		s.state = stateAuth
		if _, err := rand.Read(s.nonce[:]); err != nil {
			panic("BUG: crypto/rand failed: " + err.Error()) // documented never to
		}
		w.Nonce = s.nonce
	} else {
		s.maxIn = o.MaxFrame
	}
	s.loop.out = frame.AppendWelcome(s.loop.out, h.Corr, &w)
}

// auth checks the answer to the challenge.
func (s *session) auth(h *frame.Header, body []byte) {
	req, err := frame.DecodeAuth(body)
	switch {
	case err != nil:
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	case s.state != stateAuth:
		s.refuse(h.Corr, frame.CodeMalformed, "AUTH was not asked for")
		return
	}
	key := string(req.AccessKey)
	secret, account, ok := s.srv.o.Keys(key)
	// Unknown keys take the same way as wrong secrets, so that the time taken does not tell them apart.
	if valid := req.Verify(secret, &s.nonce); !valid || !ok {
		s.refuse(h.Corr, frame.CodeAuthFailed, "unknown access key or wrong signature")
		return
	}
	switch {
	case account != "":
		s.account = account
	case isAccount(key):
		s.account = key
	default:
		s.account, _ = s.srv.o.Engine.Defaults()
	}
	s.state = stateReady
	s.maxIn = s.srv.o.MaxFrame
	s.srv.o.Log.Debug("native: session authenticated", slog.String("client", s.name), slog.String("key", key))
	s.loop.out = frame.AppendEmpty(s.loop.out, frame.OpAuth, frame.FlagResponse, h.Corr, 0)
}

// isAccount tells whether an access key id is an account number: 12 digits.
func isAccount(key string) bool {
	if len(key) != 12 {
		return false
	}
	for _, c := range []byte(key) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

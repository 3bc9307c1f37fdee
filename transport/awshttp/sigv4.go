package awshttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	sigAlgorithm  = "AWS4-HMAC-SHA256"
	sigTerminator = "aws4_request"
	sigTime       = "20060102T150405Z"
	// maxSkew is how far a request's clock may be from ours, either way.
	maxSkew = 5 * time.Minute
	// maxPresigned is the longest life of a presigned request.
	maxPresigned = 604_800 * time.Second
	// maxSigningKeys bounds the cache of derived keys.
	maxSigningKeys = 10_000
)

// authParams are the pieces of a signature, from the header or the query string, as sent.
type authParams struct {
	algorithm     string
	credential    string
	signedHeaders string
	signature     string
	date          string // X-Amz-Date, or Date rewritten in its form
	rawDate       string // as it was sent
	token         string
	expires       string
	presigned     bool
	scope         scope
}

// scope is the credential in its five parts.
type scope struct{ key, day, region, service, terminator string }

// verify authenticates a request and says whom it is from. Without an Authenticator it only wants the form to be right.
func (s *Server) verify(r *http.Request, body []byte, service string) (Identity, *Error) {
	p, err := authForm(r)
	if err != nil {
		return Identity{}, err
	}
	if s.opts.Authenticator == nil {
		return s.identity(p.loose(), ""), nil
	}
	now := time.Now()
	if err := p.strict(service); err != nil {
		return Identity{}, err
	}
	if err := p.clock(now); err != nil {
		return Identity{}, err
	}
	signed := strings.Split(p.signedHeaders, ";")
	if err := mustBeSigned(r, signed, p.presigned); err != nil {
		return Identity{}, err
	}
	secret, account, known := s.opts.Authenticator.Lookup(p.scope.key)
	// An unknown key takes the same way with a secret nobody has, so that time does not tell which keys exist.
	key := s.keys.signing(p.scope, secret)
	canonical, ok := p.matches(r, body, signed, key)
	switch {
	case !known || p.token != "": // keys here are permanent: a session token belongs to none of them
		return Identity{}, &Error{Type: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	case !ok:
		return Identity{}, mismatch(canonical)
	}
	return s.identity(p.scope, account), nil
}

// identity fills in what the credential does not say. An access key of twelve digits is an account.
func (s *Server) identity(c scope, account string) Identity {
	id := Identity{AccessKey: c.key, Account: account, Region: c.region}
	if id.Account == "" {
		id.Account = s.opts.Account
		if s.opts.Authenticator == nil && isAccount(c.key) {
			id.Account = c.key
		}
	}
	if id.Region == "" {
		id.Region = s.opts.Region
	}
	return id
}

func isAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func incomplete(message string) *Error {
	return &Error{Type: "IncompleteSignatureException", Message: message}
}

func invalidSignature(message string) *Error {
	return &Error{Type: "InvalidSignatureException", Message: message}
}

// authForm finds the signature and tells which parts are missing.
func authForm(r *http.Request) (*authParams, *Error) {
	header := r.Header.Values("Authorization")
	query, inQuery := authQuery(rawQuery(r))
	switch {
	case len(header) > 0 && header[0] != "" && inQuery:
		return nil, invalidSignature("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case len(header) > 1:
		return nil, incomplete("Authorization header must occur once. Authorization=" + strings.Join(header, ","))
	case inQuery:
		return queryForm(query)
	case len(header) == 0 || header[0] == "":
		return nil, &Error{Type: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	}
	p := parseAuthorization(header[0])
	missing := ""
	for _, part := range [...]struct{ name, value string }{
		{"Credential", p.credential}, {"Signature", p.signature}, {"SignedHeaders", p.signedHeaders},
	} {
		if part.value == "" {
			missing += "Authorization header requires '" + part.name + "' parameter. "
		}
	}
	p.setDate(r.Header.Get("X-Amz-Date"), r.Header.Get("Date"))
	if p.rawDate == "" {
		missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
	}
	if missing != "" {
		return nil, incomplete(missing + "Authorization=" + header[0])
	}
	p.token = r.Header.Get("X-Amz-Security-Token")
	return &p, nil
}

func queryForm(query map[string]string) (*authParams, *Error) {
	missing := ""
	for _, name := range [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if query[name] == "" {
			missing += "AWS query-string parameters must include '" + name + "'. "
		}
	}
	if missing != "" {
		return nil, incomplete(missing + "Re-examine the query-string parameters.")
	}
	p := authParams{
		algorithm: query["X-Amz-Algorithm"], credential: query["X-Amz-Credential"], signature: query["X-Amz-Signature"],
		signedHeaders: query["X-Amz-SignedHeaders"], token: query["X-Amz-Security-Token"], expires: query["X-Amz-Expires"],
		presigned: true,
	}
	p.setDate(query["X-Amz-Date"], "")
	return &p, nil
}

// parseAuthorization takes a header apart: an algorithm, then name=value pairs between commas or spaces.
func parseAuthorization(h string) authParams {
	var p authParams
	rest := ""
	if i := strings.IndexAny(h, ", "); i >= 0 {
		p.algorithm, rest = h[:i], h[i+1:]
	} else {
		p.algorithm = h
	}
	for rest != "" {
		pair := rest
		if i := strings.IndexAny(rest, ", "); i >= 0 {
			pair, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch name {
		case "Credential":
			p.credential = value
		case "SignedHeaders":
			p.signedHeaders = value
		case "Signature":
			p.signature = value
		}
	}
	return p
}

func (p *authParams) setDate(amz, date string) {
	if p.date, p.rawDate = amz, amz; amz != "" {
		return
	}
	p.date, p.rawDate = date, date
	if t, err := http.ParseTime(date); err == nil {
		p.date = t.UTC().Format(sigTime)
	}
}

// loose reads a credential that nobody verifies: what is there counts.
func (p *authParams) loose() scope {
	parts := strings.Split(p.credential, "/")
	if len(parts) != 5 {
		return scope{key: parts[0]}
	}
	return scope{key: parts[0], day: parts[1], region: parts[2], service: parts[3], terminator: parts[4]}
}

// strict wants the algorithm and each part of the credential to be what this service takes.
func (p *authParams) strict(service string) *Error {
	if p.algorithm != sigAlgorithm {
		return incomplete("Unsupported AWS 'algorithm': '" + p.algorithm + "'.")
	}
	if p.scope = p.loose(); p.scope.terminator == "" {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + p.credential + "'")
	}
	switch {
	case p.scope.service != service:
		return invalidSignature("Credential should be scoped to correct service: '" + service + "'. ")
	case p.scope.terminator != sigTerminator:
		return invalidSignature("Credential should be scoped with a valid terminator: '" + sigTerminator + "', not '" + p.scope.terminator + "'. ")
	case p.scope.region == "":
		return invalidSignature("Credential should be scoped to a valid region. ")
	case len(p.date) < 8 || p.scope.day != p.date[:8]:
		day := p.date
		if len(day) > 8 {
			day = day[:8]
		}
		return invalidSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			p.scope.day + "' != '" + day + "', from '" + p.date + "'.")
	}
	return nil
}

// clock refuses requests from too far in the past or the future.
func (p *authParams) clock(now time.Time) *Error {
	t, err := time.Parse(sigTime, p.date)
	if err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'. Got '" + p.rawDate + "'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	show := func(t time.Time) string { return t.UTC().Format(sigTime) }
	if t.After(now.Add(maxSkew)) {
		return invalidSignature("Signature not yet current: " + show(t) + " is still later than " + show(now.Add(maxSkew)) +
			" (" + show(now) + " + 5 min.)")
	}
	life := maxSkew
	if p.presigned {
		n, err := strconv.ParseUint(p.expires, 10, 32)
		if err != nil || n == 0 || time.Duration(n)*time.Second > maxPresigned {
			return incomplete("AWS query-string parameters must include 'X-Amz-Expires' between 1 and 604800. Re-examine the query-string parameters.")
		}
		life = time.Duration(n) * time.Second
	}
	if t.Before(now.Add(-life)) {
		ago := "5 min."
		if p.presigned {
			ago = p.expires + " sec."
		}
		return invalidSignature("Signature expired: " + show(t) + " is now earlier than " + show(now.Add(-life)) +
			" (" + show(now) + " - " + ago + ")")
	}
	return nil
}

// mustBeSigned refuses a request that leaves something unsigned which changes its meaning.
func mustBeSigned(r *http.Request, signed []string, presigned bool) *Error {
	has := func(name string) bool {
		for _, s := range signed {
			if strings.EqualFold(s, name) {
				return true
			}
		}
		return false
	}
	if !has("host") {
		return invalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if !presigned && r.Header.Get("X-Amz-Date") == "" && !has("date") {
		return invalidSignature("'Date' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !has(lower) {
			return invalidSignature("'" + lower + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	return nil
}

// matches computes the signature and compares it in constant time. The canonical request and the string to sign come
// back for the error message. Several spellings of path and host are in use by correct clients; each of them names the
// same resource, so any may match.
func (p *authParams) matches(r *http.Request, body []byte, signed []string, key []byte) (canonical, bool) {
	given, err := hex.DecodeString(p.signature)
	if err != nil || len(given) != sha256.Size {
		given = make([]byte, sha256.Size) // compared like any other, and never equal but by 2^-256
	}
	hash := sha256.Sum256(body)
	first := p.canonical(r, signed, hash[:], pathNormalised, false)
	ok := first.signs(given, key)
	for variant := 1; variant < 4 && !ok; variant++ {
		path, bare := pathNormalised, variant >= 2
		if variant%2 == 1 {
			path = pathRaw
		}
		if next := p.canonical(r, signed, hash[:], path, bare); next.request != first.request {
			ok = next.signs(given, key)
		}
	}
	return first, ok
}

// canonical is what a signature is computed over.
type canonical struct{ request, toSign string }

func (c canonical) signs(given, key []byte) bool {
	return subtle.ConstantTimeCompare(hmacOf(key, c.toSign), given) == 1
}

func hmacOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func mismatch(c canonical) *Error {
	return invalidSignature("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key" +
		" and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'" +
		c.request + "'\n\nThe String-to-Sign should have been\n'" + c.toSign + "'\n")
}

package awshttp

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The path of a request may be signed with dot segments and double slashes removed, or as it is.
const (
	pathNormalised = iota
	pathRaw
)

// target splits the request target as it was sent into path and query. The target may be absolute.
func rawTarget(r *http.Request) (path, query string) {
	t := r.RequestURI
	if t == "" { // a request made in a test
		t = r.URL.RequestURI()
	}
	if i := strings.Index(t, "://"); i >= 0 && !strings.HasPrefix(t, "/") {
		t = t[i+3:]
		if j := strings.IndexAny(t, "/?"); j >= 0 {
			t = t[j:]
		} else {
			t = "/"
		}
	}
	path, query, _ = strings.Cut(t, "?")
	if path == "" {
		path = "/"
	}
	return path, query
}

func rawQuery(r *http.Request) string { _, q := rawTarget(r); return q }

// authQuery collects the X-Amz parameters of a query string; the bool tells whether it has X-Amz-Algorithm at all.
func authQuery(query string) (map[string]string, bool) {
	if !strings.Contains(query, "X-Amz-Algorithm") {
		return nil, false
	}
	params := make(map[string]string)
	found := false
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name = unescape(name); strings.HasPrefix(name, "X-Amz-") {
			params[name] = unescape(value)
			found = found || name == "X-Amz-Algorithm"
		}
	}
	return params, found
}

// canonical builds the canonical request and the string to sign. bare signs the host without a default port.
func (p *authParams) canonical(r *http.Request, signed []string, bodyHash []byte, path int, bare bool) canonical {
	rawPath, query := rawTarget(r)
	if path == pathNormalised {
		rawPath = removeDots(rawPath)
	}
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendEscaped(b, rawPath, true)
	b = append(b, '\n')
	b = appendQuery(b, query)
	b = append(b, '\n')
	for _, name := range signed {
		b = append(b, strings.ToLower(name)...)
		b = append(b, ':')
		b = appendHeader(b, r, name, bare)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, p.signedHeaders...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, bodyHash)
	sum := sha256.Sum256(b)
	s := make([]byte, 0, 192)
	s = append(append(s, sigAlgorithm...), '\n')
	s = append(append(s, p.date...), '\n')
	s = append(append(s, p.scope.day...), '/')
	s = append(append(s, p.scope.region...), '/')
	s = append(append(s, p.scope.service...), "/aws4_request\n"...)
	s = hex.AppendEncode(s, sum[:])
	return canonical{request: string(b), toSign: string(s)}
}

// appendHeader writes a header's values, trimmed, inner runs of spaces made one, joined by commas. net/http takes some
// headers out of r.Header; they are put back here.
func appendHeader(b []byte, r *http.Request, name string, bare bool) []byte {
	name = http.CanonicalHeaderKey(name)
	var values []string
	switch name {
	case "Host":
		host := r.Host
		if bare {
			host = strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
		}
		return append(b, host...)
	case "Content-Length":
		if values = r.Header[name]; values == nil && r.ContentLength >= 0 {
			return strconv.AppendInt(b, r.ContentLength, 10)
		}
	case "Transfer-Encoding":
		if values = r.Header[name]; values == nil {
			values = r.TransferEncoding
		}
	default:
		values = r.Header[name]
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, v)
	}
	return b
}

func appendTrimmed(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	space := false
	for i := range len(v) {
		if v[i] == ' ' {
			if space {
				continue
			}
			space = true
		} else {
			space = false
		}
		b = append(b, v[i])
	}
	return b
}

// appendQuery writes the query string with names and values encoded anew, sorted by both, without the signature.
func appendQuery(b []byte, query string) []byte {
	if query == "" {
		return b
	}
	type pair struct{ name, value string }
	var pairs []pair
	for _, s := range strings.Split(query, "&") {
		if s == "" {
			continue
		}
		name, value, _ := strings.Cut(s, "=")
		if name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, pair{
			string(appendEscaped(nil, unescape(name), false)), string(appendEscaped(nil, unescape(value), false)),
		})
	}
	slices.SortStableFunc(pairs, func(x, y pair) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, p.name...), '='), p.value...)
	}
	return b
}

// removeDots takes "." and ".." segments and empty segments out of a path.
func removeDots(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var kept []string
	segments := strings.Split(path, "/")
	for _, s := range segments {
		switch s {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, s)
		}
	}
	out := "/" + strings.Join(kept, "/")
	last := segments[len(segments)-1]
	if len(kept) > 0 && (last == "" || last == "." || last == "..") {
		out += "/"
	}
	return out
}

// appendEscaped percent-encodes all but unreserved characters, and slashes where it is a path. An encoded path is so
// encoded twice, as every service but S3 has it.
func appendEscaped(b []byte, s string, path bool) []byte {
	const upper = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~' ||
			path && c == '/' {
			b = append(b, c)
			continue
		}
		b = append(b, '%', upper[c>>4], upper[c&15])
	}
	return b
}

// unescape decodes percent signs followed by two hex digits; a plus is a plus.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

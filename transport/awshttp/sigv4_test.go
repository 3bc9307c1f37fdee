package awshttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// keyring is the Authenticator of the tests.
type keyring map[string]string

func (k keyring) Lookup(key string) (secret, account string, ok bool) {
	secret, ok = k[key]
	return secret, "123456789012", ok
}

var testKeys = keyring{"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "other": "another secret"}

func secured(t testing.TB) *Server {
	t.Helper()
	s, err := NewServer(Options{Authenticator: testKeys})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wireRequest is r as a server's net/http would hand it over.
func wireRequest(t testing.TB, r *http.Request, body []byte) *http.Request {
	t.Helper()
	var b bytes.Buffer
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	out, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatalf("%v in %q", err, b.String())
	}
	return out
}

func newRequest(t testing.TB, target string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://kinesis.example:4566"+target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.ListStreams")
	return r
}

func sign(t testing.TB, r *http.Request, body []byte, at time.Time) {
	t.Helper()
	signAs(t, r, body, at, "AKIDEXAMPLE", testKeys["AKIDEXAMPLE"], "kinesis", "eu-west-3")
}

func signAs(t testing.TB, r *http.Request, body []byte, at time.Time, key, secret, service, region string) {
	t.Helper()
	sum := sha256.Sum256(body)
	err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, r,
		hex.EncodeToString(sum[:]), service, region, at)
	if err != nil {
		t.Fatal(err)
	}
}

func TestSignatureOfSDK(t *testing.T) {
	s := secured(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		const letters = "abcXYZ019-_.~ /:%=é;,@!*'()&?#$"
		var b strings.Builder
		for range rnd.IntN(n) {
			b.WriteRune([]rune(letters)[rnd.IntN(len([]rune(letters)))])
		}
		return b.String()
	}
	for range 2000 {
		body := []byte(text(200))
		q := url.Values{}
		for range rnd.IntN(4) {
			q.Add(text(8), text(8))
		}
		u := url.URL{Path: "/" + strings.ReplaceAll(text(10), "//", "/"), RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
		r := newRequest(t, strings.ReplaceAll(u.RequestURI(), "//", "/"), body)
		r.Header.Set("X-Amz-Meta", "  a   b  ")
		r.Header.Add("X-Amz-Twice", "2")
		r.Header.Add("X-Amz-Twice", "1")
		sign(t, r, body, time.Now())
		id, err := s.verify(wireRequest(t, r, body), body, "kinesis")
		if err != nil {
			t.Fatalf("%s: %v", r.URL, err)
		}
		if id != (Identity{AccessKey: "AKIDEXAMPLE", Account: "123456789012", Region: "eu-west-3"}) {
			t.Fatalf("identity %+v", id)
		}
	}
}

func TestPresigned(t *testing.T) {
	s := secured(t)
	body := []byte("{}")
	presign := func(at time.Time, expires string) *http.Request {
		r := newRequest(t, "/?X-Amz-Expires="+expires, body)
		sum := sha256.Sum256(body)
		signed, _, err := v4.NewSigner().PresignHTTP(context.Background(),
			aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: testKeys["AKIDEXAMPLE"]}, r, hex.EncodeToString(sum[:]), "kinesis", "us-east-1", at,
			func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
		if err != nil {
			t.Fatal(err)
		}
		out := newRequest(t, "/", body)
		if out.URL, err = url.Parse(signed); err != nil {
			t.Fatal(err)
		}
		return wireRequest(t, out, body)
	}
	f := func(at time.Time, expires, want string) {
		t.Helper()
		_, err := s.verify(presign(at, expires), body, "kinesis")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v %s: %v, want %q", at, expires, err, want)
		}
	}
	now := time.Now()
	f(now, "60", "")
	f(now.Add(-time.Hour), "7200", "")
	f(now.Add(-time.Hour), "60", "Signature expired")
	f(now.Add(time.Hour), "60", "Signature not yet current")
	f(now, "604801", "X-Amz-Expires")
	f(now, "0", "X-Amz-Expires")
	f(now, "x", "X-Amz-Expires")
	r := presign(now, "60")
	r.RequestURI += "&a=b"
	if _, err := s.verify(r, body, "kinesis"); err == nil {
		t.Error("a query with one more parameter is accepted")
	}
}

// TestOneByteChanged signs requests, changes one byte of what the signature covers, and wants each refused.
func TestOneByteChanged(t *testing.T) {
	s := secured(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for i := range 3000 {
		body := []byte(fmt.Sprintf(`{"StreamName":"stream-%d","Limit":10}`, i))
		r := newRequest(t, "/path/a?x=1&y=2", body)
		r.Header.Set("X-Amz-Meta", "some value")
		sign(t, r, body, time.Now())
		var b bytes.Buffer
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		raw := b.Bytes()
		at := rnd.IntN(len(raw))
		old := raw[at]
		raw[at] ^= byte(1 << rnd.IntN(7))
		if !significant(raw, at, old) {
			continue
		}
		got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			refused++
			continue
		}
		gotBody, err := io.ReadAll(got.Body)
		if err != nil {
			refused++
			continue
		}
		if _, err := s.verify(got, gotBody, "kinesis"); err == nil {
			t.Fatalf("accepted after %q became %q at %d of\n%s", old, raw[at], at, raw)
		}
		refused++
	}
	if refused < 1000 {
		t.Fatalf("only %d requests were tried", refused)
	}
}

// significant tells whether a changed byte is one that a signature must notice: not the request's version, not a header
// that clients may leave unsigned, and not a change of case only where case means nothing.
func significant(raw []byte, at int, old byte) bool {
	start := bytes.LastIndexByte(raw[:at], '\n') + 1
	end := start + bytes.IndexByte(raw[start:], '\n')
	if bytes.Contains(raw[:start], []byte("\r\n\r\n")) {
		return true
	}
	line := string(raw[start:max(end, at+1)])
	if start == 0 {
		return !strings.Contains(line[min(len(line), at):], "HTTP") && at < strings.LastIndex(line, " ") && old != '\n'
	}
	if strings.HasPrefix(line, "User-Agent") || strings.HasPrefix(line, "Accept") || raw[at] == '\r' || old == '\r' || old == '\n' || raw[at] == '\n' {
		return false
	}
	name := strings.IndexByte(line, ':')
	inName := at-start <= name || name < 0
	sameLetter := old|0x20 == raw[at]|0x20 && old|0x20 >= 'a' && old|0x20 <= 'z'
	if strings.HasPrefix(strings.ToLower(line), "authorization") && !inName {
		// Signatures are hex of either case; separators between the parts may be commas or spaces.
		return !sameLetter && old != ' ' && old != ',' && raw[at] != ' ' && raw[at] != ','
	}
	if inName {
		return false // then it is another header, and whether that matters the other tests say
	}
	return old != ' ' && raw[at] != ' ' && raw[at] != '\t'
}

func TestVerifyRefuses(t *testing.T) {
	s := secured(t)
	body := []byte("{}")
	f := func(name string, change func(r *http.Request), wantType, wantText string) {
		t.Helper()
		r := newRequest(t, "/", body)
		sign(t, r, body, time.Now())
		change(r)
		_, err := s.verify(wireRequest(t, r, body), body, "kinesis")
		if err == nil || err.Type != wantType || !strings.Contains(err.Message, wantText) {
			t.Errorf("%s: %v, want %s: %s", name, err, wantType, wantText)
		}
	}
	edit := func(old, with string) func(*http.Request) {
		return func(r *http.Request) {
			h := r.Header.Get("Authorization")
			if !strings.Contains(h, old) {
				t.Fatalf("%q is not in %q", old, h)
			}
			r.Header.Set("Authorization", strings.Replace(h, old, with, 1))
		}
	}
	const (
		incompleteType = "IncompleteSignatureException"
		invalidType    = "InvalidSignatureException"
	)
	f("none", func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationTokenException", "Missing Authentication Token")
	f("empty", func(r *http.Request) { r.Header.Set("Authorization", "") }, "MissingAuthenticationTokenException", "")
	f("twice", func(r *http.Request) { r.Header.Add("Authorization", "x") }, incompleteType, "once")
	f("algorithm", edit("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), incompleteType, "Unsupported AWS 'algorithm'")
	f("four parts", edit("/aws4_request", ""), incompleteType, "exactly 5 slash-delimited")
	f("service", edit("/kinesis/", "/firehose/"), invalidType, "Credential should be scoped to correct service: 'kinesis'.")
	f("terminator", edit("aws4_request", "aws4_reply"), invalidType, "valid terminator")
	f("region", edit("/eu-west-3/", "//"), invalidType, "valid region")
	f("other region", edit("/eu-west-3/", "/eu-west-4/"), invalidType, "does not match the signature you provided")
	f("key", edit("AKIDEXAMPLE", "AKIDUNKNOWN"), "UnrecognizedClientException", "The security token included in the request is invalid.")
	f("other key", edit("AKIDEXAMPLE", "other"), invalidType, "does not match")
	f("signature", edit("Signature=", "Signature=0"), invalidType, "The Canonical String for this request should have been")
	f("no signature", edit("Signature=", "Sig="), incompleteType, "requires 'Signature' parameter. Authorization=")
	f("host unsigned", edit("host;", ""), invalidType, "'Host'")
	f("target unsigned", edit(";x-amz-target", ""), invalidType, "'x-amz-target' must be")
	f("new header", func(r *http.Request) { r.Header.Set("X-Amz-New", "1") }, invalidType, "'x-amz-new' must be")
	f("balancer's header is fine, the rest is not", func(r *http.Request) {
		r.Header.Set("X-Amzn-Trace-Id", "1")
		r.Header.Set("X-Amz-Target", "x")
	}, invalidType, "does not match")
	f("token", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, invalidType, "'x-amz-security-token' must be")
	f("no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, incompleteType, "requires existence of either a 'X-Amz-Date' or a 'Date'")
	f("bad date", func(r *http.Request) { r.Header.Set("X-Amz-Date", r.Header.Get("X-Amz-Date")[:8]+"junk") }, incompleteType, "basic format")
	f("other day", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") }, invalidType, "Date in Credential scope does not match")
	f("both", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm" }, invalidType, "Found both 'X-Amz-Algorithm'")

	for age, want := range map[time.Duration]string{
		-6 * time.Minute: "Signature not yet current: ", 6 * time.Minute: "Signature expired: ", 4 * time.Minute: "", -4 * time.Minute: "",
	} {
		r := newRequest(t, "/", body)
		sign(t, r, body, time.Now().Add(-age))
		_, err := s.verify(wireRequest(t, r, body), body, "kinesis")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Message, want)) {
			t.Errorf("age %v: %v, want %q", age, err, want)
		}
	}
	r := newRequest(t, "/", body)
	sum := sha256.Sum256(body)
	err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{
		AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: testKeys["AKIDEXAMPLE"], SessionToken: "session",
	}, r, hex.EncodeToString(sum[:]), "kinesis", "us-east-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.verify(wireRequest(t, r, body), body, "kinesis"); err == nil || err.Type != "UnrecognizedClientException" {
		t.Errorf("session token of a permanent key: %v", err)
	}
}

// TestVerifyVariants signs by hand what SDKs sign in more than one way.
func TestVerifyVariants(t *testing.T) {
	s := secured(t)
	body := []byte("{}")
	f := func(target, host string, signed ...string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, target, bytes.NewReader(body))
		r.Host = host
		r.Header.Set("X-Amz-Date", time.Now().UTC().Format(sigTime))
		p := authParams{signedHeaders: strings.Join(append(signed, "host", "x-amz-date"), ";"), date: r.Header.Get("X-Amz-Date")}
		p.scope = scope{key: "AKIDEXAMPLE", day: p.date[:8], region: "us-east-1", service: "kinesis"}
		sum := sha256.Sum256(body)
		for _, path := range []int{pathNormalised, pathRaw} {
			for _, bare := range []bool{false, true} {
				c := p.canonical(r, strings.Split(p.signedHeaders, ";"), sum[:], path, bare)
				mac := hmacOf(deriveKey(p.scope, testKeys["AKIDEXAMPLE"]), c.toSign)
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"+p.scope.day+"/us-east-1/kinesis/aws4_request, SignedHeaders="+
					p.signedHeaders+", Signature="+hex.EncodeToString(mac))
				if _, err := s.verify(r, body, "kinesis"); err != nil {
					t.Errorf("%s %s %v %v: %v", target, host, path, bare, err)
				}
			}
		}
	}
	f("/", "h", "content-length")
	f("/", "h:80")
	f("/", "h:443")
	f("//a//../b/./c/", "h")
	f("/%20/é?b=2&a=1&a=0&c", "h", "transfer-encoding")
	f("http://h/x?y", "h")
}

func TestCanonicalPath(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		if got := removeDots(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	f("/", "/")
	f("/a/b", "/a/b")
	f("/a/../b", "/b")
	f("/a/..", "/")
	f("/..", "/")
	f("/./", "/")
	f("//", "/")
	f("//a//b//", "/a/b/")
	f("/a/b/..", "/a/")
	f("/a/./", "/a/")
	f("/.a/b.", "/.a/b.")
}

func TestCanonicalQuery(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		if got := string(appendQuery(nil, query)); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	f("", "")
	f("b=2&a=1", "a=1&b=2")
	f("a=2&a=1", "a=1&a=2")
	f("a", "a=")
	f("a=b=c", "a=b%3Dc")
	f("a=x+y&&", "a=x%2By")
	f("%7e=%7E&%2f=/", "%2F=%2F&~=~")
	f("X-Amz-Signature=1&x=%zz%", "x=%25zz%25")
	f("a-b=1&a=2", "a=2&a-b=1")
}

func TestKeyCacheIsBounded(t *testing.T) {
	c := newKeyCache(3)
	for i := range 10 {
		c.signing(scope{key: fmt.Sprint(i)}, "secret")
	}
	if len(c.byScope) != 3 || c.order.Len() != 3 {
		t.Fatalf("%d and %d entries, want 3", len(c.byScope), c.order.Len())
	}
	if c.byScope[scope{key: "9"}] == nil || c.byScope[scope{key: "0"}] != nil {
		t.Error("the oldest entry is kept, or the newest is not")
	}
	for i := range 10 {
		c.signing(scope{key: fmt.Sprint("unknown", i)}, "")
	}
	if c.byScope[scope{key: "9"}] == nil {
		t.Error("unknown keys push good ones out")
	}
	a, b := c.signing(scope{key: "9"}, "secret"), c.signing(scope{key: "9"}, "changed")
	if bytes.Equal(a, b) {
		t.Error("a changed secret gives the old key")
	}
	// The vector of the AWS documentation.
	k := deriveKey(scope{day: "20150830", region: "us-east-1", service: "iam"}, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	if got := hex.EncodeToString(k); got != "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9" {
		t.Errorf("derived key %s", got)
	}
}

func TestIdentityWithoutKeys(t *testing.T) {
	s, err := NewServer(Options{Account: "111111111111", Region: "xx-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(credential string, want Identity) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+credential+", SignedHeaders=host, Signature=0")
		r.Header.Set("X-Amz-Date", "x")
		if got, err := s.verify(r, nil, "kinesis"); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", credential, got, err, want)
		}
	}
	f("test/20260101/eu-west-1/kinesis/aws4_request", Identity{"test", "111111111111", "eu-west-1"})
	f("222222222222/20260101/eu-west-1/kinesis/aws4_request", Identity{"222222222222", "222222222222", "eu-west-1"})
	f("test", Identity{"test", "111111111111", "xx-east-1"})
	f("test/20260101//kinesis/aws4_request", Identity{"test", "111111111111", "xx-east-1"})
}

func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;x-amz-date, Signature=00", "20260101T000000Z", "X-Amz-Algorithm=a")
	f.Add("AWS4- Signature=b,Credential=a", "", "")
	f.Add(", ,=", "Mon, 02 Jan 2006 15:04:05 GMT", "%zz=%&&=&X-Amz-Algorithm")
	s := secured(f)
	f.Fuzz(func(t *testing.T, header, date, query string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RequestURI = "/?" + query
		r.Header.Set("Authorization", header)
		r.Header.Set("X-Amz-Date", date)
		if _, err := s.verify(r, nil, "kinesis"); err == nil {
			t.Fatal("accepted without a secret")
		}
		r.Header.Del("Authorization")
		if _, err := s.verify(r, nil, "kinesis"); err == nil {
			t.Fatal("accepted without a secret")
		}
	})
}

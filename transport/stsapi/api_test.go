package stsapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/shardmill/shardmill/transport/awshttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnswers(t *testing.T) {
	s, err := awshttp.NewServer(awshttp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.AddNeighbour(new(API).Neighbour())
	f := func(method, url, body string, signed bool, status int, want string) {
		t.Helper()
		r := httptest.NewRequest(method, "http://localhost"+url, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if signed {
			r.Header.Set("X-Amz-Date", "20261122T100000Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20261122/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=00")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Result().Body)
		got := string(text)
		if id := spelled(w.Result().Header, "x-amzn-RequestId"); len(id) == 1 {
			got = strings.ReplaceAll(got, id[0], "ID")
		}
		if w.Result().StatusCode != status || got != want {
			t.Errorf("%s %s %s: %d %s, want %d %s", method, url, body, w.Result().StatusCode, got, status, want)
		}
	}
	const whole = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:root</Arn>` +
		`<UserId>123456789012</UserId><Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetCallerIdentityResponse>` + "\n"
	failed := func(code, message string) string {
		return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>` + map[bool]string{true: "Receiver", false: "Sender"}[code == "InvalidAction"] +
			"</Type><Code>" + code + "</Code><Message>" + message + "</Message></Error><RequestId>ID</RequestId></ErrorResponse>\n"
	}
	const action = "Action=GetCallerIdentity&Version=2011-06-15"
	f(http.MethodPost, "/", action, true, 200, whole)
	f(http.MethodGet, "/?"+action, "", true, 200, whole)
	f(http.MethodPost, "/", "Version=2011-06-15", true, 400, failed("MissingAction", "The request must contain the parameter Action."))
	f(http.MethodPost, "/", "%zz", true, 400, failed("MalformedQueryString", "The request is no form of the query protocol."))
	f(http.MethodPost, "/", "Action=Assume%3CRole%3E", true, 501, failed("InvalidAction", "The STS in shardmill answers GetCallerIdentity only and lacks "+
		"Assume&lt;Role&gt;: run an emulator such as moto beside it and point AWS_ENDPOINT_URL_STS there."))
	// Without a signature nothing tells which service is meant; Kinesis answers.
	f(http.MethodPost, "/", action, false, http.StatusForbidden,
		"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n")
}

// spelled is a header of a reply whose name is sent as it is written here.
func spelled(h http.Header, name string) []string { return h[name] }

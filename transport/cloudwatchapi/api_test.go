package cloudwatchapi

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/shardmill/shardmill/transport/awshttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(t *testing.T) (*awshttp.Server, *API) {
	t.Helper()
	a, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s, err := awshttp.NewServer(awshttp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.AddNeighbour(a.Neighbour())
	return s, a
}

// request is one in a protocol: query, json or cbor. body of cbor is hex.
func request(protocol, action, body string) *http.Request {
	path := "/"
	if protocol == "cbor" {
		path = pathPrefix + action
		raw, err := hex.DecodeString(body)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		body = string(raw)
	}
	r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("X-Amz-Date", "20261122T100000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=00")
	switch protocol {
	case "query":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	case "json":
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("X-Amz-Target", target+"."+action)
	case "cbor":
		r.Header.Set("Content-Type", cborType)
		r.Header.Set("smithy-protocol", "rpc-v2-cbor")
	}
	return r
}

func answer(s http.Handler, r *http.Request) (resp *http.Response, body string) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	if id := spelled(w.Result().Header, "x-amzn-RequestId"); len(id) == 1 {
		text = bytes.ReplaceAll(text, []byte(id[0]), []byte("ID"))
	}
	return w.Result(), string(text)
}

// Documents of one datum, and one without its name, in each protocol.
const (
	oneQuery = "Action=PutMetricData&Version=2010-08-01&Namespace=app&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1.5"
	oneJSON  = `{"Namespace":"app","MetricData":[{"MetricName":"m","Value":1.5}]}`
	oneCBOR  = "bf694e616d65737061636563617070" + "6a4d657472696344617461" + "9fbf6a4d65747269634e616d65616d6556616c7565fb3ff8000000000000ffffff"
	badCBOR  = "bf694e616d65737061636563617070" + "6a4d657472696344617461" + "9fbfffffff"
)

func TestPutMetricData(t *testing.T) {
	s, a := server(t)
	taken := uint64(0)
	f := func(protocol, action, body string, status int, counted uint64, want string) {
		t.Helper()
		resp, got := answer(s, request(protocol, action, body))
		if resp.StatusCode != status || got != want {
			t.Errorf("%s %s: %d %q, want %d %q", protocol, body, resp.StatusCode, got, status, want)
		}
		if taken += counted; a.Taken() != taken {
			t.Errorf("%s %s: %d data counted, want %d", protocol, body, a.Taken(), taken)
		}
	}
	const put = "PutMetricData"
	queryError := func(code, message string) string {
		return `<ErrorResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><Error><Type>Sender</Type><Code>` + code + "</Code><Message>" + message +
			"</Message></Error><RequestId>ID</RequestId></ErrorResponse>\n"
	}
	f("query", put, oneQuery, 200, 1, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></PutMetricDataResponse>`+"\n")
	f("json", put, oneJSON, 200, 1, "{}")
	f("cbor", put, oneCBOR, 200, 1, "")
	f("json", put, `{"Namespace":"app","EntityMetricData":[{"MetricData":[{"MetricName":"m"},{"MetricName":"n"}]}]}`, 200, 2, "{}")
	f("query", put, strings.Replace(oneQuery, "Namespace=app", "Namespace=", 1), 400, 0, queryError("MissingParameter", "The parameter Namespace is required."))
	f("query", put, strings.Replace(oneQuery, "member.1.MetricName=m", "member.1.Unit=m", 1), 400, 0, queryError("MissingParameter", "The parameter MetricData.member.1.MetricName is required."))
	f("query", put, strings.ReplaceAll(oneQuery, "member.1.", "member.2."), 400, 0, queryError("SerializationException", "the request is malformed"))
	f("query", put, strings.ReplaceAll(oneQuery, "member.1.", "member.x."), 400, 0, queryError("SerializationException", "the request is malformed"))
	f("json", put, `{"Namespace":"app"}`, 400, 0, `{"__type":"com.amazonaws.cloudwatch#MissingRequiredParameterException","message":"The parameter MetricData is required."}`)
	f("json", put, `{"Namespace":"app","MetricData":7}`, 400, 0, `{"__type":"com.amazonaws.cloudwatch#InvalidParameterValueException","message":"The parameter MetricData must be a list."}`)
	f("json", put, `[]`, 400, 0, `{"__type":"com.amazonaws.cloudwatch#SerializationException","message":"the request is malformed"}`)
	f("json", put, `{"Namespace":"app","MetricData":[`+strings.Repeat(`{"MetricName":"m"},`, 1000)+`{"MetricName":"m"}]}`, 400, 0,
		`{"__type":"com.amazonaws.cloudwatch#InvalidParameterValueException","message":"The parameter MetricData must not have more than 1000 members."}`)
	refused := func(name, message string) string {
		return string(awshttp.AppendCBORText(awshttp.AppendCBORText(awshttp.AppendCBORText(awshttp.AppendCBORText(
			awshttp.AppendCBORMap(nil, 2), "__type"), "com.amazonaws.cloudwatch#"+name), "message"), message))
	}
	f("cbor", put, badCBOR, 400, 0, refused("MissingRequiredParameterException", "The parameter MetricData.member.1.MetricName is required."))
	for protocol, action := range map[string]string{"query": oneQuery, "json": "{}", "cbor": "a0"} {
		resp, got := answer(s, request(protocol, "ListMetrics", strings.Replace(action, put, "ListMetrics", 1)))
		if resp.StatusCode != http.StatusNotImplemented || !strings.Contains(got, "run an emulator such as moto beside it") {
			t.Errorf("%s ListMetrics: %d %s", protocol, resp.StatusCode, got)
		}
	}
}

func TestGzip(t *testing.T) {
	s, a := server(t)
	pack := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		fmt.Fprint(w, text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	f := func(body string, status int) {
		t.Helper()
		r := request("json", "PutMetricData", body)
		r.Header.Set("Content-Encoding", "gzip")
		if resp, got := answer(s, r); resp.StatusCode != status {
			t.Errorf("%d %s, want %d", resp.StatusCode, got, status)
		}
	}
	f(pack(oneJSON), 200)
	f(oneJSON, 400)
	f(pack(oneJSON)[:30], 400)
	f(pack(oneJSON+strings.Repeat(" ", maxBody)), 400)
	if a.Taken() != 1 {
		t.Errorf("%d data counted, want 1", a.Taken())
	}
}

func TestUnsigned(t *testing.T) {
	s, _ := server(t)
	for _, protocol := range []string{"json", "cbor"} {
		r := request(protocol, "PutMetricData", map[string]string{"json": oneJSON, "cbor": oneCBOR}[protocol])
		r.Header.Del("Authorization")
		if resp, got := answer(s, r); resp.StatusCode != http.StatusBadRequest || !strings.Contains(got, "MissingAuthenticationToken") {
			t.Errorf("%s: %d %s", protocol, resp.StatusCode, got)
		}
	}
}

func FuzzPutMetricData(f *testing.F) {
	raw, _ := hex.DecodeString(oneCBOR)
	f.Add("query", oneQuery)
	f.Add("json", oneJSON)
	f.Add("cbor", string(raw))
	a, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, protocol, body string) {
		before := a.Taken()
		c := awshttp.NeighbourCall{Request: request(protocol, "PutMetricData", ""), Body: []byte(body)}
		a.serve(&c)
		if ok := c.Status == 0; ok != (a.Taken() > before) || !ok && len(c.Reply) == 0 {
			t.Fatalf("%s %q: %d %q, %d counted", protocol, body, c.Status, c.Reply, a.Taken()-before)
		}
	})
}

// spelled is a header of a reply whose name is sent as it is written here.
func spelled(h http.Header, name string) []string { return h[name] }

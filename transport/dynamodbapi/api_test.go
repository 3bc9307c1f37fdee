package dynamodbapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is the API behind a front door.
func server(t *testing.T) *awshttp.Server {
	t.Helper()
	store, err := itemstore.Open(itemstore.Options{Path: filepath.Join(t.TempDir(), "items.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s, err := awshttp.NewServer(awshttp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.AddNeighbour(New(store, slog.New(slog.DiscardHandler)).Neighbour())
	return s
}

// send1 sends one request as account 111111111111 and returns the answer.
func send1(t *testing.T, s http.Handler, action, body string, change ...func(*http.Request)) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", target+"."+action)
	r.Header.Set("X-Amz-Date", "20261122T100000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=111111111111/20261122/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

// ask wants success and returns the decoded answer.
func ask(t *testing.T, s http.Handler, action, body string) map[string]any {
	t.Helper()
	resp := send1(t, s, action, body)
	text, _ := io.ReadAll(resp.Body)
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s", action, body, resp.StatusCode, text)
	}
	return out
}

const leases = `{"TableName":"leases","KeySchema":[{"AttributeName":"leaseKey","KeyType":"HASH"}],"AttributeDefinitions":[` +
	`{"AttributeName":"leaseKey","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}`

const owners = `{"TableName":"leases","AttributeDefinitions":[{"AttributeName":"leaseOwner","AttributeType":"S"},{"AttributeName":"leaseKey",` +
	`"AttributeType":"S"}],"GlobalSecondaryIndexUpdates":[{"Create":{"IndexName":"LeaseOwnerToLeaseKeyIndex","KeySchema":[{"AttributeName":` +
	`"leaseOwner","KeyType":"HASH"},{"AttributeName":"leaseKey","KeyType":"RANGE"}],"Projection":{"ProjectionType":"KEYS_ONLY"}}}]}`

const lease = `{"TableName":"leases","Item":{"leaseKey":{"S":"a"},"leaseOwner":{"S":"w"},"leaseCounter":{"N":"1"},"childShardIds":{"SS":["c","b"]}}}`

// TestLeases takes the way of a lease: the calls of the Kinesis Client Library in their very form.
func TestLeases(t *testing.T) {
	s := server(t)
	created := ask(t, s, "CreateTable", leases)
	if d, _ := created["TableDescription"].(map[string]any); d["TableStatus"] != "ACTIVE" || d["TableArn"] != "arn:aws:dynamodb:eu-west-1:111111111111:table/leases" {
		t.Errorf("created %v", created)
	}
	ask(t, s, "UpdateTable", owners)
	ask(t, s, "PutItem", strings.Replace(lease, `"TableName"`, `"Expected":{"leaseKey":{"Exists":false}},"TableName"`, 1))
	f := func(action, body, want string) {
		t.Helper()
		got, err := json.Marshal(ask(t, s, action, body))
		if err != nil || string(got) != want {
			t.Errorf("%s answers\n%s\nwant\n%s", action, got, want)
		}
	}
	item := func(counter, owner, more string) string {
		if owner != "" {
			owner = `"leaseOwner":{"S":"` + owner + `"}`
		}
		return `{"childShardIds":{"SS":["b","c"]},"leaseCounter":{"N":"` + counter + `"},"leaseKey":{"S":"a"}` + strings.TrimSuffix(","+owner, ",") + more + `}`
	}
	f("GetItem", `{"TableName":"leases","Key":{"leaseKey":{"S":"a"}},"ConsistentRead":true}`, `{"Item":`+item("1", "w", "")+`}`)
	f("GetItem", `{"TableName":"leases","Key":{"leaseKey":{"S":"none"}}}`, `{}`)
	f("UpdateItem", `{"TableName":"leases","Key":{"leaseKey":{"S":"a"}},"AttributeUpdates":{"leaseCounter":{"Action":"ADD","Value":{"N":"1"}},`+
		`"checkpoint":{"Action":"PUT","Value":{"S":"TRIM_HORIZON"}},"nothing":{"Action":"DELETE"}},"Expected":{"leaseCounter":{"Value":{"N":"1"}},`+
		`"checkpointOwner":{"Exists":false},"leaseOwner":{"Value":{"S":"w"}},"leaseKey":{"Exists":true,"Value":{"S":"a"}}},"ReturnValues":"ALL_NEW",`+
		`"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`, `{"Attributes":{"checkpoint":{"S":"TRIM_HORIZON"},`+item("2", "w", "")[1:]+`}`)
	f("UpdateItem", `{"TableName":"leases","Key":{"leaseKey":{"S":"a"}},"UpdateExpression":"SET #o = :o REMOVE checkpoint","ConditionExpression":`+
		`"attribute_exists(#k) AND #o = :w","ExpressionAttributeNames":{"#k":"leaseKey","#o":"leaseOwner"},"ExpressionAttributeValues":{":o":{"S":"x"},`+
		`":w":{"S":"w"}},"ReturnValues":"UPDATED_OLD"}`, `{"Attributes":{"checkpoint":{"S":"TRIM_HORIZON"},"leaseOwner":{"S":"w"}}}`)
	f("Query", `{"TableName":"leases","IndexName":"LeaseOwnerToLeaseKeyIndex","KeyConditionExpression":"leaseOwner = :leaseOwner",`+
		`"ExpressionAttributeValues":{":leaseOwner":{"S":"x"}}}`, `{"Count":1,"Items":[{"leaseKey":{"S":"a"},"leaseOwner":{"S":"x"}}],"ScannedCount":1}`)
	f("Scan", `{"TableName":"leases","Segment":0,"TotalSegments":1,"Limit":1,"FilterExpression":"#e = :e","ExpressionAttributeNames":{"#e":"entityType"},`+
		`"ExpressionAttributeValues":{":e":{"S":"x"}},"ConsistentRead":true}`, `{"Count":0,"Items":[],"LastEvaluatedKey":{"leaseKey":{"S":"a"}},"ScannedCount":1}`)
	f("Scan", `{"TableName":"leases","ExclusiveStartKey":{"leaseKey":{"S":"a"}},"Select":"COUNT"}`, `{"Count":0,"ScannedCount":0}`)
	f("TransactWriteItems", `{"TransactItems":[{"ConditionCheck":{"TableName":"leases","Key":{"leaseKey":{"S":"a"}},"ConditionExpression":"leaseOwner = :o",`+
		`"ExpressionAttributeValues":{":o":{"S":"x"}}}},{"Put":{"TableName":"leases","Item":{"leaseKey":{"S":"b"}},"ConditionExpression":"attribute_not_exists(leaseKey)"}},`+
		`{"Update":{"TableName":"leases","Key":{"leaseKey":{"S":"c"}},"UpdateExpression":"SET d = :d","ExpressionAttributeValues":{":d":{"M":{"l":{"L":[{"BOOL":true},{"NULL":true}]}}}}}}]}`, `{}`)
	f("DeleteItem", `{"TableName":"leases","Key":{"leaseKey":{"S":"a"}},"ReturnValues":"ALL_OLD"}`, `{"Attributes":`+item("2", "x", "")+`}`)
	f("DeleteItem", `{"TableName":"leases","Key":{"leaseKey":{"S":"a"}}}`, `{}`)
	f("GetItem", `{"TableName":"arn:aws:dynamodb:eu-west-1:111111111111:table/leases","Key":{"leaseKey":{"S":"c"}}}`,
		`{"Item":{"d":{"M":{"l":{"L":[{"BOOL":true},{"NULL":true}]}}},"leaseKey":{"S":"c"}}}`)
	f("ListTables", `{}`, `{"TableNames":["leases"]}`)
	if d, _ := ask(t, s, "DescribeTable", `{"TableName":"leases"}`)["Table"].(map[string]any); d["ItemCount"] != 2.0 || d["BillingModeSummary"] == nil {
		t.Errorf("described as %v", d)
	}
	ask(t, s, "DeleteTable", `{"TableName":"leases"}`)
	f("ListTables", `{}`, `{"TableNames":[]}`)
}

// TestErrors compares whole answers with the file of golden ones.
func TestErrors(t *testing.T) {
	s := server(t)
	ask(t, s, "CreateTable", leases)
	ask(t, s, "UpdateTable", owners)
	ask(t, s, "PutItem", lease)
	const here = `{"TableName":"leases",`
	const key = `"Key":{"leaseKey":{"S":"a"}}`
	cases := [][3]string{
		{"no such action", "BatchGetItem", `{}`},
		{"not JSON", "GetItem", `{"TableName"`},
		{"not a document", "GetItem", `[]`},
		{"wrong type", "GetItem", `{"TableName":7}`},
		{"no table name", "DescribeTable", `{}`},
		{"short name", "DescribeTable", `{"TableName":"x"}`},
		{"bad name", "DescribeTable", `{"TableName":"a b c"}`},
		{"no such table", "DescribeTable", `{"TableName":"none"}`},
		{"no such table for an item", "GetItem", `{"TableName":"none",` + key + `}`},
		{"table exists", "CreateTable", leases},
		{"no billing", "CreateTable", strings.Replace(leases, `,"BillingMode":"PAY_PER_REQUEST"`, "", 1)},
		{"undeclared key", "CreateTable", strings.ReplaceAll(leases, `"AttributeName":"leaseKey","KeyType"`, `"AttributeName":"other","KeyType"`)},
		{"local index", "CreateTable", here + `"LocalSecondaryIndexes":[]}`},
		{"condition failed", "PutItem", strings.Replace(lease, `"TableName"`, `"ConditionExpression":"attribute_not_exists(leaseKey)","TableName"`, 1)},
		{"condition failed with item", "DeleteItem", here + key + `,"Expected":{"leaseOwner":{"Value":{"S":"z"}}},"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`},
		{"both forms", "DeleteItem", here + key + `,"Expected":{"x":{"Exists":false}},"ConditionExpression":"attribute_exists(x)"}`},
		{"outside of the grammar", "DeleteItem", here + key + `,"ConditionExpression":"attribute_exists(x) OR attribute_exists(y)"}`},
		{"older comparison", "DeleteItem", here + key + `,"Expected":{"x":{"ComparisonOperator":"GT","AttributeValueList":[{"N":"1"}]}}}`},
		{"undefined value", "DeleteItem", here + key + `,"ConditionExpression":"x = :x"}`},
		{"unused value", "DeleteItem", here + key + `,"ConditionExpression":"attribute_exists(x)","ExpressionAttributeValues":{":x":{"S":"a"}}}`},
		{"wrong key", "GetItem", here + `"Key":{"other":{"S":"a"}}}`},
		{"no key", "UpdateItem", `{"TableName":"leases"}`},
		{"changed key", "UpdateItem", here + key + `,"AttributeUpdates":{"leaseKey":{"Value":{"S":"b"}}}}`},
		{"two types", "PutItem", here + `"Item":{"leaseKey":{"S":"a","N":"1"}}}`},
		{"no number", "PutItem", here + `"Item":{"leaseKey":{"S":"a"},"n":{"N":"one"}}}`},
		{"twice in a set", "PutItem", here + `"Item":{"leaseKey":{"S":"a"},"n":{"SS":["x","x"]}}}`},
		{"missing key", "PutItem", here + `"Item":{"n":{"S":"a"}}}`},
		{"bad enum", "PutItem", strings.Replace(lease, `"TableName"`, `"ReturnValues":"ALL_NEW","TableName"`, 1)},
		{"no such index", "Query", here + `"IndexName":"none","KeyConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`},
		{"segment", "Scan", here + `"Segment":1}`},
		{"backwards", "Query", here + `"ScanIndexForward":false,"KeyConditionExpression":"leaseKey = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`},
		{"cancelled", "TransactWriteItems", `{"TransactItems":[{"Put":` + strings.Replace(lease, `"TableName"`, `"ConditionExpression":"attribute_not_exists(leaseKey)",`+
			`"ReturnValuesOnConditionCheckFailure":"ALL_OLD","TableName"`, 1) + `},{"Delete":{"TableName":"leases","Key":{"leaseKey":{"S":"z"}}}}]}`},
		{"nothing to transact", "TransactWriteItems", `{"TransactItems":[]}`},
	}
	var got bytes.Buffer
	for _, c := range cases {
		resp := send1(t, s, c[1], c[2])
		body, _ := io.ReadAll(resp.Body)
		fmt.Fprintf(&got, "%s: %s\n%d %s\n", c[0], c[1], resp.StatusCode, body)
		if want := strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10); !slices.Equal(spelled(resp.Header, "x-amz-crc32"), []string{want}) {
			t.Errorf("%s: x-amz-crc32 is %v, want %s", c[0], spelled(resp.Header, "x-amz-crc32"), want)
		}
	}
	golden := filepath.Join("testdata", "errors.txt")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		for i, line := range strings.Split(got.String(), "\n") {
			if w := strings.Split(string(want), "\n"); i >= len(w) || w[i] != line {
				t.Errorf("line %d of the answers is\n%s", i+1, line)
			}
		}
	}
}

func TestDoor(t *testing.T) {
	s := server(t)
	f := func(what string, status int, want string, change func(*http.Request)) {
		t.Helper()
		resp := send1(t, s, "ListTables", "{}", change)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != status || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, want %d %s", what, resp.StatusCode, body, status, want)
		}
	}
	f("as it should be", 200, `{"TableNames":[]}`, func(*http.Request) {})
	f("no credentials", 400, `{"__type":"com.amazon.coral.service#MissingAuthenticationTokenException"`, func(r *http.Request) { r.Header.Del("Authorization") })
	f("GET", 400, "SerializationException", func(r *http.Request) { r.Method = http.MethodGet })
	f("JSON 1.1", 400, "SerializationException", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-amz-json-1.1") })
	f("too large", 413, "RequestEntityTooLarge", func(r *http.Request) { r.ContentLength = maxBody + 1 })
}

func TestAccountsAndRegionsAreApart(t *testing.T) {
	s := server(t)
	ask(t, s, "CreateTable", leases)
	for _, scope := range []string{"222222222222/20261122/eu-west-1", "111111111111/20261122/us-east-1"} {
		resp := send1(t, s, "DescribeTable", `{"TableName":"leases"}`, func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+scope+"/dynamodb/aws4_request, SignedHeaders=host, Signature=00")
		})
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s sees the table", scope)
		}
	}
}

// FuzzItem reads documents as items; what is read must be written so that it reads the same.
func FuzzItem(f *testing.F) {
	f.Add(`{"a":{"S":"x"},"n":{"N":"1.50"},"b":{"B":"AAE="},"t":{"BOOL":true},"z":{"NULL":true}}`)
	f.Add(`{"s":{"SS":["a","b"]},"l":{"L":[{"M":{"k":{"NS":["1"]}}}]}}`)
	f.Add(`{"a":{"S":7}}`)
	f.Add(`{"a":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := awshttp.JSON{}.Parse([]byte(text))
		if err != nil || doc.Kind != awshttp.Map {
			return
		}
		item, err := readItem(doc)
		if err != nil {
			if f := failureOf(err); f.status != 0 && f.status != http.StatusNotImplemented {
				t.Fatalf("%s: %v", text, err)
			}
			return
		}
		again, err := awshttp.JSON{}.Parse(awshttp.JSON{}.Append(nil, itemValue(item)))
		if err != nil {
			t.Fatal(err)
		}
		back, err := readItem(again)
		if err != nil || !maps.EqualFunc(item, back, itemstore.Value.Equal) {
			t.Fatalf("%s: %v became %v, %v", text, item, back, err)
		}
	})
}

// FuzzRequest sends bodies to every action: each is answered, none with a fault of the server.
func FuzzRequest(f *testing.F) {
	f.Add("PutItem", lease)
	f.Add("CreateTable", leases)
	f.Add("UpdateTable", owners)
	f.Add("Query", `{"TableName":"leases","KeyConditionExpression":"leaseKey = :k","ExpressionAttributeValues":{":k":{"S":"a"}}}`)
	f.Add("Scan", `{"TableName":"leases","Segment":0,"TotalSegments":3,"ExclusiveStartKey":{"leaseKey":{"S":"a"}}}`)
	f.Add("TransactWriteItems", `{"TransactItems":[{"Delete":{"TableName":"leases","Key":{"leaseKey":{"S":"z"}}}}]}`)
	store, err := itemstore.Open(itemstore.Options{Path: filepath.Join(f.TempDir(), "items.db"), NoSync: true, MaxBytes: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	var faults bytes.Buffer
	api := New(store, slog.New(slog.NewTextHandler(&faults, nil)))
	f.Fuzz(func(t *testing.T, action, body string) {
		c := awshttp.NeighbourCall{
			Identity: awshttp.Identity{Account: "0", Region: "r"}, Body: []byte(body),
			Request: &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {contentType}, "X-Amz-Target": {target + "." + action}}},
		}
		api.serve(&c)
		if c.Reply == nil || c.Status == http.StatusInternalServerError {
			t.Fatalf("%s %s: %d %s %s", action, body, c.Status, c.Reply, faults.String())
		}
	})
}

// spelled is a header of a reply whose name is sent as it is written here.
func spelled(h http.Header, name string) []string { return h[name] }

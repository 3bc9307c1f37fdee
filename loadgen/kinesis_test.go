package loadgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeKinesis is an endpoint in memory with one shard, which answers as told. The real one is tried where both are
// built; this one can refuse.
type fakeKinesis struct {
	noTags      bool   // refuse CreateStream with tags
	refuseEach  int    // refuse each n-th record
	failEach    int    // answer each n-th put with an error
	cutEach     int    // close the connection instead of answering each n-th put
	expireEach  int    // answer each n-th GetRecords with an expired iterator
	throttle    bool   // refuse the first GetRecords
	reply       string // answer puts with this
	chunked     bool
	mu          sync.Mutex // guards the following
	created     bool
	tags        map[string]string
	signatures  map[string]bool
	puts, gets  int
	records     []fakeRecord
	handled     int
	seenActions map[string]int
}

type fakeRecord struct {
	Data         []byte
	PartitionKey string
}

func (k *fakeKinesis) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), apiPrefix)
	if k.seenActions == nil {
		k.seenActions, k.signatures = make(map[string]int), make(map[string]bool)
	}
	k.seenActions[action]++
	k.signatures[r.Header.Get("Authorization")] = true
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") || r.Header.Get("X-Amz-Date") == "" {
		fail(w, "MissingAuthenticationTokenException")
		return
	}
	switch action {
	case "DescribeStreamSummary":
		if !k.created {
			fail(w, errNotFound)
			return
		}
		answer(w, `{"StreamDescriptionSummary":{"StreamStatus":"ACTIVE"}}`)
	case "CreateStream":
		var in struct{ Tags map[string]string }
		_ = json.Unmarshal(body, &in)
		if k.noTags && in.Tags != nil {
			fail(w, "ValidationException")
			return
		}
		k.created, k.tags = true, in.Tags
	case "ListShards":
		answer(w, `{"Shards":[{"ShardId":"shardId-000000000000"}]}`)
	case "GetShardIterator":
		var in struct{ StartingSequenceNumber string }
		_ = json.Unmarshal(body, &in)
		n, _ := strconv.Atoi(in.StartingSequenceNumber)
		answer(w, fmt.Sprintf(`{"ShardIterator":"%d"}`, n))
	case "GetRecords":
		k.get(w, body)
	case "PutRecords", "PutRecord":
		k.put(w, action, body)
	default:
		fail(w, "UnknownOperationException")
	}
}

func (k *fakeKinesis) put(w http.ResponseWriter, action string, body []byte) {
	k.puts++
	each := func(n int) bool { return n > 0 && k.puts%n == 0 }
	switch {
	case k.reply != "":
		answer(w, k.reply)
		return
	case each(k.failEach):
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"__type":"InternalFailure"}`)
		return
	case each(k.cutEach):
		panic(http.ErrAbortHandler)
	}
	var in struct {
		Records []fakeRecord
		fakeRecord
	}
	if err := json.Unmarshal(body, &in); err != nil {
		fail(w, "SerializationException")
		return
	}
	if action == "PutRecord" {
		k.records = append(k.records, in.fakeRecord)
		answer(w, fmt.Sprintf(`{"ShardId":"s","SequenceNumber":"%d"}`, len(k.records)))
		return
	}
	failed := 0
	var out []string
	for _, r := range in.Records {
		if k.handled++; k.refuseEach > 0 && k.handled%k.refuseEach == 0 {
			failed++
			out = append(out, `{"ErrorCode":"`+errThrottled+`","ErrorMessage":"Rate exceeded"}`)
			continue
		}
		k.records = append(k.records, r)
		out = append(out, fmt.Sprintf(`{"SequenceNumber":"%d","ShardId":"s"}`, len(k.records)))
	}
	if k.chunked {
		w.(http.Flusher).Flush()
	}
	answer(w, fmt.Sprintf(`{"FailedRecordCount":%d,"Records":[%s]}`, failed, strings.Join(out, ",")))
}

func (k *fakeKinesis) get(w http.ResponseWriter, body []byte) {
	k.gets++
	if k.expireEach > 0 && k.gets%k.expireEach == 0 {
		fail(w, errExpired)
		return
	}
	if k.throttle && k.gets == 1 {
		fail(w, errThrottled)
		return
	}
	var in struct{ ShardIterator string }
	_ = json.Unmarshal(body, &in)
	at, _ := strconv.Atoi(in.ShardIterator)
	to := min(len(k.records), at+500)
	type out struct {
		fakeRecord
		SequenceNumber string
	}
	page := struct {
		Records            []out
		NextShardIterator  string
		MillisBehindLatest int
	}{NextShardIterator: strconv.Itoa(to), MillisBehindLatest: len(k.records) - to}
	for i, r := range k.records[at:to] {
		page.Records = append(page.Records, out{r, strconv.Itoa(at + i + 1)})
	}
	b, _ := json.Marshal(page)
	answer(w, string(b))
}

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", contentType)
	_, _ = io.WriteString(w, body)
}

func fail(w http.ResponseWriter, code string) {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `{"__type":"`+code+`","message":"as told"}`)
}

// onFakeKinesis runs c on k and returns what Run did.
func onFakeKinesis(t *testing.T, c Config, k *fakeKinesis) (*Report, error) {
	t.Helper()
	srv := httptest.NewUnstartedServer(k)
	srv.Config.ErrorLog = nil
	srv.Start()
	defer srv.Close()
	c.Target = "kinesis+" + srv.URL
	orDefault(&c.Duration, 250*time.Millisecond)
	orDefault(&c.BatchRecords, 50)
	return Run(t.Context(), c)
}

func TestKinesis(t *testing.T) {
	f := func(name string, c Config, k *fakeKinesis, check func(r *Report)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			r, err := onFakeKinesis(t, c, k)
			if err != nil {
				t.Fatal(err)
			}
			if r.AckedRecords == 0 || !r.Verified || *r.Lost != 0 || *r.Corrupt != 0 || *r.Foreign != 0 {
				t.Fatalf("acked %d, verified %v, lost %d, corrupt %d, foreign %d", r.AckedRecords, r.Verified, *r.Lost, *r.Corrupt, *r.Foreign)
			}
			if kept := int64(len(k.records)); kept < r.AckedRecords {
				t.Fatalf("endpoint has %d records, %d were acknowledged", kept, r.AckedRecords)
			}
			if check != nil {
				check(r)
			} else if r.Errors != 0 {
				t.Fatalf("%v", r.ErrorKinds)
			}
		})
	}
	f("plain", Config{}, &fakeKinesis{}, nil)
	f("chunked replies", Config{}, &fakeKinesis{chunked: true}, nil)
	f("PutRecord", Config{BatchRecords: 1}, &fakeKinesis{}, nil)
	f("window", Config{Window: 3}, &fakeKinesis{}, nil)
	f("read along", Config{Consumers: 1, Poll: time.Millisecond}, &fakeKinesis{throttle: true, expireEach: 7}, nil)
	f("open", Config{Mode: Open, Rate: 2000, BatchRecords: 5}, &fakeKinesis{}, nil)
	f("lines", Config{Payload: "testdata/lines.txt"}, &fakeKinesis{}, nil)
	f("refused records", Config{}, &fakeKinesis{refuseEach: 7}, func(r *Report) {
		if r.Errors == 0 || r.ErrorKinds[errThrottled] != r.Errors || r.SentRecords-r.AckedRecords != r.Errors || *r.Unacknowledged != 0 || r.Valid {
			t.Errorf("errors %d %v, sent %d, acked %d", r.Errors, r.ErrorKinds, r.SentRecords, r.AckedRecords)
		}
	})
	f("failed requests", Config{}, &fakeKinesis{failEach: 3}, func(r *Report) {
		if r.Errors == 0 || r.ErrorKinds["InternalFailure"] != r.Errors {
			t.Errorf("errors %d %v", r.Errors, r.ErrorKinds)
		}
	})
	f("cut connections", Config{}, &fakeKinesis{cutEach: 3}, func(r *Report) {
		if r.Errors == 0 || r.ErrorKinds["connection lost"] != r.Errors {
			t.Errorf("errors %d %v", r.Errors, r.ErrorKinds)
		}
	})
}

func TestKinesisCreatesWithTagsIfItCan(t *testing.T) {
	t.Parallel()
	for _, noTags := range []bool{false, true} {
		k := &fakeKinesis{noTags: noTags}
		if _, err := onFakeKinesis(t, Config{Ack: AckOS}, k); err != nil {
			t.Fatal(err)
		}
		if got := k.tags[durabilityTag]; (got == "os") == noTags {
			t.Errorf("tag %q on an endpoint that refuses tags: %v", got, noTags)
		}
	}
}

func TestKinesisSignsWhenItHasKeys(t *testing.T) {
	k := &fakeKinesis{}
	if _, err := onFakeKinesis(t, Config{AccessKey: "AKID", SecretKey: "secret"}, k); err != nil {
		t.Fatal(err)
	}
	if len(k.signatures) < 3 {
		t.Fatalf("%d different signatures", len(k.signatures))
	}
	for s := range k.signatures {
		if !strings.Contains(s, "Credential=AKID/") || strings.Contains(s, strings.Repeat("0", 64)) {
			t.Errorf("signature %q", s)
		}
	}
}

func TestKinesisAnswersNonsense(t *testing.T) {
	// Not one put is answered as it should be: nothing counts as acknowledged.
	r, err := onFakeKinesis(t, Config{NoVerify: true}, &fakeKinesis{reply: `{"FailedRecordCount":0,"Records":[]}`})
	if err != nil {
		t.Fatal(err)
	}
	if r.AckedRecords != 0 || r.Errors == 0 || r.Valid {
		t.Fatalf("acked %d, errors %d, valid %v", r.AckedRecords, r.Errors, r.Valid)
	}
}

func TestKinesisServerDies(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(&fakeKinesis{})
	defer srv.Close()
	r, err := Run(t.Context(), Config{
		Target: "kinesis+" + srv.URL, Duration: 20 * time.Second, Timeout: 2 * time.Second, BatchRecords: 10, NoVerify: true,
		Progress: once(srv.Close),
	})
	checkDied(t, r, err)
}

func TestKinesisRefusesCreate(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fail(w, "AccessDeniedException") }))
	defer srv.Close()
	_, err := Run(t.Context(), Config{Target: "kinesis+" + srv.URL})
	var refused *RequestError
	if !errors.Is(err, ErrUnreachable) || !errors.As(err, &refused) || refused.Code != "AccessDeniedException" {
		t.Fatalf("error %v", err)
	}
}

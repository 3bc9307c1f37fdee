package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("scrape: status %d, %v\n%s", w.Code, err, text)
	}
	return string(text)
}

func TestScrape(t *testing.T) {
	r := New(Build{Version: "1.2.3", Commit: "abc", Go: "go1.26"})
	put := r.NewRequests().Operation("kinesis", "PutRecords", "json")
	put.Observe("", 3*time.Millisecond)
	put.Observe(OK, time.Millisecond)
	put.Observe("ResourceNotFoundException", time.Millisecond)
	state := Log{Published: 300, Written: 200, Durable: 100, Streams: 2, OpenShards: 8}
	r.WatchLog(func() Log { return state })
	r.WatchNative(func() Native { return Native{Sessions: 3} })

	text := scrape(t, r)
	for _, want := range []string{
		`shardmill_build_info{commit="abc",goversion="go1.26",version="1.2.3"} 1`,
		`shardmill_api_requests_total{code="OK",operation="PutRecords",protocol="json",service="kinesis"} 2`,
		`shardmill_api_requests_total{code="ResourceNotFoundException",operation="PutRecords",protocol="json",service="kinesis"} 1`,
		`shardmill_api_request_duration_seconds_count{operation="PutRecords",service="kinesis"} 3`,
		`shardmill_log_published_bytes_total 300`,
		`shardmill_log_unsynced_bytes 200`,
		`shardmill_log_failed 0`,
		`shardmill_open_shards 8`,
		`shardmill_native_sessions 3`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the scrape", want)
		}
	}
	state.Failed, state.Durable = true, 300
	if text = scrape(t, r); !strings.Contains(text, "shardmill_log_failed 1") || !strings.Contains(text, "shardmill_log_unsynced_bytes 0") {
		t.Errorf("a scrape does not show the state at its own moment:\n%s", text)
	}
}

// TestNames holds the naming rules of Prometheus for all of our own metrics.
func TestNames(t *testing.T) {
	r := New(Build{})
	r.NewRequests().Operation("kinesis", "PutRecord", "json").Observe("", time.Second)
	r.WatchLog(func() Log { return Log{} })
	r.WatchNative(func() Native { return Native{} })
	problems, err := testutil.GatherAndLint(r.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "shardmill_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

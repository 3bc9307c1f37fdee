package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// rig is a server for the client commands: a node of this process, and a way to run commands against it.
type rig struct {
	t      *testing.T
	client *client
	url    string
}

// newRig starts a server that ends with the test.
func newRig(t *testing.T) *rig {
	t.Helper()
	o := nodeOptions{
		serveCmd: serveCmd{
			Ephemeral: true, Listen: "127.0.0.1:0", TLS: off, Native: off, Durability: "mem",
			Account: defaultAccount, Region: defaultRegion, RingSize: 16 << 20, SegmentSize: 16 << 20,
		},
		Log: slog.New(slog.DiscardHandler),
	}
	n, err := startNode(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.stop(time.Second); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, url: "http://" + n.httpAddr}
	a := &app{ctx: t.Context(), stderr: io.Discard, getenv: r.getenv}
	if r.client, err = newClient(t.Context(), &clientFlags{Endpoint: r.url}, a); err != nil {
		t.Fatal(err)
	}
	return r
}

// getenv sees nothing of the environment that the tests run in.
func (*rig) getenv(string) (string, bool) { return "", false }

// run runs a command line against the server, and wants exit code 0.
func (r *rig) run(stdin string, args ...string) (stdout, stderr string) {
	r.t.Helper()
	code, stdout, stderr := r.exits(r.t.Context(), stdin, args...)
	if code != 0 {
		r.t.Fatalf("%s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout, stderr
}

func (r *rig) exits(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	var out, talk bytes.Buffer
	a := &app{ctx: ctx, stdin: strings.NewReader(stdin), stdout: &out, stderr: &talk, getenv: r.getenv}
	code = a.run(append(args, "--endpoint", r.url))
	return code, out.String(), talk.String()
}

func (r *rig) split(stream string) {
	r.t.Helper()
	r.run("", "stream", "split", stream, "0")
}

// numbered is n lines, each with a key of its own at the front.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"user-%d","n":%d}`+"\n", i%97, i)
	}
	return b.String()
}

func sortedLines(s string) []string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// TestPutAggregated writes lines as aggregated records and reads them back in both ways.
func TestPutAggregated(t *testing.T) {
	r := newRig(t)
	const n = 5000
	in := numbered(n)
	_, talk := r.run(in, "put", "s", "--create", "--shards", "4", "--agg", "--key-from", ".id")
	if !strings.HasPrefix(talk, "5,000 records to s in 4 shards, stored as ") {
		t.Errorf("put says %q", talk)
	}
	raw, _ := r.run("", "tail", "s", "--from", "horizon", "--no-follow", "--no-deaggregate", "-o", "%b")
	stored := strings.Count(raw, "\n")
	if stored < 4 || stored > n/100 || !strings.HasSuffix(talk, fmt.Sprintf("stored as %d\n", stored)) {
		t.Errorf("%d stored records, put said %q", stored, talk)
	}
	out, talk := r.run("", "tail", "s", "--from", "horizon", "--no-follow", "-o", "raw")
	if !slices.Equal(sortedLines(out), sortedLines(in)) || talk != "" {
		t.Errorf("%d lines come back, want %d; tail says %q", strings.Count(out, "\n"), n, talk)
	}
	checkOrder(t, out)
	out, _ = r.run("", "tail", "s", "--from", "horizon", "--no-follow", "--max", "7", "-o", "json")
	if strings.Count(out, "\n") != 7 || !strings.Contains(out, `"SubSequenceNumber":6,`) || !strings.Contains(out, `"PartitionKey":"user-`) {
		t.Errorf("as JSON: %s", out)
	}
}

// checkOrder wants the numbers of each key to rise.
func checkOrder(t *testing.T, lines string) {
	t.Helper()
	last := map[string]int{}
	for line := range strings.Lines(lines) {
		var user string
		var n int
		fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(`{}":,`, r) })
		if _, err := fmt.Sscanf(strings.Join(fields, " "), "id %s n %d", &user, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if before, ok := last[user]; ok && n <= before {
			t.Fatalf("%s: %d after %d", user, n, before)
		}
		last[user] = n
	}
}

// TestPutAggregatedPlain: what was put alone, or is too large to be gathered, is stored as it is.
func TestPutAggregatedPlain(t *testing.T) {
	r := newRig(t)
	large := strings.Repeat("x", putAggSize)
	r.run("alone\n", "put", "s", "--create", "--agg", "--key", "k")
	r.run("small\nmore\n"+large+"\nlast\n", "put", "s", "--agg", "--key", "k")
	raw, _ := r.run("", "tail", "s", "--from", "horizon", "--no-follow", "--no-deaggregate", "-o", "%k %v")
	want := "k alone\na base64:...\nk " + large + "\nk last\n"
	if i := strings.Index(raw, "base64:"); i >= 0 {
		end := strings.IndexByte(raw[i:], '\n')
		raw = raw[:i] + "base64:..." + raw[i+end:]
	}
	if raw != want {
		t.Errorf("stored %.200q, want %.200q", raw, want)
	}
	out, _ := r.run("", "tail", "s", "--from", "horizon", "--no-follow", "-o", "%k %v")
	if out != "k alone\nk small\nk more\nk "+large+"\nk last\n" {
		t.Errorf("read %.200q", out)
	}
}

// TestAggregatesThatStray splits the shard after records were gathered for it. The aggregate lands in a child that is not
// the home of all of them, where readers drop it, so all must be sent again.
func TestAggregatesThatStray(t *testing.T) {
	r := newRig(t)
	r.run("", "stream", "create", "s", "--shards", "1")
	cmd := &putCmd{Stream: "s", Agg: true, KeyFrom: ".id"}
	w := &putter{cmd: cmd, client: r.client, status: &status{}, rep: putReport{Shards: map[string]int{}}}
	var err error
	if w.agg, err = newAggregator(t.Context(), r.client, "s"); err != nil {
		t.Fatal(err)
	}
	const n = 3000
	in := numbered(n)
	i := 0
	for line := range strings.Lines(in) {
		if i++; i == n/2 {
			r.split("s")
		}
		if err := w.take(t.Context(), putLine{data: []byte(strings.TrimSuffix(line, "\n"))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.sendAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.rep.Records != n || w.rep.Failed != 0 || w.rep.Retried == 0 {
		t.Errorf("report %+v", w.rep)
	}
	out, talk := r.run("", "tail", "s", "--from", "horizon", "--no-follow", "-o", "raw")
	if !slices.Equal(sortedLines(out), sortedLines(in)) {
		t.Errorf("%d lines come back, want %d", strings.Count(out, "\n"), n)
	}
	if !strings.Contains(talk, "of an aggregate in shardId-000000000001: a key in it belongs to another shard") {
		t.Errorf("tail says %q", talk)
	}
	checkOrder(t, out)
}

// TestTailOfPythonAggregates reads what Amazon's Python library aggregated.
func TestTailOfPythonAggregates(t *testing.T) {
	r := newRig(t)
	r.run("", "stream", "create", "s", "--shards", "1")
	want := 0
	for _, name := range []string{"binary", "keys", "mixed"} {
		dir := filepath.Join("..", "..", "codec", "kpl", "testdata")
		data, err := os.ReadFile(filepath.Join(dir, name+".kpl"))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := os.ReadFile(filepath.Join(dir, name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		want += bytes.Count(lines, []byte("\n"))
		if _, err := r.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{
			StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{{Data: data, PartitionKey: aws.String("a")}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := r.run("", "tail", "s", "--from", "horizon", "--no-follow", "-o", "%k")
	if n := strings.Count(out, "\n"); n != want || want != 560 {
		t.Errorf("%d records, want %d", n, want)
	}
}

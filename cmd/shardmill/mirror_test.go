package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/codec/hashkey"
	"github.com/shardmill/shardmill/codec/kpl"
)

// read is the data of a stream's records as tail prints them, in shards' order.
func (r *rig) read(stream string, more ...string) string {
	r.t.Helper()
	out, _ := r.run("", append([]string{"tail", stream, "--from", "horizon", "--no-follow", "-o", "raw"}, more...)...)
	return out
}

func (r *rig) put(stream string, entries ...types.PutRecordsRequestEntry) {
	r.t.Helper()
	out, err := r.client.PutRecords(r.t.Context(), &kinesis.PutRecordsInput{StreamName: &stream, Records: entries})
	if err != nil || aws.ToInt32(out.FailedRecordCount) != 0 {
		r.t.Fatal(err, out)
	}
}

func readState(t *testing.T, path string) (s mirrorState) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMirrorThereAndBack mirrors a stream to a file and the file to a stream of other shards, with a reshard on the way, and then
// twice again with more records.
func TestMirrorThereAndBack(t *testing.T) {
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "s.jsonl")
	in := numbered(3000)
	parts := strings.SplitAfter(in, "\n")
	put := func(from, to int) {
		t.Helper()
		r.run(strings.Join(parts[from:to], ""), "put", "s", "--key-from", ".id")
	}
	r.run("", "stream", "create", "s", "--shards", "2")
	put(0, 1000)
	r.split("s")
	put(1000, 1500)
	rounds := []struct{ records, total int }{{1500, 1500}, {0, 1500}, {1500, 3000}}
	for i, round := range rounds {
		if i == 2 {
			put(1500, 2000)
			r.run("", "stream", "merge", "s", "2", "3")
			put(2000, 3000)
		}
		_, talk := r.run("", "mirror", "s", file)
		if want := plural(int64(round.records), "record") + " from s at "; !strings.HasPrefix(talk, want) {
			t.Errorf("round %d to the file: %q, want %q", i, talk, want)
		}
		_, talk = r.run("", "mirror", file, "d", "--create", "--shards", "3")
		if want := plural(int64(round.records), "record") + " from " + file; !strings.HasPrefix(talk, want) {
			t.Errorf("round %d from the file: %q, want %q", i, talk, want)
		}
		out := r.read("d")
		if !slices.Equal(sortedLines(out), sortedLines(strings.Join(parts[:round.total], ""))) {
			t.Fatalf("round %d: %d records, want %d", i, strings.Count(out, "\n"), round.total)
		}
		checkOrder(t, out)
	}
	if s := readState(t, file+".state"); s.Records != 3000 || len(s.Shards) != 5 {
		t.Errorf("state: %+v", s)
	}
	keys, _ := r.run("", "tail", "d", "--from", "horizon", "--no-follow", "-o", "%k")
	want, _ := r.run("", "tail", "s", "--from", "horizon", "--no-follow", "-o", "%k")
	if !slices.Equal(sortedLines(keys), sortedLines(want)) {
		t.Error("the keys have changed")
	}
}

// TestMirrorAfterCrash: a page that was written, but not booked, is not there twice.
func TestMirrorAfterCrash(t *testing.T) {
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "s.jsonl")
	in := numbered(500)
	r.run(in, "put", "s", "--create", "--key-from", ".id")
	r.run("", "mirror", "s", file)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(slices.Clone(before), `{"ShardId":"half a li`...), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run("last\n", "put", "s")
	r.run("", "mirror", "s", file)
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimPrefix(string(after), string(before)); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"Text":"last"`) {
		t.Errorf("after the crash: %q", got)
	}
	// Without its state the file is not overwritten.
	if err := os.Remove(file + ".state"); err != nil {
		t.Fatal(err)
	}
	if code, _, talk := r.exits(t.Context(), "", "mirror", "s", file); code != codeFailed || !strings.Contains(talk, "Add --restart") {
		t.Errorf("exit code %d: %s", code, talk)
	}
	r.run("", "mirror", "s", file, "--restart")
	again, err := os.ReadFile(file)
	if err != nil || string(again) != string(after) {
		t.Errorf("restarted: %d bytes, want %d, %v", len(again), len(after), err)
	}
	if err := os.WriteFile(file, before[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, talk := r.exits(t.Context(), "", "mirror", "s", file); code != codeFailed || !strings.Contains(talk, "has 10 bytes") {
		t.Errorf("a file cut short: exit code %d: %s", code, talk)
	}
}

// TestMirrorBetweenServers copies what is hard to copy: bytes that are no text, explicit hash keys, aggregated records that
// fit a shard of the destination and such that do not.
func TestMirrorBetweenServers(t *testing.T) {
	a, b := newRig(t), newRig(t)
	t.Chdir(t.TempDir())
	a.run("", "stream", "create", "s", "--shards", "4")
	shards := hashkey.Even(4)
	low := shards[0].First.String()
	aggregate := func(keys ...string) []byte {
		builder := kpl.NewBuilder(0)
		for _, k := range keys {
			if err := builder.Add(k, "", []byte("of "+k)); err != nil {
				t.Fatal(err)
			}
		}
		return builder.Append(nil)
	}
	keysOf := func(shard hashkey.Range) (keys []string) {
		for i := 0; len(keys) < 20; i++ {
			if k := fmt.Sprintf("key-%d", i); shard.Contains(hashkey.MD5.Of([]byte(k))) {
				keys = append(keys, k)
			}
		}
		return keys
	}
	second := keysOf(shards[1])
	a.put("s",
		types.PutRecordsRequestEntry{Data: []byte("\x00\xff\x01"), PartitionKey: aws.String("binary")},
		types.PutRecordsRequestEntry{Data: []byte("explicit"), PartitionKey: aws.String("b"), ExplicitHashKey: &low}, // b is in the third shard
		types.PutRecordsRequestEntry{Data: aggregate(second...), PartitionKey: aws.String("a"), ExplicitHashKey: aws.String(shards[1].First.String())},
	)
	to := "kinesis://d?endpoint=" + b.url
	code, out, talk := a.exits(t.Context(), "", "mirror", "s", to, "--create", "-o", "json")
	if code != 0 || !strings.Contains(out, `"records":3,`) || !strings.Contains(out, `"state":"mirror-s-d.state"`) {
		t.Fatalf("exit code %d: %s%s", code, out, talk)
	}
	const format = "%s %k %b"
	same := func(name string, more ...string) {
		t.Helper()
		want, _ := a.run("", append([]string{"tail", "s", "--from", "horizon", "--no-follow", "-o", format}, more...)...)
		got, _ := b.run("", append([]string{"tail", name, "--from", "horizon", "--no-follow", "-o", format}, more...)...)
		if !slices.Equal(sortedLines(got), sortedLines(want)) {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
	same("d")
	same("d", "--no-deaggregate")
	// Through a file as well.
	a.run("", "mirror", "s", "./s.jsonl")
	b.run("", "mirror", "./s.jsonl", "f", "--create", "--shards", "4")
	same("f")
	same("f", "--no-deaggregate")
	// With more shards the aggregate does not fit; its records are put one by one, where their keys belong.
	a.run("", "mirror", "s", "kinesis://wide?endpoint="+b.url, "--create", "--shards", "64")
	got := sortedLines(b.read("wide"))
	if len(got) != 22 {
		t.Errorf("%d records in 64 shards, want 22", len(got))
	}
	if raw := b.read("wide", "--no-deaggregate"); strings.Contains(raw, kpl.Magic) {
		t.Error("an aggregate that belongs to no one shard was put")
	}
	// Keys of a stream of our own routing are in no shard of theirs by MD5; that makes no explicit hash keys of them.
	a.run("", "stream", "create", "x", "--shards", "4", "--routing", "xxhash")
	a.run(numbered(100), "put", "x")
	if lines, _ := a.run("", "mirror", "x", "-"); strings.Count(lines, "\n") != 100 || strings.Contains(lines, "ExplicitHashKey") {
		t.Errorf("of a stream routed by xxhash: %s", lines)
	}
	// A stream of the same name is not the same stream.
	time.Sleep(1100 * time.Millisecond) // creation times have seconds
	a.run("", "stream", "delete", "s", "--yes")
	a.run("", "stream", "create", "s")
	if code, _, talk := a.exits(t.Context(), "", "mirror", "s", to); code != codeFailed || !strings.Contains(talk, "is the state of a mirror from s at") {
		t.Errorf("exit code %d: %s", code, talk)
	}
}

// TestMirrorFollows interrupts a following mirror again and again while records come in and the stream is reshaped. In
// the end the file holds each record once and in order.
func TestMirrorFollows(t *testing.T) {
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "s.jsonl")
	r.run("", "stream", "create", "s", "--shards", "2")
	in := numbered(4000)
	parts := strings.SplitAfter(strings.TrimSuffix(in, "\n"), "\n")
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		for i := 0; i < len(parts); i += 100 {
			code, _, talk := r.exits(context.WithoutCancel(t.Context()), strings.Join(parts[i:i+100], ""), "put", "s", "--key-from", ".id", "-q")
			if code != 0 {
				t.Errorf("put: exit code %d: %s", code, talk)
				return
			}
			if i == 1000 {
				if code, _, talk := r.exits(context.WithoutCancel(t.Context()), "", "stream", "split", "s", "1"); code != 0 {
					t.Errorf("split: exit code %d: %s", code, talk)
				}
			}
		}
	}()
	interrupted := 0
	for done := false; !done; {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 60*time.Millisecond, context.Canceled)
		stop, abort := context.WithCancel(t.Context())
		context.AfterFunc(ctx, abort)
		code, _, talk := r.exits(stop, "", "mirror", "s", file, "--follow")
		if code != codeInterrupted {
			t.Fatalf("exit code %d: %s", code, talk)
		}
		interrupted++
		cancel()
		abort()
		select {
		case <-writing:
			done = true
		default:
		}
	}
	r.run("", "mirror", "s", file)
	if interrupted < 3 {
		t.Errorf("interrupted %d times only", interrupted)
	}
	r.run("", "mirror", file, "d", "--create")
	out := r.read("d")
	if !slices.Equal(sortedLines(out), sortedLines(in)) {
		t.Errorf("%d records, want 4000", strings.Count(out, "\n"))
	}
	checkOrder(t, out)
}

// TestMirrorFollowsFile mirrors a file that grows by pieces of lines.
func TestMirrorFollowsFile(t *testing.T) {
	r := newRig(t)
	r.run("", "stream", "create", "d")
	file := filepath.Join(t.TempDir(), "in.jsonl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // the test is over
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		code, _, _ := r.exits(ctx, "", "mirror", file, "d", "--follow")
		ended <- code
	}()
	wait := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); r.read("d") != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got %q, want %q", r.read("d"), want)
			}
		}
	}
	write := func(s string) {
		t.Helper()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"PartitionKey":"k","Text":"one"}` + "\n" + `{"PartitionKey":"k","Te`)
	wait("one\n")
	write(`xt":"two"}` + "\n\n")
	wait("one\ntwo\n")
	cancel()
	if code := <-ended; code != codeInterrupted {
		t.Errorf("exit code %d", code)
	}
	write(`{"PartitionKey":"k","Data":"dGhyZWU="}`) // the last line needs no end
	r.run("", "mirror", file, "d")
	wait("one\ntwo\nthree\n")
	out, _ := r.run(`{"PartitionKey":"k","Text":"four"}`, "mirror", "-", "d", "-o", "yaml")
	if !strings.Contains(out, "records: 1\n") {
		t.Errorf("from stdin: %s", out)
	}
	out, _ = r.run("", "mirror", "d", "-")
	if strings.Count(out, "\n") != 4 || !strings.Contains(out, `"PartitionKey":"k","Text":"four"}`) {
		t.Errorf("to stdout: %s", out)
	}
}

func TestMirrorRefuses(t *testing.T) {
	r := newRig(t)
	t.Chdir(t.TempDir())
	r.run("", "stream", "create", "s")
	f := func(code int, talk string, args ...string) {
		t.Helper()
		got, _, said := r.exits(t.Context(), "", append([]string{"mirror"}, args...)...)
		if got != code || !strings.Contains(said, talk) {
			t.Errorf("%v: exit code %d, want %d: %s", args, got, code, said)
		}
	}
	f(codeUsage, "both files", "a.jsonl", "b.jsonl")
	f(codeUsage, "both files", "-", "./b")
	f(codeUsage, "both files", "a.jsonl", "b.jsonl", "--from", "latest")
	f(codeUsage, "the source is the destination", "s", "s")
	f(codeUsage, "the source is the destination", "s", "kinesis://s")
	f(codeUsage, "want a stream (kinesis://NAME)", "s3://bucket/x", "s")
	f(codeUsage, "want kinesis://NAME", "kinesis://", "s")
	f(codeUsage, "want kinesis://NAME", "kinesis://a/b", "s")
	f(codeUsage, "there is no setting speed", "kinesis://s?speed=9", "./x")
	f(codeUsage, "neither the name of a stream", "a b", "s")
	f(codeUsage, "a sequence number belongs to one", "s", "./x", "--from", "seq:1")
	f(codeUsage, "want a URL", "kinesis://s?endpoint=localhost", "./x")
	f(codeNotFound, "ResourceNotFoundException", "nobody", "./x")
	f(codeNotFound, "Add --create", "s", "nobody")
	f(codeUnreachable, "no server at", "kinesis://s?endpoint=http://127.0.0.1:1", "./x")
	f(codeFailed, "no such file", "./nowhere.jsonl", "s")
	line := func(text, want string) {
		t.Helper()
		if err := os.WriteFile("in.jsonl", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f(codeFailed, want, "in.jsonl", "s", "--restart")
	}
	line("hello\n", "line 1: invalid character")
	line(`{"Text":"x"}`, "line 1: no PartitionKey")
	line("\n"+`{"PartitionKey":"k"}`, "line 2: neither Data nor Text")
	line(`{"PartitionKey":"k","Text":"x","ExplicitHashKey":"0x1"}`, "line 1: ExplicitHashKey")
	line(`{"PartitionKey":"k","Data":"%"}`, "line 1: illegal base64")
	// What was good before a bad line is in.
	if err := os.WriteFile("in.jsonl", []byte(`{"PartitionKey":"k","Text":"good"}`+"\nbad\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(codePartly, "Mirrored before that: 1 record. Run it again to go on", "in.jsonl", "s", "--restart")
	if got := r.read("s"); got != "good\n" {
		t.Errorf("the stream holds %q", got)
	}
	if err := os.WriteFile("x.state", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(codeFailed, "is not the state of a mirror", "s", "./x")
}

// TestMirrorLines: every record survives the way through a line.
func TestMirrorLines(t *testing.T) {
	for _, data := range []string{"", "text", "two\nlines", "\x00", "\xff", "<&>\u2028", `"quoted\"`, "\x1b[31m"} {
		in := mirrorRecord{key: "k\u00fc", explicit: "7", data: []byte(data), shard: "shardId-000000000001", sequence: "495", arrived: time.Unix(1e9, 0)}
		line, err := appendLine(nil, &in)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(line), "\n") != 1 || !strings.HasSuffix(string(line), "\n") {
			t.Errorf("%q is not one line", line)
		}
		out, err := parseLine(line)
		if err != nil || out.key != in.key || out.explicit != in.explicit || string(out.data) != data || out.data == nil && data != "" {
			t.Errorf("%q came back as %q (%q, %q), %v", data, out.data, out.key, out.explicit, err)
		}
	}
}

// TestMirrorAgain: what is sent again after a refusal keeps each key's order.
func TestMirrorAgain(t *testing.T) {
	s := &streamSink{stream: "d"}
	var sent []putEntry
	var answers []types.PutRecordsResultEntry
	for i, code := range []string{"", "ProvisionedThroughputExceededException", "", "", "InternalFailure", ""} {
		sent = append(sent, plainEntry([]string{"a", "b"}[i%2], "", []byte{byte('0' + i)}))
		answer := types.PutRecordsResultEntry{ShardId: aws.String("shardId-000000000000")}
		if code != "" {
			answer.ErrorCode = &code
		}
		answers = append(answers, answer)
	}
	again, err := s.again(t.Context(), sent, answers)
	var got []byte
	for _, e := range again {
		got = append(got, e.Data...)
	}
	if err != nil || string(got) != "1345" {
		t.Errorf("sent again: %s, %v", got, err)
	}
	answers[0].ErrorCode, answers[0].ErrorMessage = aws.String("AccessDeniedException"), aws.String("no")
	if _, err := s.again(t.Context(), sent, answers); err == nil {
		t.Error("a lasting failure was passed over")
	}
	if again, err = s.again(t.Context(), sent[:2], nil); err != nil || len(again) != 2 {
		t.Errorf("without answers: %d, %v", len(again), err)
	}
}

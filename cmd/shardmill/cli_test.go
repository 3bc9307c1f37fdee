package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

func TestParseConfig(t *testing.T) {
	good := func(text string, check func(c *config) bool) {
		t.Helper()
		c, err := parseConfig([]byte(text))
		if err != nil || !check(c) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	bad := func(text, want string) {
		t.Helper()
		if _, err := parseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	good("", func(c *config) bool { return c.Data == nil })
	good("data: /srv/x\nshard_limit: 7\n", func(c *config) bool { return *c.Data == "/srv/x" && *c.ShardLimit == 7 })
	good("auth:\n  mode: keys\n  keys:\n  - access_key: A\n    secret_key: B\n    account: \"000000000001\"\n",
		func(c *config) bool { return c.Auth.Keys[0] == accessKey{"A", "B", "000000000001"} })
	bad("data: x\nlsten: y\n", `line 2: unknown key "lsten", nearest known key is "listen"`)
	bad("auth:\n  keys:\n  - acces_key: A\n", `line 3: unknown key "acces_key", nearest known key is "access_key"`)
	bad("shard_limit: many\n", "line 1: ")
	bad("auth:\n  keys:\n  - access_key: A\n", "auth.keys[0]: access_key and secret_key are both needed")
	bad("data: [\n", "line ")
}

// runApp runs a command line in this process.
func runApp(env map[string]string, args ...string) (code int, stdout, stderr string) {
	var out, talk bytes.Buffer
	a := &app{ctx: context.Background(), stdin: strings.NewReader(""), stdout: &out, stderr: &talk,
		getenv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	code = a.run(args)
	return code, out.String(), talk.String()
}

// TestOrigins holds the order of settings: flag, our environment, alias, file, default. A taken port shows which won.
func TestOrigins(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // a test
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:"+port+"\ndata: "+t.TempDir()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := "nowhere" // refused by the check of addresses, and named in the message
	f := func(wantListen string, env map[string]string, args ...string) {
		t.Helper()
		for k, v := range env {
			t.Setenv(k, v) // kong reads the process's environment
		}
		code, _, stderr := runApp(env, append(args, "--config", file)...)
		for k := range env {
			os.Unsetenv(k) //nolint:errcheck // t.Setenv restores it
		}
		if code == 0 || !strings.Contains(stderr, wantListen) {
			t.Errorf("%v %v: exit %d, %q, want %q in it", env, args, code, stderr, wantListen)
		}
	}
	f(port+" is taken", nil)
	f(wrong, map[string]string{"GATEWAY_PORT": "1", "SHARDMILL_LISTEN": wrong})
	f("using GATEWAY_PORT="+port, map[string]string{"GATEWAY_PORT": port})
	f("flagged", map[string]string{"SHARDMILL_LISTEN": wrong}, "--listen", "flagged")
}

func TestServeRefuses(t *testing.T) {
	f := func(wantCode int, want string, args ...string) {
		t.Helper()
		code, _, stderr := runApp(map[string]string{"AUTH": ""}, append([]string{"serve", "--ephemeral"}, args...)...)
		if code != wantCode || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, %q, want %d and %q", args, code, stderr, wantCode, want)
		}
	}
	f(codeRefused, "add --insecure", "--listen", "0.0.0.0:0")
	f(codeRefused, "add --insecure", "--native", ":0")
	f(codeUsage, "there are no keys", "--auth", "keys")
	f(codeUsage, "want 12 digits", "--account", "7")
	f(codeUsage, "want HOST:PORT", "--listen", "4566")
	f(codeUsage, "the port must be a number", "--listen", "127.0.0.1:http")
	f(codeUsage, "want name:shards", "--listen", "127.0.0.1:0", "--tls", "off", "--native", "off", "--streams", "a:x")
	f(codeUsage, "want a size", "--ring-size", "big")
	f(codeUsage, "no such file", "--config", filepath.Join(t.TempDir(), "none"))
	f(codeUsage, "unknown flag", "--colour")
}

func TestExitCodes(t *testing.T) {
	interrupted, cancel := context.WithCancel(context.Background())
	cancel()
	f := func(ctx context.Context, err error, want int) {
		t.Helper()
		if got := exitCodeOf(ctx, err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	bg := context.Background()
	f(bg, nil, 0)
	f(bg, errors.New("x"), codeFailed)
	f(bg, fmt.Errorf("wrapped: %w", usagef("x")), codeUsage)
	f(bg, &smithy.GenericAPIError{Code: "ResourceNotFoundException"}, codeNotFound)
	f(bg, &smithy.GenericAPIError{Code: "InvalidSignatureException"}, codeRefused)
	f(bg, &smithy.GenericAPIError{Code: "LimitExceededException"}, codeRefused)
	f(bg, &smithy.GenericAPIError{Code: "InvalidArgumentException"}, codeFailed)
	f(bg, fmt.Errorf("call: %w", &net.OpError{Op: "dial", Err: io.EOF}), codeUnreachable)
	f(bg, fmt.Errorf("call: %w", context.DeadlineExceeded), codeTimeout)
	f(interrupted, context.Canceled, codeInterrupted)
	f(bg, context.Canceled, codeFailed)
}

func TestParseFrom(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f := func(s string, want startPoint) {
		t.Helper()
		got, err := parseFrom(s, now)
		if err != nil || got.kind != want.kind || got.seq != want.seq || !got.at.Equal(want.at) {
			t.Errorf("%s: %+v, %v, want %+v", s, got, err, want)
		}
	}
	f("latest", startPoint{kind: types.ShardIteratorTypeLatest})
	f("horizon", startPoint{kind: types.ShardIteratorTypeTrimHorizon})
	f("seq:495", startPoint{kind: types.ShardIteratorTypeAtSequenceNumber, seq: "495"})
	f("5m", startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: now.Add(-5 * time.Minute)})
	f("1795341600", startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: now})
	f("2026-11-22T10:00Z", startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: now})
	f("2026-11-22T11:00:00+01:00", startPoint{kind: types.ShardIteratorTypeAtTimestamp, at: now})
	for _, s := range []string{"", "yesterday", "-5m", "2026-11-22 10:00"} {
		if _, err := parseFrom(s, now); exitCodeOf(t.Context(), err) != codeUsage {
			t.Errorf("%q: %v, want a usage error", s, err)
		}
	}
}

func TestRecordFormat(t *testing.T) {
	r := &tailRecord{Record: types.Record{Data: []byte("a\x1b[31m\tb"), PartitionKey: aws.String("k"), SequenceNumber: aws.String("495"),
		ApproximateArrivalTimestamp: aws.Time(time.Date(2026, 11, 22, 10, 0, 0, 5e6, time.UTC))}}
	f := func(format, want string) {
		t.Helper()
		form, err := newRecordFormat(format)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			return
		}
		if got := string(form([]byte(">"), "shardId-000000000010", r)); got != ">"+want+"\n" {
			t.Errorf("%s: %q, want %q", format, got, ">"+want)
		}
	}
	f("%k", "k")
	f("%s:%n %k=%b 100%%", "10:495 k=YRtbMzFtCWI= 100%")
	f("%t %v", "2026-11-22T10:00:00.005Z a\\u001b[31m\tb") // a record can not colour the terminal
	f("raw", "a\x1b[31m\tb")
	f("json", `{"ShardId":"shardId-000000000010","SequenceNumber":"495","ApproximateArrivalTimestamp":"2026-11-22T10:00:00.005Z","PartitionKey":"k","Data":"YRtbMzFtCWI="}`)
	r.Data = []byte("\xff\x00")
	f("%v", "base64:/wA=")
	for _, bad := range []string{"", "xml", "%", "%q", "%k %"} {
		if _, err := newRecordFormat(bad); err == nil {
			t.Errorf("%q was taken as a format", bad)
		}
	}
}

func TestJSONField(t *testing.T) {
	f := func(data, path, want string) {
		t.Helper()
		got, err := jsonField([]byte(data), path)
		if want == "" && err == nil || want != "" && got != want {
			t.Errorf("%s of %s: %q, %v, want %q", path, data, got, err, want)
		}
	}
	f(`{"user":{"id":7}}`, ".user.id", "7")
	f(`{"a":"x y"}`, ".a", "x y")
	f(`{"a":12345678901234567890}`, ".a", "12345678901234567890")
	f(`{"a":true}`, ".a", "true")
	for _, bad := range []string{`{"a":""}`, `{"a":null}`, `{"a":{}}`, `{"a":[1]}`, `{}`, `[]`, `no json`, ``} {
		f(bad, ".a", "")
	}
}

func TestSizesAndRates(t *testing.T) {
	size := func(s string, want int64) {
		t.Helper()
		var b byteSize
		err := b.UnmarshalText([]byte(s))
		if want < 0 && err == nil || want >= 0 && (err != nil || int64(b) != want) {
			t.Errorf("%s: %d, %v, want %d", s, b, err, want)
		}
	}
	size("100", 100)
	size("128B", 128)
	size("64KiB", 64<<10)
	size("1MB", 1e6)
	size("2 GiB", 2<<30)
	size("", -1)
	size("-1", -1)
	size("1.5MiB", -1)
	size("99999999999GiB", -1)
	var r rate
	if err := r.UnmarshalText([]byte("5000/s")); err != nil || r != 5000 {
		t.Errorf("5000/s: %v, %v", r, err)
	}
	if err := r.UnmarshalText([]byte("fast")); err == nil {
		t.Error("fast was taken as a rate")
	}
}

func TestTalk(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(count(0), "0")
	f(count(999), "999")
	f(count(1234567), "1,234,567")
	f(count(-1234), "-1,234")
	f(plural(1, "record"), "1 record")
	f(plural(10000, "record"), "10,000 records")
	f(nearest("shard-limit", []string{"streams", "shard_limit"}), "shard_limit")
	f(hashShare("0", "340282366920938463463374607431768211455"), "100.0%")
	f(fmt.Sprintln(durationOrMillis("500")), "500ms true\n")
	f(fmt.Sprintln(durationOrMillis("1s")), "1s true\n")
	f(fmt.Sprintln(portOnLoopback("70000")), "127.0.0.1:70000 false\n")
}

func TestWeblogRepeats(t *testing.T) {
	a, b := makeLines(3000, 7), makeLines(3000, 7)
	if !reflect.DeepEqual(a, b) {
		t.Fatal("the same seed gives other lines")
	}
	keys := map[string]int{}
	for _, l := range a {
		keys[l.key]++
		if part := strings.SplitN(string(l.data), " ", 4); part[0] != l.key || !strings.HasPrefix(part[3], "[01/Jan/2026:") {
			t.Fatalf("no line of an access log: %s", l.data)
		}
	}
	if len(keys) < 100 {
		t.Errorf("%d clients in 3000 lines, want many", len(keys))
	}
	// The first line of the default seed: changing the generator changes the numbers of every demo.
	const want = `198.51.100.109 - - [01/Jan/2026:00:00:00 +0000] "GET /feed.xml HTTP/1.1" 200 7833 `
	if got := string(makeLines(1, weblogSeed)[0].data); !strings.HasPrefix(got, want) {
		t.Errorf("first line %s", got)
	}
}

// TestLedger checks the demo's own judge: each fault must show, and none where all is well.
func TestLedger(t *testing.T) {
	lines := []logLine{{"a", []byte("a1")}, {"b", []byte("b1")}, {"a", []byte("a2")}, {"a", []byte("a2")}, {"a", []byte("a4")}}
	f := func(received string, want faults) {
		t.Helper()
		l := newLedger(lines)
		for i := range lines {
			l.sent(i)
			l.ack(i)
		}
		for rec := range strings.FieldsSeq(received) {
			l.receive([]byte(rec[:1]), []byte(rec))
		}
		if got := l.verdict(); got != want {
			t.Errorf("%s: %v, want %v", received, got, want)
		}
		if isClosedChan(l.complete) != (want.Lost == 0) {
			t.Errorf("%s: complete does not tell", received)
		}
	}
	f("a1 b1 a2 a2 a4", faults{})
	f("b1 a1 a2 a2 a4", faults{}) // order is per key
	f("a1 b1 a2 a4", faults{Lost: 1})
	f("a1 b1 a2 a2 a2 a4", faults{Duplicates: 1})
	f("a1 b1 a2 a4 a2", faults{Disorder: 1})
	f("a1 b1 a2 a2 a3 a4", faults{Foreign: 1})
	f("a1 b1 c1 a2 a2 a4", faults{Foreign: 1})
	f("", faults{Lost: 5})
}

// TestChain checks the judge of TestCrash in the same way.
func TestChain(t *testing.T) {
	make3 := func() (c *chain, hash []uint64) {
		c = newChain("k")
		hash = append(hash, 0)
		for range 3 {
			_, data := c.next(2)
			_, _, h, err := parseLink(data)
			if err != nil {
				t.Fatal(err)
			}
			hash = append(hash, h)
		}
		return c, hash
	}
	f := func(name string, want bool, play func(c *chain, hash []uint64) error) {
		t.Helper()
		c, hash := make3()
		if err := play(c, hash); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	read := func(c *chain, hash []uint64, numbers ...uint64) error {
		for _, n := range numbers {
			if err := c.verify(n, hash[n]); err != nil {
				return err
			}
		}
		return c.settle()
	}
	f("all", true, func(c *chain, h []uint64) error { c.ack(1); c.ack(3); return read(c, h, 1, 2, 3) })
	f("an unacknowledged one is missing", true, func(c *chain, h []uint64) error { c.ack(1); c.ack(3); return read(c, h, 1, 3) })
	f("an acknowledged one is missing", false, func(c *chain, h []uint64) error { c.ack(2); return read(c, h, 1, 3) })
	f("the last is missing", false, func(c *chain, h []uint64) error { c.ack(3); return read(c, h, 1, 2) })
	f("a seen one is missing", false, func(c *chain, h []uint64) error { return errors.Join(c.see(2), read(c, h, 1)) })
	f("twice", false, func(c *chain, h []uint64) error { return read(c, h, 1, 1) })
	f("out of order", false, func(c *chain, h []uint64) error { return read(c, h, 2, 1) })
	f("changed", false, func(c *chain, h []uint64) error { return c.verify(1, h[2]) })
	f("never sent", false, func(c *chain, _ []uint64) error { return c.verify(4, 0) })
	f("back from the dead", false, func(c *chain, h []uint64) error { return errors.Join(read(c, h, 1), read(c, h, 2)) })
}

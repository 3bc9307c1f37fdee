package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// leakChecked runs the tests and then looks for goroutines they left behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code == 0 {
		// gnet imports a goroutine pool whose package starts two goroutines when the program does.
		err := goleak.Find(goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
			goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"shardmill": func() { os.Exit(mainCode()) }})
}

// TestScripts runs the commands as a user types them; see the functions below for the commands that scripts have beside
// testscript's own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, ".tmp"))
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			if log := realLog(); log != "" {
				env.Setenv("REAL_LOG", log)
			}
			env.Values[serversKey{}] = map[string]*scriptServer{}
			return os.MkdirAll(home, 0o755)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "reallog" {
				return realLog() != "", nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":        exits,
			"get":          get,
			"start-server": startServer,
			"stop-server":  stopServer,
		},
	})
}

// realLog is a real access log beside the checkout, or empty.
func realLog() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			log := filepath.Join(dir, "..", "shared", "data", "apache_access.log")
			if _, statErr := os.Stat(log); statErr == nil {
				return log
			}
			return ""
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

// exits CODE COMMAND ARGS... runs a command and wants this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// scriptServer is a server that a script started.
type scriptServer struct {
	cmd    *exec.Cmd
	stdout syncBuffer
	stderr syncBuffer
}

// syncBuffer is what a child process has printed so far.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startServer NAME ARGS... starts a server, waits for its banner, keeps that in the file NAME.out, and sets HTTP, TLS,
// NATIVE and AWS_ENDPOINT_URL_KINESIS. It is killed at the script's end.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: start-server name [args...]")
	}
	path := ""
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(filepath.ListSeparator)) {
		if _, err := os.Stat(filepath.Join(dir, "shardmill")); err == nil {
			path = filepath.Join(dir, "shardmill")
			break
		}
	}
	s := &scriptServer{cmd: exec.Command(path, args[1:]...)}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = ts.MkAbs("."), &s.stdout, &s.stderr
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "SHARDMILL_AUTH_KEYS", "INITIALIZE_STREAMS"} {
		if v := ts.Getenv(name); v != "" {
			s.cmd.Env = append(s.cmd.Env, name+"="+v)
		}
	}
	ts.Check(s.cmd.Start())
	servers, _ := ts.Value(serversKey{}).(map[string]*scriptServer)
	servers[args[0]] = s
	ts.Defer(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	ready := regexp.MustCompile(`.*Ready\.\n`) // what testcontainers waits for
	for deadline := time.Now().Add(20 * time.Second); !ready.MatchString(s.stdout.String()); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("no server after 20 s; it said:\n%s%s", s.stdout.String(), s.stderr.String())
		}
	}
	banner := s.stdout.String()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(banner), 0o600))
	b := parseBanner(banner)
	ts.Setenv("HTTP", b.http)
	ts.Setenv("TLS", b.tls)
	ts.Setenv("NATIVE", b.native)
	ts.Setenv("AWS_ENDPOINT_URL_KINESIS", b.http)
}

type serversKey struct{}

// stopServer NAME stops a server with SIGTERM, wants exit code 0, and keeps what it said in NAME.err.
func stopServer(ts *testscript.TestScript, neg bool, args []string) {
	servers, _ := ts.Value(serversKey{}).(map[string]*scriptServer)
	if neg || len(args) != 1 || servers[args[0]] == nil {
		ts.Fatalf("usage: stop-server name")
	}
	s := servers[args[0]]
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	if err := s.cmd.Wait(); err != nil {
		ts.Fatalf("server %s: %v\n%s", args[0], err, s.stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), []byte(s.stderr.String()), 0o600))
}

// get URL [NAME=VALUE...] prints the answer to a GET with these headers on stdout: the status, then the body.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: get URL [NAME=VALUE...]")
	}
	req, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	for _, header := range args[1:] {
		name, value, _ := strings.Cut(header, "=")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the server's own certificate
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	ts.Check(err)
	defer resp.Body.Close() //nolint:errcheck // only read from
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", resp.StatusCode, body)
}

// bannerInfo is what clients need from a banner.
type bannerInfo struct{ http, tls, native string }

func parseBanner(text string) (b bannerInfo) {
	find := func(pattern string) string {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
			return m[1]
		}
		return ""
	}
	b.http = find(`AWS APIs\s+(http://\S+)`)
	b.tls = find(`\s(https://\S+) \(self-signed`)
	b.native = find(`Native\s+(\S+)`)
	return b
}

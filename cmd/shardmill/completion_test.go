package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestComplete presses Tab at the end of lines.
func TestComplete(t *testing.T) {
	r := newRig(t)
	r.run("", "stream", "create", "orders")
	r.run("", "stream", "create", "order-lines")
	f := func(line string, want ...string) {
		t.Helper()
		var got []string
		for range 100 { // a busy machine may be slower than the patience of a person
			var out strings.Builder
			a := &app{ctx: t.Context(), stdout: &out, stderr: &out, getenv: r.getenv}
			if code := a.run(append([]string{"__complete", "bash", "--"}, strings.Split(line, " ")...)); code != 0 {
				t.Errorf("%q: exit code %d", line, code)
			}
			if got = strings.Fields(out.String()); len(got) > 0 || len(want) == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	at := "--endpoint " + r.url + " "
	f("mi", "mirror")
	f("stream s", "split")
	f("--du", "--durability")
	f("serve --durability ", "disk", "os", "mem")
	f("serve --durability = m", "mem") // as bash splits it
	f("serve --durability=d", "--durability=disk")
	f("put -o y", "yaml")
	f("put --agg --fi", "--file")
	f("put --file ")
	f("completion ", "bash", "zsh", "fish")

	f("tail "+at, "order-lines", "orders")
	f("tail "+at+"orders", "orders")
	f("tail "+at+"order-", "order-lines")
	f("tail "+at+"--shard 1 orders", "orders")
	f("mirror "+at+"orders o", "order-lines", "orders")
	f("tail --endpoint="+r.url+" orders", "orders")
	f("tail --max 3 -- --quiet ")
	f("tail --endpoint http://127.0.0.1:1 o")
	f("tail --endpoint nonsense o")
	f("tail --unknown --he", "--help")
}

// TestCompleteIsQuick asks a server that never answers.
func TestCompleteIsQuick(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing is accepted
	var out strings.Builder
	a := &app{ctx: t.Context(), stdout: &out, stderr: &out, getenv: (*rig)(nil).getenv}
	asked := make(chan int)
	go func() {
		asked <- a.run([]string{"__complete", "zsh", "--", "tail", "--endpoint", "http://" + l.Addr().String(), ""})
	}()
	select {
	case code := <-asked:
		if code != 0 || out.String() != "" {
			t.Errorf("exit code %d, %q", code, out.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for the server")
	}
}

func TestCandidateText(t *testing.T) {
	f := func(shell, want string) {
		t.Helper()
		if got := (candidate{"a:b", "Does it. At length."}).text(shell); got != want {
			t.Errorf("%s: %q, want %q", shell, got, want)
		}
	}
	f("bash", "a:b")
	f("zsh", `a\:b:Does it`)
	f("fish", "a:b\tDoes it")
}

// TestShellScripts has the shells that are here read their scripts, and bash complete a line.
func TestShellScripts(t *testing.T) {
	scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	tried := 0
	for shell, script := range scripts {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("SKIPPED: there is no %s here", shell)
			continue
		}
		tried++
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s does not take its script: %v\n%s", shell, err, out)
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("SKIPPED: there is no bash here")
	}
	if tried == 0 {
		t.Error("no shell was tried")
	}
	binary := filepath.Join(t.TempDir(), "shardmill")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bash, "--norc")
	cmd.Stdin = strings.NewReader(bashCompletion + `
COMP_WORDS=(shardmill stream s) COMP_CWORD=2
_shardmill ` + binary + `
echo "${COMPREPLY[@]}"
COMP_WORDS=(shardmill serve --durability = "") COMP_CWORD=4
_shardmill ` + binary + `
echo "${COMPREPLY[@]}"
complete -p shardmill
`)
	out, err := cmd.CombinedOutput()
	if want := "split\ndisk os mem\ncomplete -o default -F _shardmill shardmill\n"; err != nil || string(out) != want {
		t.Errorf("bash: %q, want %q, %v", out, want, err)
	}
}

package vfs

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// lockEnv makes this test binary lock the file it names, say so, and wait for its end.
const lockEnv = "VFS_TEST_LOCK"

func TestMain(m *testing.M) {
	if name := os.Getenv(lockEnv); name != "" {
		if _, err := OS().Lock(name); err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString("locked\n")
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		return
	}
	os.Exit(m.Run())
}

// TestLockOfAnotherProcess: the error names the holder, and a killed holder holds nothing.
func TestLockOfAnotherProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), lockEnv+"="+name)
	_, err := child.StdinPipe() // kept open until Wait
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("child says %q: %v", line, err)
	}

	_, err = OS().Lock(name)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != child.Process.Pid {
		t.Errorf("lock error %v, want holder %d", err, child.Process.Pid)
	}
	must(t, child.Process.Kill())
	_ = child.Wait() // reports the kill
	unlock, err := OS().Lock(name)
	must(t, err)
	text, err := os.ReadFile(name)
	must(t, err)
	if string(text) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("lock file has %q", text)
	}
	must(t, unlock())
}

// TestPreallocateReserves: the blocks are there, not only the size.
func TestPreallocateReserves(t *testing.T) {
	const size = 8 << 20
	name := filepath.Join(t.TempDir(), "a")
	f, err := OS().Create(name)
	must(t, err)
	must(t, f.Preallocate(size))
	if got, known := allocated(t, name); known && got < size {
		t.Skipf("%d of %d bytes reserved: this file system has no fallocate", got, size)
	}
	must(t, f.Close())
}

func TestLockedErrorWithoutHolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	must(t, os.WriteFile(name, []byte("not a number"), fileMode))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	if held, err := tryLock(f); held || err != nil {
		t.Fatal(held, err)
	}
	_, err = OS().Lock(name)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != 0 || locked.Error() == "" {
		t.Fatalf("lock error %v", err)
	}
	must(t, f.Close())
}

// TestNextDataPassesOverReservedSpace: what was written is data, reserved space is not where the file system can tell,
// and behind the end there is nothing.
func TestNextDataPassesOverReservedSpace(t *testing.T) {
	f, err := OS().Create(filepath.Join(t.TempDir(), "f"))
	must(t, err)
	defer func() { must(t, f.Close()) }()
	const size, at = 8 << 20, 5 << 20
	must(t, f.Preallocate(size))
	_, err = f.WriteAt([]byte("x"), at)
	must(t, err)
	next, err := f.NextData(0)
	must(t, err)
	if next > at || next < 0 {
		t.Errorf("data at %d, written at %d", next, at)
	}
	t.Logf("data was written at %d, and this file system says that it begins at %d", at, next)
	if next, err := f.NextData(at); err != nil || next != at {
		t.Errorf("at the data: %d, %v", next, err)
	}
	_, err = f.NextData(size)
	wantErr(t, err, io.EOF)
}

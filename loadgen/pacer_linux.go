package loadgen

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// sleeper wakes a worker up on time. A timer descriptor goes through the same poller as the connections and is exact to
// some 60 us, where time.Sleep on an idle process rounds up to the poller's whole milliseconds (1.14 ms measured for
// 200 us). Not for concurrent use.
type sleeper struct {
	fd  int // of f, which owns it
	f   *os.File
	buf [8]byte
}

func newSleeper() (*sleeper, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return &sleeper{fd: fd, f: os.NewFile(uintptr(fd), "timer")}, nil
}

// sleep waits ns nanoseconds.
func (s *sleeper) sleep(ns int64) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, ns))}
	if err := unix.TimerfdSettime(s.fd, 0, &spec, nil); err != nil {
		return fmt.Errorf("set a timer: %w", err)
	}
	if _, err := s.f.Read(s.buf[:]); err != nil {
		return fmt.Errorf("wait for a timer: %w", err)
	}
	return nil
}

func (s *sleeper) close() error { return s.f.Close() }

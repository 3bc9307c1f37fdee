package main

import (
	"fmt"
	"io"
	"time"
)

// status is one line on stderr that changes while a command runs. It shows only where a person is watching.
// It is used by one goroutine.
type status struct {
	w     io.Writer // nil: show nothing
	next  time.Time
	shown bool
}

const statusEvery = 200 * time.Millisecond

func (a *app) newStatus(quiet bool) *status {
	term, _ := a.getenv("TERM")
	if quiet || term == "dumb" || !isTerminal(a.stderr) {
		return &status{}
	}
	return &status{w: a.stderr, next: time.Now().Add(statusEvery)}
}

// set replaces the line, at most every statusEvery. text is called only when it will be shown.
func (s *status) set(text func() string) {
	if s.w == nil {
		return
	}
	now := time.Now()
	if now.Before(s.next) {
		return
	}
	s.next, s.shown = now.Add(statusEvery), true
	fmt.Fprintf(s.w, "\r\x1b[K%s", text())
}

// clear removes the line.
func (s *status) clear() {
	if s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.shown = false
	}
}

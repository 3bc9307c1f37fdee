// Package bench measures every component beside a probe: the plainest program that must move the same bytes on the same
// machine (memcpy, write(2), a loopback stream, an event loop that discards, an HTTP handler that answers a canned
// reply). A cell is reported as the ratio of the two, measured in alternating rounds of one run, because the machines
// this runs on differ and are shared: a ratio travels, an absolute number does not.
//
// The main types are Options, Report and Cell; Run does the work. A scenario file (codec.go, engine.go, native.go,
// kinesis.go) lists its cells in one table. Floors and goals come from the targets table in ARCHITECTURE.md.
package bench

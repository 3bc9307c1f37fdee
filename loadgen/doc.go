// Package loadgen puts load on a stream and says how well it was carried: rates, percentiles without coordinated
// omission, and whether every acknowledged record came back once, in order and unharmed.
//
// It is a black box: it speaks the native protocol through transport/nativeclient and the Kinesis JSON API through its
// own HTTP/1.1 connections, so that it works against any Kinesis-compatible endpoint.
//
// Main types: Config says what to do, Run does it, Report is the outcome and writes itself as JSON, as text and as
// HdrHistogram files.
//
// # Clocks
//
// Each request has three moments: intended (when the schedule wanted it sent), sent, acknowledged.
//
//	response = intended -> acknowledged    what a user of the system waits; the headline
//	service  = sent -> acknowledged        what the system takes
//	lag      = intended -> sent            how far the generator, or a blocked connection, was behind
//	end_to_end = intended -> read back     per record, only where consumers run along
//
// In open mode the schedule of a worker depends on nothing but its own count: intended = start + i x interval (or the
// sum of exponential gaps). A request that is late is sent late and keeps its intended time, so that a stall of the
// target shows in every request it delayed. Saturate mode has no schedule: a request is intended when it is sent, so
// response equals service there and lag is absent; its percentiles describe a full window, not a user's wait.
//
// # Workers
//
// A worker is one ordered sequence of requests with its own partition keys, so that order per key can be checked. A native
// producer is one connection, pipelined, and one worker. HTTP/1.1 carries one request at a time, so an HTTP producer
// with a window of n is n connections and n workers.
//
// # Bytes it writes
//
// Each record's data starts with a 42-byte header (integrity.go) and goes on with random bytes or a line of a
// file. WriteHistograms writes HdrHistogram interval logs (.hlog, format 1.3) and percentile tables (.hgrm), values in
// microseconds.
package loadgen

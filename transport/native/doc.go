// Package native serves the binary protocol of package frame over gnet event loops: Server owns the listener, the loops
// and a few workers, Session is one connection. A session's bytes are parsed where they were read, batches go to the
// engine from there, and what was appended waits in the session's queue until a group commit has brought it to the level
// asked for; one wake-up per loop and commit then answers everything that became due, one write per connection.
//
// What runs where. Everything of a session is touched on its loop's goroutine only. Nothing there waits for a disk:
// reads of data that may have left the ring, lookups by time and stream creation run on the workers and come back to
// the loop. Bounds: a session's unacknowledged PRODUCE bytes by the credit granted to it, a partial frame by the frame
// limit, what a client does not read by outboundLimit, requests by maxFetches, maxSubscriptions and maxOpens.
//
// gnet's loops run without gnet's own listener: it gives up the whole engine when accept fails, which running out of
// file descriptors suffices for. The Server accepts by package net, which retries, and enrolls connections in the loops.
package native

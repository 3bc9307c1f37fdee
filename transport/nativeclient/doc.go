// Package nativeclient speaks the binary protocol of package frame. Client is one connection, on which any number of
// goroutines may have requests under way at a time; Stream is an opened stream; Producer batches records for it and
// returns a Future for each; Subscription gets batches pushed. Batches are those of package batch, as they are stored.
//
// A Client has two goroutines: one reads and completes what came back, the other writes what callers left behind while
// somebody else was writing. A caller that finds nobody writing writes itself. What is unanswered is bounded by
// Options.InFlight and the server's grant for PRODUCE, by the credit given for subscriptions, and by the callers
// themselves for the rest. A connection that has ended stays so: Dial again.
package nativeclient

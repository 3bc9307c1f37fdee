// Package batch is the record batch: the bytes a producer builds are the bytes a lane stores and the bytes a consumer
// gets. format.go draws them.
//
// A producer fills a Builder and sends what Finish returns. The server takes it in with Check, copies it into its lane and
// completes the copy's header with Stamp and CommitWord; PutPad fills gaps between batches. Recovery and readers look at
// stored bytes through CheckStored. Deliver turns a copy of a stored batch into what consumers get; they verify it with
// CheckDelivered and read it with an Iterator. Batch is a view of such bytes throughout.
//
// Everything here is safe on hostile input: a damaged or forged batch gives one of the errors of errors.go, never a
// panic, and no length is believed before it has been compared with a limit.
package batch

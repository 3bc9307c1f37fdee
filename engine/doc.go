// Package engine is Kinesis without the wire: streams and shards, routing, sequence numbers, split, merge, iterators,
// retention. Transports call it and map its errors; it knows no HTTP and no frame.
//
// Engine holds the streams, Stream is a handle of one. Records go into one lane (engine/lane) that all shards share; what
// exists is in the catalog (engine/catalog). The package itself writes two files into the data folder, LOCK and FORMAT
// (folder.go), and one format that leaves the process, the sealed shard iterator (token.go).
//
// Every exported method may be called concurrently unless it says otherwise. Errors that a client may see are *Error.
//
// Subscription pushes the records of a shard to a registered consumer: one goroutine of the caller's each, woken by
// appends (fanout.go).
//
// Locks, in the order they are taken: Engine.create or Stream.control, then one of limits.mu, dueList.mu, shardTable.mu,
// fanout.mu or the catalog's own. The data plane (Append, AppendBatch, ReadBatches, Records) takes none of them; Records of compressed
// batches takes bodyCache.mu for a moment.
package engine

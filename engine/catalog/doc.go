// Package catalog remembers which streams and shards exist. It survives kill -9 and power loss at any byte: what Put and
// Remove have acknowledged is there after a restart, and what they have not is there wholly or not at all.
//
// Catalog is the main type. It writes one folder: a snapshot, and a log of the changes since. See format.go for the bytes.
// StreamInfo and ShardInfo are what it keeps; those it hands out are never written to again, so readers need no lock.
package catalog

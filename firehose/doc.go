// Package firehose will hold delivery of streams to object stores, warehouses, search indexes and HTTP endpoints, one package a destination below it.
// There is nothing in it yet; it keeps the place that the import law gives it, between transport and engine.
package firehose

// Package analytics will hold streaming SQL over streams.
// There is nothing in it yet; it keeps the place that the import law gives it, between transport and engine.
package analytics

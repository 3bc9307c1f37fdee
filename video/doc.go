// Package video will hold video streams: cameras in, players and machine learning out.
// There is nothing in it yet; it keeps the place that the import law gives it, between transport and engine.
package video

//go:build race

package zstdpool

// raceEnabled: under the race detector sync.Pool drops a part of what it is given, so zstd allocates.
const raceEnabled = true

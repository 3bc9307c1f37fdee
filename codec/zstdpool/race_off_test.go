//go:build !race

package zstdpool

const raceEnabled = false

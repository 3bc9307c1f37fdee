//go:build race

package native_test

// raceEnabled: the race detector makes pools forget and allocates by itself.
const raceEnabled = true

//go:build !lanestress

package lane

// stress does nothing; see stress_on.go.
func stress(stressPoint) {}

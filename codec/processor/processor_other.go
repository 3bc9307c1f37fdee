//go:build !amd64 || purego

package processor

func detect() set { return set{} }

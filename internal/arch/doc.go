// Package arch holds the laws of the house as tests: who may import whom, how deep folders go, how long files and
// functions are, which calls belong to which room. It has no code of its own. laws_test.go is the list to read; a change to
// its tables is a change of design and is argued in ARCHITECTURE.md.
package arch

package engine

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// 40 random histories are enough for every run; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic("BUG: " + err.Error())
	}
	goleak.VerifyTestMain(m)
}

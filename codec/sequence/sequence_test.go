package sequence

import (
	"math/big"
	"testing"
)

func TestNeighbourPin(t *testing.T) {
	a, _ := new(big.Int).SetString(Start(1_700_000_000, 0).String(), 10)
	b, _ := new(big.Int).SetString(Start(1_700_000_000, 1).String(), 10)
	if got := b.Sub(b, a).String(); got != "22300745198530623141535718272648361505980432" {
		t.Fatalf("start numbers of neighbours differ by %s", got)
	}
}

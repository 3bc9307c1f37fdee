package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// TestEveryCell runs each cell for one very short round: it must work, count and compare. How fast it is says nothing
// here, so no floor is held.
func TestEveryCell(t *testing.T) {
	r, err := Run(t.Context(), Options{Rounds: 1, Round: 10 * time.Millisecond, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(scenarios()); len(r.Cells) != want {
		t.Fatalf("%d cells ran, want %d", len(r.Cells), want)
	}
	for _, c := range r.Cells {
		if c.Error != "" || !(c.Ratio > 0) || !(c.OpsPerSecond > 0) {
			t.Errorf("%s %s: ratio %v, %v ops/s, error %q", c.Component, c.Name, c.Ratio, c.OpsPerSecond, c.Error)
		}
	}
	var text, data bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&data)); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data.Bytes(), &back); err != nil || len(back.Cells) != len(r.Cells) {
		t.Errorf("the JSON does not read back: %v", err)
	}
	t.Log("\n" + text.String())
}

// TestUnknownComponent is refused before anything is measured.
func TestUnknownComponent(t *testing.T) {
	_, err := Run(context.Background(), Options{Components: []string{"warp"}})
	var unknown *ErrUnknownComponent
	if !errors.As(err, &unknown) || unknown.Component != "warp" {
		t.Errorf("error %v", err)
	}
}

// TestFloor: a cell under its floor is a failed one, and where lower is better one above its ceiling.
func TestFloor(t *testing.T) {
	f := func(value, probe, floor float64, lower, pass bool) {
		t.Helper()
		c := Cell{Floor: floor, LowerIsBetter: lower}
		c.add(sample{ops: 1, wall: time.Second, figure: value}, sample{ops: 1, wall: time.Second, figure: probe})
		c.summarise(1)
		if c.Pass != pass {
			t.Errorf("%v against %v with floor %v: pass %v", value, probe, floor, c.Pass)
		}
	}
	f(80, 100, 0.75, false, true)
	f(70, 100, 0.75, false, false)
	f(130, 100, 1.4, true, true)
	f(150, 100, 1.4, true, false)
}

package native

import (
	"errors"
	"testing"

	"github.com/shardmill/shardmill/engine"
)

// Engine.Err also tells that old segments cannot be removed. Appends go on then, and must not be answered with an error.
func TestStopsAppends(t *testing.T) {
	cause := errors.New("input/output error")
	f := func(err error, want bool) {
		t.Helper()
		if got := stopsAppends(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	f(nil, false)
	f(&engine.Error{Code: engine.CodeInternal, Cause: cause}, false) // what a failed trim is
	f(&engine.Error{Code: engine.CodeStopped, Cause: cause}, true)
}

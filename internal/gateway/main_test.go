package gateway

import (
	"os"
	"runtime"
	"testing"
)

// TestMain adds the processors that the loops keep while they wait, as whoever serves with
// them does: else the tests' own goroutines wait 10 ms for each turn.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + Loops())
	os.Exit(m.Run())
}

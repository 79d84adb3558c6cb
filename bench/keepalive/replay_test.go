package main

import (
	"os"
	"testing"
	"time"

	"titrate/internal/target/local/keepalive"
)

func hybrid() policy {
	return policy{"hybrid", (*keepalive.History).Windows, keepalive.Default()}
}

func TestReplay_countsColdAndIdle(t *testing.T) {
	t.Parallel()
	minutes := make([]int, 60)
	minutes[0], minutes[5], minutes[40] = 1, 1, 1
	r := replay([]function{{minutes: minutes}}, fixed(10*time.Minute))
	if r.calls != 3 || r.colds != 2 || r.firsts != 1 || r.idle != 25.0/60 {
		t.Errorf("%+v", r)
	}
}

func TestReplay_hybridBeatsAFixedTimeOnTheTrace(t *testing.T) {
	t.Parallel()
	const data = "../../../shared/data/azure-functions-2019"
	if _, err := os.Stat(data); err != nil {
		t.Skipf("the trace is not there: %v", err)
	}
	functions, err := read(data, "100")
	if err != nil {
		t.Fatal(err)
	}
	base, got := replay(functions[:50], fixed(10*time.Minute)), replay(functions[:50], hybrid())
	if got.cold() > base.cold() || got.idle > base.idle {
		t.Errorf("hybrid %+v, fixed %+v", got, base)
	}
}

package harness

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	n, _ := strconv.ParseUint(os.Getenv("SIM_SEED"), 10, 64)
	if n == 0 {
		t.Skip()
	}
	r := Trace(Options{Seed: n}, os.Stdout, time.Now)
	fmt.Println(r.Violations)
}

package local

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestImage_aShimHoldsNothingThatItWasNotGiven has a descriptor open that is not marked
// to be closed, as a caller may leave one.
func TestImage_aShimHoldsNothingThatItWasNotGiven(t *testing.T) {
	t.Parallel()
	needImages(t)
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	leak, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", pipe[0]))
	if err != nil {
		t.Fatal(err)
	}
	dir := newFolder(t)
	addPicture(t, dir)
	b := newBench(t, dir)
	b.want(imaged(run(1, 1, "serve")))
	b.untilReady(1, 1)
	seen, _ := b.Seen()
	pids := familyOf(t, seen.instance("orders-v1-a").PID).session()
	if len(pids) < 3 {
		t.Errorf("it is %d processes: the shim, the first within and the program are 3", len(pids))
	}
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d/fd/", pid)
		entries, err := os.ReadDir(dir)
		if err != nil && os.Geteuid() == 0 { // the first within shows itself to nobody else
			t.Error(err)
		}
		for _, e := range entries {
			if to, _ := os.Readlink(dir + e.Name()); strings.HasPrefix(to, "pipe:") && to == leak {
				t.Errorf("process %d holds %s", pid, to)
			}
		}
	}
}

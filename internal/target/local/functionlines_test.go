package local

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"titrate/internal/world"
)

// texts are the lines of the function's log, without what differs from run to run.
func (b *bench) texts() []string {
	b.t.Helper()
	var out []string
	for _, l := range b.logs(world.LogQuery{Workload: orders.Workload}) {
		text, _, _ := strings.Cut(l.Text, "\t")
		out = append(out, text)
	}
	return out
}

// The log of a function reads in order: while a call is at work it says so, and what the
// function writes stands within its call.
func TestFunction_logsReadInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	const start, end, report = "START RequestId: 8476a536-e9f4 Version: 1", "END RequestId: 8476a536-e9f4", "REPORT RequestId: 8476a536-e9f4"
	var work sync.WaitGroup
	work.Go(func() { b.ask(c, `{"do":"say-wait","path":"go-on"}`) })
	want := []string{start, "begins"}
	b.until("the call under way is in the log", func(Seen) bool { return slices.Equal(b.texts(), want) })
	b.state("go-on")
	work.Wait()
	want = append(want, "goes on", end, report)
	if got := b.texts(); !slices.Equal(got, want) {
		t.Errorf("once it is over: %q", got)
	}
	b.tell(c) // says nothing
	if got := b.texts(); !slices.Equal(got, want) {
		t.Errorf("of a call that wrote nothing: %q", got)
	}
	b.try(c, `{"do":"exit"}`)
	want = append(want, start, "gives up", "RequestId: 8476a536-e9f4 Error: Runtime.ExitError: Runtime exited with error: exit status 3", end, report)
	if got := b.texts(); !slices.Equal(got, want) {
		t.Errorf("of a call that failed: %q", got)
	}
}

// One that has written nothing is in the log when it has been at work for a while.
func TestFunction_aSilentCallIsInTheLogWhileItGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.wantFn(nil, fnFleet(1, "function"))
	c := b.callee(1)
	var work sync.WaitGroup
	work.Go(func() { b.ask(c, `{"do":"wait","path":"go-on"}`) })
	b.until("it is in the log", func(Seen) bool {
		return slices.Equal(b.texts(), []string{"START RequestId: 8476a536-e9f4 Version: 1"})
	})
	b.state("go-on")
	work.Wait()
	if got := b.texts(); len(got) != 3 {
		t.Errorf("%q", got)
	}
}

package runtimes_test

import "testing"

// TestClients_endQuietlyWhenThereIsNoMoreWork ends functions as their instances are ended
// every day: nothing in their logs looks as if they had failed.
func TestClients_endQuietlyWhenThereIsNoMoreWork(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]map[string]string{
		"nodejs":  {"handler.mjs": "export const handler = async () => 1;"},
		"python3": {"handler.py": "def handler(event, context): return 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			p := start(t, h, find(t, name), "handler.handler", code)
			h.invoke(t, p, "1", "{}")
			close(h.over)
			<-p.ended
			if got := p.out.String(); got != "" || p.cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("%s: %q", p.cmd.ProcessState, got)
			}
		})
	}
}

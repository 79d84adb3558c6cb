package daemon

import (
	"slices"
	"testing"
)

// A workload that speaks to a service manager itself must not speak in titrate's name.
func TestChildren_knowNothingOfTheServiceManager(t *testing.T) {
	t.Parallel()
	env := []string{"PATH=/bin", "NOTIFY_SOCKET=@s", "LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=api", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "TITRATE_GIVEN=api=4"}
	if got := withoutManager(env); !slices.Equal(got, []string{"PATH=/bin"}) {
		t.Errorf("children get %v", got)
	}
	// The next keeper still speaks to it, and takes no socket twice.
	if got := withoutSockets(env); !slices.Equal(got, []string{"PATH=/bin", "NOTIFY_SOCKET=@s", "WATCHDOG_USEC=1", "WATCHDOG_PID=1"}) {
		t.Errorf("the next keeper gets %v", got)
	}
	if !supervised(env) || supervised(withoutManager(env)) {
		t.Error("who is supervised is the one with a socket to notify")
	}
}

func TestURL_ofASocketForEveryAddressIsReachedOnThisMachine(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{"0.0.0.0:80": "http://127.0.0.1:80", "[::]:80": "http://127.0.0.1:80", "10.0.0.1:80": "http://10.0.0.1:80"} {
		if got := urlOf(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

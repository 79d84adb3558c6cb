package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Limit bounds how often wrong credentials may be tried from one place: Burst of
// them, and then one each Every. Its zero value must not be used.
type Limit struct {
	Burst int
	Every time.Duration

	mu    sync.Mutex
	tried map[netip.Prefix]time.Time // when nothing of what was tried counts any more
}

// maxPlaces bounds what is remembered. Past it the places that are nearly forgiven
// are forgotten first; nobody is let in who should not be, only tried more often.
const maxPlaces = 10_000

// place is what counts as one: an IPv4 address, or the /64 that one customer has.
func place(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // these bits fit
	return p
}

// Wait is how long nobody there is to be listened to; 0: now.
func (l *Limit) Wait(from netip.Addr, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	owed := max(0, l.tried[place(from)].Sub(now)) // far in the past for one that is not there
	return max(0, owed-time.Duration(l.Burst-1)*l.Every)
}

// Failed notes a wrong credential.
func (l *Limit) Failed(from netip.Addr, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tried == nil {
		l.tried = map[netip.Prefix]time.Time{}
	}
	if len(l.tried) >= maxPlaces {
		l.forget(now)
	}
	p := place(from)
	since := l.tried[p]
	if since.Before(now) {
		since = now
	}
	l.tried[p] = since.Add(l.Every)
}

// forget drops what counts no more, and where that is nothing, the half that owes
// least. Guarded by mu.
func (l *Limit) forget(now time.Time) {
	for within := time.Duration(0); len(l.tried) >= maxPlaces; within += l.Every {
		for p, until := range l.tried {
			if until.Sub(now) <= within {
				delete(l.tried, p)
			}
		}
	}
}

package gateway

import (
	"net"
	"os"
	"sync/atomic"

	"titrate/internal/begun"
)

// moved is where connections go that a loop has begun to read, and of which the front on
// net/http does the rest.
type moved struct {
	*begun.Listener
	given counter     // that nobody has accepted yet
	total *counter    // that ever were
	shut  atomic.Bool // nobody accepts any more
	cfg   Config
}

func newMoved(at net.Addr, total *counter, cfg Config) *moved {
	return &moved{Listener: begun.NewListener(at), total: total, cfg: cfg}
}

// take makes a connection of a descriptor, and has it accepted: read was read of it.
func (m *moved) take(fd int, read []byte) {
	m.given.Add(1)
	m.total.Add(1)
	go func() { // whoever accepts may be busy
		defer m.given.Add(-1)
		f := os.NewFile(uintptr(fd), "moved")
		c, err := net.FileConn(f)
		f.Close()
		if err == nil {
			m.Give(newStrict(c, read, m.cfg), nil)
		}
	}()
}

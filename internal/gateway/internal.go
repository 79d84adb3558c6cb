package gateway

import (
	"hash/fnv"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"titrate/internal/rollout"
)

// addresses gives each workload a loopback address of its own, under which its
// peers reach it through the gateway. All of 127.0.0.0/8 leads to the one
// internal listener, and the address a client connected to says which workload
// it means: that works for every HTTP client without a name server, needs one
// kept socket, and can be forged by no header.
//
// An address follows from the workload's name, so that it is the same after a
// restart, for processes that were given it before. Where two names hash to one
// address the later one moves on; the earlier keeps its own for the life of the
// process.
type addresses struct {
	byKey map[rollout.Key]netip.Addr
	used  map[netip.Addr]rollout.Key
}

// of returns the address of a workload, given to it if need be.
func (a *addresses) of(k rollout.Key) netip.Addr {
	if at, ok := a.byKey[k]; ok {
		return at
	}
	if a.byKey == nil {
		a.byKey, a.used = map[rollout.Key]netip.Addr{}, map[netip.Addr]rollout.Key{}
	}
	at := hashAddress(k)
	for {
		if _, taken := a.used[at]; !taken {
			break
		}
		at = at.Next()
		if !inRange(at) {
			at = netip.AddrFrom4([4]byte{127, firstNet, 0, 1})
		}
	}
	a.byKey[k], a.used[at] = at, k
	return at
}

// The second byte of the addresses given out: away from 127.0.x.x and 127.1.x.x,
// which others use.
const firstNet, lastNet = 16, 239

func inRange(a netip.Addr) bool {
	b := a.As4()
	return b[0] == 127 && b[1] >= firstNet && b[1] <= lastNet
}

// hashAddress returns where a workload's address is looked for first.
func hashAddress(k rollout.Key) netip.Addr {
	h := fnv.New64a()
	for _, s := range []string{k.App, k.Env, k.Workload} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	n := h.Sum64()
	n ^= n >> 32
	return netip.AddrFrom4([4]byte{
		127,
		firstNet + byte(n>>16)%(lastNet-firstNet+1),
		byte(n >> 8),
		1 + byte(n)%254, // no .0 and no .255, which some software takes for networks
	})
}

// assign returns the lanes by address.
func (a *addresses) assign(ws []Workload, lanes map[rollout.Key]*lane) map[netip.Addr]*lane {
	out := make(map[netip.Addr]*lane, len(ws))
	for _, w := range ws {
		if !w.Worker {
			out[a.of(w.Key)] = lanes[w.Key]
		}
	}
	return out
}

// InternalURL returns the base address under which workloads on this machine
// reach a workload through the gateway, without trailing slash; it is empty when
// there is no internal listener. It is known before the table names the workload.
func (g *Gateway) InternalURL(k rollout.Key) string {
	if g.cfg.InternalPort == 0 {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return "http://" + net.JoinHostPort(g.addresses.of(k).String(), strconv.Itoa(g.cfg.InternalPort))
}

// localOf returns the address that the client of an internal request connected to.
func localOf(r *http.Request) netip.Addr {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	local, _ := addrOf(at)
	return local
}

// ownAddress is where what is no workload answers on the internal listener.
var ownAddress = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// own has Config.Own answer what is for it, and leaves all others alone.
func (f *front) own(w http.ResponseWriter, r *http.Request) bool {
	if !f.internal || f.g.cfg.Own == nil || localOf(r) != ownAddress {
		return false
	}
	f.g.cfg.Own.ServeHTTP(w, r)
	return true
}

// OwnAddr returns where what Config.Own answers is reached, host:port; empty when there is
// no internal listener.
func (g *Gateway) OwnAddr() string {
	if g.cfg.InternalPort == 0 || g.cfg.Own == nil {
		return ""
	}
	return net.JoinHostPort(ownAddress.String(), strconv.Itoa(g.cfg.InternalPort))
}

// localOnly is the internal listener, which has to be bound to every address to
// have all of 127.0.0.0/8: it drops whoever did not connect to a loopback one.
type localOnly struct{ net.Listener }

func (l localOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if isLoopback(c.LocalAddr()) && isLoopback(c.RemoteAddr()) {
			return c, nil
		}
		c.Close()
	}
}

func isLoopback(a net.Addr) bool {
	ap, ok := addrOf(a)
	return ok && ap.IsLoopback()
}

func addrOf(a net.Addr) (netip.Addr, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	ip := t.AddrPort().Addr().Unmap()
	return ip, ip.IsValid()
}

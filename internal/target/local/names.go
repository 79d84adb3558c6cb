package local

import (
	"net/netip"
	"slices"
	"strings"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/target/local/shim"
	"titrate/internal/world"
)

// named lists what a program of an image reaches by name: its fellow services and the
// accessories that it is given, at the ports that they listen at as they know them. A
// name leads where the environment does, so that calls are split and measured.
//
// A port that the program listens at itself is its own at every address within: what is
// sent to a fellow of the same port is led past it. Where the kernel cannot do that the
// program would answer itself, and such a fellow has no name.
func (s *Supervisor) named(pl place) []shim.Named {
	own, free := ownPorts(pl.fleet), webPort(pl.fleet)
	var out []shim.Named
	services := s.fellowPorts(pl)
	urls := s.cfg.URLs(pl.key, pl.fleet.Uses)
	for name, ports := range services {
		to, ok := loopbackURL(urls[name])
		if !ok || slices.ContainsFunc(ports, own) && !s.cfg.Redirects() {
			continue
		}
		n := shim.Named{Name: name, At: to.Addr(), To: to}
		for _, port := range append(ports, free...) {
			switch at := uint16(port); {
			case slices.Contains(n.Ports, at) || slices.Contains(n.Taken, at):
			case own(port):
				n.Taken = append(n.Taken, at)
			case at != to.Port(): // that one it reaches anyway
				n.Ports = append(n.Ports, at)
			}
		}
		out = append(out, n)
	}
	for name, a := range s.givenAccessories(pl) {
		_, service := services[name]
		switch {
		case service || a.known == 0:
		case !own(a.known):
			out = append(out, shim.Named{Name: name, Ports: []uint16{uint16(a.known)}, To: a.addr})
		case s.cfg.Redirects():
			out = append(out, shim.Named{Name: name, Taken: []uint16{uint16(a.known)}, To: a.addr})
		}
	}
	slices.SortFunc(out, func(a, b shim.Named) int { return strings.Compare(a.Name, b.Name) })
	at := accessoryNet
	for i := range out {
		if !out[i].At.IsValid() {
			at = at.Next()
			out[i].At = at
		}
	}
	return out
}

// accessoryNet is before the addresses within that accessories have: the gateway gives
// none of these to a service.
var accessoryNet = netip.AddrFrom4([4]byte{127, 240, 0, 0})

// ownPorts tells which ports the program of an image may listen at. That of a worker
// that names none listens at none.
func ownPorts(f world.Fleet) func(port int) bool {
	own := slices.Clone(f.Image.Ports)
	if !f.Worker || f.Port != 0 {
		own = append(own, imagePort(f))
	}
	return func(port int) bool { return slices.Contains(own, port) }
}

// webPort is the port of an address that names none, where it is sure that the program
// does not listen at it itself.
func webPort(f world.Fleet) []int {
	const web = 80
	sure := f.Worker || f.Port != 0 || len(f.Image.Ports) > 0
	if !sure || ownPorts(f)(web) {
		return nil
	}
	return []int{web}
}

// fellowPorts are the ports of the services that a version uses, by name. Workers take
// no requests, and have none.
func (s *Supervisor) fellowPorts(pl place) map[string][]int {
	out := map[string][]int{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.wanted.Workloads {
		if w.Key.App == pl.key.App && w.Key.Env == pl.key.Env && len(w.Ports) > 0 && slices.Contains(pl.fleet.Uses, w.Key.Workload) {
			out[w.Key.Workload] = slices.Clone(w.Ports)
		}
	}
	return out
}

// givenAccessory is where an accessory is reached.
type givenAccessory struct {
	addr  netip.AddrPort // on this machine
	known int            // the port that it knows as its own; 0: there is no usual one
}

// givenAccessories are the accessories whose connection strings a version is given.
func (s *Supervisor) givenAccessories(pl place) map[string]givenAccessory {
	out := map[string]givenAccessory{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range pl.fleet.Accessories {
		h := s.accessories[rollout.Key{App: pl.key.App, Env: pl.key.Env, Workload: name}]
		if h == nil || !h.told || h.rec.Port == 0 {
			continue
		}
		if addr, err := netip.ParseAddrPort(h.place().Addr()); err == nil {
			out[name] = givenAccessory{addr, accessory.Port(h.want.Spec)}
		}
	}
	return out
}

// hostLines are the names as /etc/hosts has them.
func hostLines(all []shim.Named) []string {
	var lines []string
	for _, n := range all {
		lines = append(lines, n.At.String()+"\t"+n.Name)
	}
	return lines
}

// extraHosts are the names as engines are told them.
func extraHosts(all []shim.Named) []string {
	var hosts []string
	for _, n := range all {
		hosts = append(hosts, n.Name+":"+n.At.String())
	}
	return hosts
}

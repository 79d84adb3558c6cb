package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"titrate/internal/gateway"
)

// The variables that hold what stands before the gateway: addresses, and whether they begin
// connections by the PROXY protocol ("1").
const (
	ProxiesVar       = "TITRATE_PROXIES"
	ProxyProtocolVar = "TITRATE_PROXY_PROTOCOL"
)

// Proxies says which load balancers and proxies stand before the gateway: what they say of
// clients is believed.
type Proxies struct {
	At       string // addresses and networks, with commas between: 192.0.2.7,10.0.0.0/8
	Protocol bool   // they begin each connection by the PROXY protocol
}

// Parse reads the addresses. Those of IPv4 in IPv6's clothes are taken for what they are.
func (p Proxies) Parse() (at []netip.Prefix, err error) {
	for one := range strings.SplitSeq(p.At, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(one)
		if addr, aerr := netip.ParseAddr(one); aerr == nil {
			addr = addr.Unmap()
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", one)
		}
		at = append(at, prefix.Masked())
	}
	if p.Protocol && len(at) == 0 {
		return nil, errors.New("the PROXY protocol is read from proxies that are named, and none is")
	}
	return at, nil
}

// env is how it is told to the node.
func (p Proxies) env() []string {
	out := []string{ProxiesVar + "=" + p.At}
	if p.Protocol {
		out = append(out, ProxyProtocolVar+"=1")
	}
	return out
}

// front is what of the gateway's configuration is a setting of the node.
func (f folder) front(cfg NodeConfig) (out gateway.Config, err error) {
	if out.AccessLog, err = f.accessLog(cfg.Access); err != nil {
		return out, err
	}
	out.ProxyProtocol = cfg.Proxies.Protocol
	out.TrustedProxy, err = cfg.Proxies.Parse()
	return out, err
}

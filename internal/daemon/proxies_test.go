package daemon

import (
	"fmt"
	"strings"
	"testing"
)

func TestProxies_areAddressesAndNetworks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p          Proxies
		want, fail string
	}{
		{Proxies{}, "[]", ""},
		{Proxies{At: "192.0.2.7, 10.1.2.3/8,2001:db8::/32"}, "[192.0.2.7/32 10.0.0.0/8 2001:db8::/32]", ""},
		{Proxies{At: "::ffff:192.0.2.7", Protocol: true}, "[192.0.2.7/32]", ""},
		{Proxies{At: "balancer"}, "", `"balancer" is neither`},
		{Proxies{At: "10.0.0.0/33"}, "", "is neither"},
		{Proxies{Protocol: true}, "", "none is"},
	} {
		at, err := c.p.Parse()
		if c.fail != "" {
			if err == nil || !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%+v: %v", c.p, err)
			}
			continue
		}
		if err != nil || fmt.Sprint(at) != c.want {
			t.Errorf("%+v: %v %v", c.p, at, err)
		}
		g, err := dataFolder(t).front(NodeConfig{Proxies: c.p})
		if err != nil || fmt.Sprint(g.TrustedProxy) != c.want || g.ProxyProtocol != c.p.Protocol {
			t.Errorf("%+v: the gateway has %v %v %v", c.p, g.TrustedProxy, g.ProxyProtocol, err)
		}
	}
}

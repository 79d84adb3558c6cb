package local

import (
	"fmt"
	"strings"
	"testing"

	"titrate/internal/rollout"
	"titrate/internal/world"

	"github.com/google/go-cmp/cmp"
)

// What a program listens at, or may, is a fellow's where the kernel can lead past it.
func TestNamed_portsOfItsOwn(t *testing.T) {
	t.Parallel()
	able := true
	b := prepare(t, newFolder(t), func(c *Config) {
		c.Redirects = func() bool { return able }
		c.URLs = func(rollout.Key, []string) map[string]string {
			return map[string]string{"api": "http://127.16.0.1:4242", "shop": "http://127.16.0.2:4242", "mailer": "http://127.16.0.3:4242", "odd": "http://127.16.0.4:4242"}
		}
	})
	fellow := func(name string, ports ...int) world.Workload {
		return world.Workload{Key: rollout.Key{App: orders.App, Env: orders.Env, Workload: name}, Ports: ports}
	}
	b.apply(world.Wanted{Workloads: []world.Workload{
		fellow("api", 3000, 3001), fellow("shop", 80), fellow("mailer"), fellow("odd", 4242),
		{Key: rollout.Key{App: "other", Env: orders.Env, Workload: "api"}, Ports: []int{9}},
	}})
	for name, c := range map[string]struct {
		fleet world.Fleet
		want  string // where the kernel cannot
		able  string // where it can, with what is led past in curly brackets; "": the same
	}{
		"its port is told":         {world.Fleet{Port: 8080, Image: &world.Image{}}, "api 127.16.0.1 [3000 3001 80]; odd 127.16.0.4 [80]; shop 127.16.0.2 [80]", ""},
		"its port is a guess":      {world.Fleet{Image: &world.Image{}}, "api 127.16.0.1 [3000 3001]; odd 127.16.0.4 []; shop 127.16.0.2 [80]", ""},
		"it is EXPOSEd":            {world.Fleet{Image: &world.Image{Ports: []int{80}}}, "api 127.16.0.1 [3000 3001]; odd 127.16.0.4 []", "api 127.16.0.1 [3000 3001]; odd 127.16.0.4 []; shop 127.16.0.2 []{80}"},
		"a fellow has had it once": {world.Fleet{Port: 3001, Image: &world.Image{}}, "odd 127.16.0.4 [80]; shop 127.16.0.2 [80]", "api 127.16.0.1 [3000 80]{3001}; odd 127.16.0.4 [80]; shop 127.16.0.2 [80]"},
		"it EXPOSEs further ones":  {world.Fleet{Port: 8080, Image: &world.Image{Ports: []int{80, 3000}}}, "odd 127.16.0.4 []", "api 127.16.0.1 [3001]{3000}; odd 127.16.0.4 []; shop 127.16.0.2 []{80}"},
		"a worker":                 {world.Fleet{Worker: true, Image: &world.Image{}}, "api 127.16.0.1 [3000 3001 80]; odd 127.16.0.4 [80]; shop 127.16.0.2 [80]", ""},
		"a worker of a web image":  {world.Fleet{Worker: true, Image: &world.Image{Ports: []int{3000}}}, "odd 127.16.0.4 [80]; shop 127.16.0.2 [80]", "api 127.16.0.1 [3001 80]{3000}; odd 127.16.0.4 [80]; shop 127.16.0.2 [80]"},
	} {
		c.fleet.Uses = []string{"api", "mailer", "odd", "shop"}
		for _, able = range []bool{false, true} {
			want := c.want
			if able && c.able != "" {
				want = c.able
			}
			var got []string
			for _, n := range b.named(place{key: orders, fleet: c.fleet}) {
				led := ""
				if len(n.Taken) > 0 {
					led = fmt.Sprintf("{%d}", n.Taken[0])
				}
				got = append(got, fmt.Sprint(n.Name, " ", n.At, " ", n.Ports, led))
			}
			if diff := cmp.Diff(want, strings.Join(got, "; ")); diff != "" {
				t.Errorf("%s (%t): -want +got\n%s", name, able, diff)
			}
		}
	}
}

package local

import (
	"slices"
	"testing"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// A program that knows nothing of Titrate finds its fellow services under the
// names that it reads.
func TestAddresses_areGivenUnderTheProgramsOwnNames(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t), func(c *Config) {
		c.URLs = func(k rollout.Key, services []string) map[string]string {
			out := map[string]string{}
			for _, s := range services {
				if s == "catalog" {
					out[s] = "http://127.16.0.7:4242"
				}
			}
			return out
		}
	})
	f := run(1, 1)
	f.Worker = true
	f.Addresses = map[string]rollout.Address{
		"A_URL": {Service: "catalog", As: rollout.AddressURL, Path: "/v1"}, "A_BOTH": {Service: "catalog", As: rollout.AddressHostPort},
		"A_HOST": {Service: "catalog", As: rollout.AddressHost}, "A_PORT": {Service: "catalog", As: rollout.AddressPort},
		"A_NONE": {Service: "gone", As: rollout.AddressURL},
	}
	f.Command = []string{"/bin/sh", "-c", `echo "$A_URL $A_BOTH $A_HOST $A_PORT ${A_NONE-unset}"; sleep 600`}
	b.want(f)
	const want = "http://127.16.0.7:4242/v1 127.16.0.7:4242 127.16.0.7 4242 unset"
	b.until("it has told what it was given", func(Seen) bool {
		return slices.ContainsFunc(b.logs(world.LogQuery{Workload: orders.Workload, Last: 10}), func(l world.LogLine) bool { return l.Text == want })
	})
}

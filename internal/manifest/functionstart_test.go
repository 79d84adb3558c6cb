package manifest

import (
	"testing"
	"time"
)

// A function that never asks for work does not hold its push for as long as a service may;
// its whole group, whose instances wait for their turn, has the longer time.
func TestR14_aFunctionHasLessTimeToStart(t *testing.T) {
	t.Parallel()
	for says, want := range map[string][2]time.Duration{
		"":                    {30 * time.Second, 2 * time.Minute},
		"startTimeout: 10s, ": {10 * time.Second, 2 * time.Minute},
		"startTimeout: 5m, ":  {5 * time.Minute, 5 * time.Minute},
	} {
		app := good(t, "titrate: 1\napp: collect\nfunctions:\n  mail: { "+says+"build: mail, topic: mail }\nservices:\n  web: { build: web, host: collect.localhost }\n")
		e := app.Environments[0]
		mail, _ := e.Service("mail")
		web, _ := e.Service("web")
		if got := [2]time.Duration{mail.StartTimeout, e.Plan("mail").StartTimeout}; got != want || web.StartTimeout != 2*time.Minute {
			t.Errorf("%q: the function has %v, the service %v", says, got, web.StartTimeout)
		}
	}
}

package harness

import (
	"testing"
	"time"
)

func TestSimulate(t *testing.T) {
	t.Parallel()
	r, err := Run(t.Context(), Options{Seed: 1, Looks: 400000}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Violations {
		t.Errorf("%v", v)
	}
	t.Logf("%+v", r)
}

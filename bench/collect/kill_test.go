package main

import (
	"slices"
	"testing"
)

func TestBlows_areTheSameForTheSameSeed(t *testing.T) {
	t.Parallel()
	if a, b := blows(10, 1), blows(10, 1); !slices.Equal(a, b) {
		t.Errorf("%v, then %v", a, b)
	}
	if a, b := blows(10, 1), blows(10, 2); slices.Equal(a, b) {
		t.Errorf("seeds 1 and 2 have the same %v", a)
	}
}

func TestBlows_strikeEachInTurn(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		all := blows(6, seed)
		for _, v := range victims {
			n := 0
			for _, b := range all {
				if b.victim == v {
					n++
				}
				if b.after < 0 || b.after >= within || !slices.Contains(moments[:], b.moment) {
					t.Errorf("seed %d: %v", seed, b)
				}
			}
			if n != 2 {
				t.Errorf("seed %d strikes %s %d times: %v", seed, v, n, all)
			}
		}
	}
}

func TestReached_isInTheOrderOfALife(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		phase, moment string
		want          bool
	}{{"queued", "starting", false}, {"starting", "starting", true}, {"starting", "shifting", false}, {"ended", "baking", true}, {"baking", "shifting", true}} {
		if got := reached(c.phase, c.moment); got != c.want {
			t.Errorf("%s at %s: %v", c.moment, c.phase, got)
		}
	}
}

package keepalive

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

func seen(idle ...time.Duration) *History {
	h := &History{}
	for _, d := range idle {
		h.Observe(d)
	}
	return h
}

func TestWindows(t *testing.T) {
	t.Parallel()
	five := 5*time.Minute - time.Second
	flat := &History{}
	for i := range Bins {
		flat.Observe(time.Duration(i) * time.Minute)
	}
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		h    *History
		want Windows
	}{
		"nothing seen":       {seen(), Windows{0, 20 * time.Minute, WhyStandard}},
		"too few":            {seen(five, five, five, five), Windows{0, 20 * time.Minute, WhyStandard}},
		"every five minutes": {seen(five, five, five, five, five), Windows{216 * time.Second, 114 * time.Second, WhyHistogram}},
		"flat":               {flat, Windows{0, 20 * time.Minute, WhyStandard}},
		"daily":              {seen(day, day, day, day, day), Windows{1224 * time.Minute, 432 * time.Minute, WhyForecast}},
	} {
		if got := c.h.Windows(Default()); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWindows_coverTheIdleTimesTheyWereMadeOf(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r, h, all := rand.New(rand.NewPCG(seed, 1)), &History{}, []time.Duration{}
		for range 200 {
			d := time.Duration(r.ExpFloat64() * float64(10*time.Minute))
			all = append(all, min(d, 3*time.Hour))
			h.Observe(all[len(all)-1])
		}
		w, end, warm := h.Windows(Default()), time.Unix(0, 0), 0
		for _, d := range all {
			if w.Warm(end, end.Add(d)) {
				warm++
			}
		}
		if w.Why == WhyHistogram && warm < 188 {
			t.Errorf("seed %d: %d of 200 warm under %+v", seed, warm, w)
		}
	}
}

func TestHistory_survivesARestart(t *testing.T) {
	t.Parallel()
	h, now := &History{}, time.Unix(1000, 0).UTC()
	for range 70000 {
		h.Began(now)
		h.Ended(now)
		now = now.Add(7 * time.Minute)
	}
	h.Observe(9 * time.Hour)
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back History
	if err := json.Unmarshal(text, &back); err != nil || back != *h {
		t.Errorf("%v: %s", err, text)
	}
}

func TestSettings_Validate(t *testing.T) {
	t.Parallel()
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Settings{}).Validate(); err == nil {
		t.Error("empty settings pass")
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"bins":{"4":9},"outside":1,"mean_ns":20000000000000}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var h History
		if h.UnmarshalJSON(text) != nil {
			return
		}
		h.Observe(time.Hour)
		if w := h.Windows(Default()); w.PreWarm < 0 || w.Keep <= 0 {
			t.Errorf("%+v of %s", w, text)
		}
	})
}

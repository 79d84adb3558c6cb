package money

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestAmount_hasTheDecimalsOfItsCurrency(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]Amount{
		"KWD 1.250":  {1250, KWD},
		"KWD -0.005": {-5, KWD},
		"BHD 0.001":  {1, BHD},
		"SAR 12.20":  {1220, SAR},
		"USD -3.25":  {-325, USD},
		"JPY 640":    {640, JPY},
		"PTS 7":      {7, Points},
	} {
		if got := a.String(); got != want {
			t.Errorf("%d %s is written %q, want %q", a.Minor, a.Currency, got, want)
		}
	}
}

func TestParse_readsWhatDecimalWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := Amount{rapid.Int64().Draw(t, "minor"), rapid.SampledFrom(Currencies()).Draw(t, "currency")}
		got, err := Parse(a.Decimal(), a.Currency)
		if err != nil || got != a {
			t.Fatalf("%s is read as %s (%v)", a, got, err)
		}
	})
}

func TestParse_refusesInsteadOfRounding(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]Currency{
		"1.2345": KWD, "1.5": JPY, "1.": USD, "": USD, "-": USD, "1e3": USD, "٣": KWD, "--1": USD, "+1": USD, "1.-5": USD,
		"99999999999999999999": USD, "9223372036854775.808": KWD, "1": "XXX",
	} {
		if a, err := Parse(text, c); err == nil {
			t.Errorf("%q was read as %s", text, a)
		}
	}
}

func TestSums_neverWrap(t *testing.T) {
	t.Parallel()
	if _, err := Add(math.MaxInt64, 1); !errors.Is(err, ErrOverflow) {
		t.Errorf("MaxInt64 + 1: %v", err)
	}
	if _, err := Add(math.MinInt64, -1); !errors.Is(err, ErrOverflow) {
		t.Errorf("MinInt64 - 1: %v", err)
	}
	if _, err := Times(math.MaxInt64/2+1, 2); !errors.Is(err, ErrOverflow) {
		t.Errorf("2 · (MaxInt64/2 + 1): %v", err)
	}
	if n, err := Times(math.MinInt64/2, 2); n != math.MinInt64 || err != nil {
		t.Errorf("2 · MinInt64/2 = %d, %v", n, err)
	}
	if n, err := Add(5, 0); n != 5 || err != nil {
		t.Errorf("5 + 0 = %d, %v", n, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1.250", "-0.005", "0", "..", "1.", "９", "-", "00.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range Currencies() {
			a, err := Parse(s, c)
			if err != nil {
				continue
			}
			if again, err := Parse(a.Decimal(), c); err != nil || again != a {
				t.Fatalf("%q → %s → %s (%v)", s, a, again, err)
			}
		}
	})
}

// Package money holds amounts as integer minor units with the exponents of ISO
// 4217. There are no floats: a Kuwaiti dinar has 1000 fils, a yen has no
// fraction, and no sum is ever rounded.
package money

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrOverflow is returned where a sum does not fit 64 bits.
var ErrOverflow = errors.New("amount out of range")

// Currency is an ISO 4217 code, or Points.
type Currency string

// The currencies that the marketplace sells in, and its loyalty points, which
// are counted in the same ledger (no ISO code).
const (
	KWD    Currency = "KWD"
	BHD    Currency = "BHD"
	SAR    Currency = "SAR"
	USD    Currency = "USD"
	JPY    Currency = "JPY"
	Points Currency = "PTS"
)

// Currencies lists what can be paid with.
func Currencies() []Currency { return []Currency{KWD, BHD, SAR, USD, JPY} }

// Exponent returns the number of decimals of c; ok is false when c is unknown.
func (c Currency) Exponent() (digits int, ok bool) {
	switch c {
	case KWD, BHD:
		return 3, true
	case SAR, USD:
		return 2, true
	case JPY, Points:
		return 0, true
	default:
		return 0, false
	}
}

// Amount is a number of minor units of a currency.
type Amount struct {
	Minor    int64    `json:"minor"`
	Currency Currency `json:"currency"`
}

// String returns a as "KWD 1.250", "JPY 640", "USD -0.05".
func (a Amount) String() string { return string(a.Currency) + " " + a.Decimal() }

// Decimal returns a without its currency, with all of its decimals.
func (a Amount) Decimal() string {
	digits, _ := a.Currency.Exponent()
	s := strconv.FormatInt(a.Minor, 10)
	if digits == 0 {
		return s
	}
	s, negative := strings.CutPrefix(s, "-")
	if len(s) <= digits {
		s = strings.Repeat("0", digits-len(s)+1) + s
	}
	s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	if negative {
		s = "-" + s
	}
	return s
}

// Parse reads a decimal such as "1.25" as an amount of c. It refuses more
// decimals than c has instead of rounding.
func Parse(s string, c Currency) (Amount, error) {
	digits, ok := c.Exponent()
	if !ok {
		return Amount{}, fmt.Errorf("unknown currency %q", c)
	}
	whole, fraction, dotted := strings.Cut(s, ".")
	if dotted && (fraction == "" || len(fraction) > digits) {
		return Amount{}, fmt.Errorf("%q: %s has %d decimals", s, c, digits)
	}
	unsigned := strings.TrimPrefix(whole, "-")
	if unsigned == "" || strings.Trim(unsigned+fraction, "0123456789") != "" {
		return Amount{}, fmt.Errorf("%q is not a decimal number", s)
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil {
		return Amount{}, fmt.Errorf("%q: %w", s, ErrOverflow)
	}
	return Amount{Minor: minor, Currency: c}, nil
}

// Add returns a + b, or ErrOverflow.
func Add(a, b int64) (int64, error) {
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return 0, ErrOverflow
	}
	return sum, nil
}

// Times returns n·a for a quantity n ≥ 0, or ErrOverflow.
func Times(a int64, n int) (int64, error) {
	if a != 0 && n != 0 && (a > math.MaxInt64/int64(n) || a < math.MinInt64/int64(n)) {
		return 0, ErrOverflow
	}
	return a * int64(n), nil
}

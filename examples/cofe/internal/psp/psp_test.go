package psp_test

import (
	"errors"
	"testing"

	"titrate/examples/cofe/internal/db/dbtest"
	"titrate/examples/cofe/internal/money"
	"titrate/examples/cofe/internal/psp"
)

var amount = money.Amount{Minor: 4100, Currency: money.KWD}

func TestCharge_answersByCardNumber(t *testing.T) {
	t.Parallel()
	for _, kind := range dbtest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := psp.Provider{DB: dbtest.Open(t, kind, psp.Migrations())}
			for number, want := range map[string]string{psp.Pays: "", psp.Declined: "card declined: the bank says no", psp.Poor: "card declined: not enough money"} {
				token, last4, err := p.Token(t.Context(), number)
				if err != nil || last4 != number[12:] {
					t.Fatalf("token: %s %v", last4, err)
				}
				for range 2 { // the same reference again: the same answer
					err = p.Charge(t.Context(), "o-"+number, token, amount)
					if (err == nil) != (want == "") || err != nil && err.Error() != want {
						t.Errorf("%s: %v, want %q", number, err, want)
					}
				}
			}
			token, _, err := p.Token(t.Context(), psp.Busy)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Charge(t.Context(), "o-busy", token, amount); !errors.Is(err, psp.ErrBusy) {
				t.Errorf("first try: %v", err)
			}
			if err := p.Charge(t.Context(), "o-busy", token, amount); err != nil {
				t.Errorf("second try: %v", err)
			}
			if err := p.Charge(t.Context(), "o-unknown", "card-none", amount); err == nil {
				t.Error("an unknown card paid")
			}
		})
	}
}

func TestRefund_refusesAChargeThatComesLater(t *testing.T) {
	t.Parallel()
	p := psp.Provider{DB: dbtest.Open(t, "sqlite", psp.Migrations())}
	token, _, err := p.Token(t.Context(), psp.Pays)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Refund(t.Context(), "o-1"); err != nil {
			t.Fatal(err)
		}
	}
	var declined *psp.DeclinedError
	if err := p.Charge(t.Context(), "o-1", token, amount); !errors.As(err, &declined) {
		t.Errorf("charged after its refund: %v", err)
	}
}

func TestToken_refusesWhatIsNoCardNumber(t *testing.T) {
	t.Parallel()
	p := psp.Provider{DB: dbtest.Open(t, "sqlite", psp.Migrations())}
	for _, number := range []string{"", "4242", "4242424242424241", "4242 4242 4242 4242", "42424242424242424242", "٤٢٤٢٤٢"} {
		if _, _, err := p.Token(t.Context(), number); !errors.Is(err, psp.ErrNumber) {
			t.Errorf("%q: %v", number, err)
		}
	}
}

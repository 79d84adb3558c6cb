// Package psp is a payment service provider that is not one: a fake that lives
// inside the payments service and answers by card number, as providers' test
// modes do. It moves no money. It keeps what a real one keeps on its side:
// tokens of cards, and one charge per reference however often it is asked.
package psp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"titrate/examples/cofe/internal/db"
	"titrate/examples/cofe/internal/httpx"
	"titrate/examples/cofe/internal/money"
)

// The card numbers that behave in their own way; every other valid one pays.
const (
	Pays     = "4242424242424242"
	Declined = "4000000000000002"
	Poor     = "4000000000009995" // not enough money
	Busy     = "4000000000000119" // the first try of each charge fails for a moment
	Down     = "4000000000000341" // every try does
)

// ErrNumber is returned for a number that no card has.
var ErrNumber = errors.New("this is not a card number")

// ErrBusy is returned when the provider has to be asked again.
var ErrBusy = errors.New("the payment provider is busy")

// DeclinedError says why a card was not charged; it will not be next time either.
type DeclinedError struct{ Reason string }

// Error gives the reason.
func (e *DeclinedError) Error() string { return "card declined: " + e.Reason }

// latency is how long a call to the provider takes.
const latency = 4 * time.Millisecond

// Provider is the fake.
type Provider struct{ DB *db.DB }

// Migrations make the provider's own tables.
func Migrations() []db.Migration {
	return []db.Migration{{Name: "psp-1", SQL: []string{
		`CREATE TABLE psp_cards (token TEXT PRIMARY KEY, behaviour TEXT NOT NULL, last4 TEXT NOT NULL)`,
		`CREATE TABLE psp_charges (reference TEXT PRIMARY KEY, token TEXT NOT NULL, currency TEXT NOT NULL,
			minor BIGINT NOT NULL, state TEXT NOT NULL, tries BIGINT NOT NULL)`,
	}}}
}

// Token exchanges a card number for a token, so that no number is stored.
func (p Provider) Token(ctx context.Context, number string) (token, last4 string, err error) {
	if !luhn(number) {
		return "", "", ErrNumber
	}
	token, last4 = "card-"+httpx.NewID(), number[len(number)-4:]
	behaviour := "pays"
	switch number {
	case Declined:
		behaviour = "the bank says no"
	case Poor:
		behaviour = "not enough money"
	case Busy:
		behaviour = "busy"
	case Down:
		behaviour = "down"
	}
	err = p.DB.Write(ctx, func(tx db.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO psp_cards (token, behaviour, last4) VALUES ($1, $2, $3)`, token, behaviour, last4)
		return err
	})
	return token, last4, err
}

// Charge takes amount from the card, once per reference.
func (p Provider) Charge(ctx context.Context, reference, token string, amount money.Amount) error {
	if err := wait(ctx); err != nil {
		return err
	}
	var answer error
	err := p.DB.Write(ctx, func(tx db.Tx) error {
		answer = nil
		var behaviour string
		err := tx.QueryRowContext(ctx, `SELECT behaviour FROM psp_cards WHERE token = $1`, token).Scan(&behaviour)
		if errors.Is(err, sql.ErrNoRows) {
			answer = &DeclinedError{"unknown card"}
			return nil
		}
		if err != nil {
			return err
		}
		var state string
		var tries int
		err = tx.QueryRowContext(ctx, `INSERT INTO psp_charges (reference, token, currency, minor, state, tries) VALUES ($1, $2, $3, $4, 'asked', 1)
			ON CONFLICT (reference) DO UPDATE SET tries = psp_charges.tries + 1 RETURNING state, tries`,
			reference, token, amount.Currency, amount.Minor).Scan(&state, &tries)
		switch {
		case err != nil:
			return err
		case state == "refunded":
			answer = &DeclinedError{"this charge has been voided"}
			return nil
		case behaviour == "busy" && tries == 1, behaviour == "down":
			answer = ErrBusy
			return nil
		case behaviour != "pays" && behaviour != "busy":
			answer = &DeclinedError{behaviour}
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE psp_charges SET state = 'charged' WHERE reference = $1`, reference)
		return err
	})
	if err != nil {
		return fmt.Errorf("charge %s: %w", reference, err)
	}
	return answer
}

// Refund gives a charge back, once; a charge that comes later is refused.
func (p Provider) Refund(ctx context.Context, reference string) error {
	if err := wait(ctx); err != nil {
		return err
	}
	return p.DB.Write(ctx, func(tx db.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO psp_charges (reference, token, currency, minor, state, tries) VALUES ($1, '', '', 0, 'refunded', 0)
			ON CONFLICT (reference) DO UPDATE SET state = 'refunded'`, reference)
		return err
	})
}

func wait(ctx context.Context) error {
	select {
	case <-time.After(latency):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// luhn checks a card number's length and check digit (ISO/IEC 7812-1).
func luhn(number string) bool {
	if len(number) < 12 || len(number) > 19 {
		return false
	}
	sum := 0
	for i := range len(number) {
		digit := int(number[len(number)-1-i]) - '0'
		if digit < 0 || digit > 9 {
			return false
		}
		if i%2 == 1 {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		sum += digit
	}
	return sum%10 == 0
}

// Package seed is the marketplace on its first day: the same coffees, customers
// and gift cards on every machine, so that services and tests agree on them.
package seed

import (
	"fmt"
	"strconv"
	"strings"

	"titrate/examples/cofe/internal/money"
)

// How many customers and gift cards there are.
const (
	Customers = 500
	GiftCards = 200
)

// perDinar returns how many minor units of c a dinar (1000 fils) is worth.
func perDinar(c money.Currency) int64 {
	switch c {
	case money.BHD:
		return 1230
	case money.SAR:
		return 1220
	case money.USD:
		return 325
	case money.JPY:
		return 490
	default:
		return 1000
	}
}

// Price returns what an amount of fils (KWD 0.001) costs in c, to the nearest
// minor unit: prices are fixed once, in whole units, and never converted again.
func Price(fils int64, c money.Currency) money.Amount {
	return money.Amount{Minor: (fils*perDinar(c) + 500) / 1000, Currency: c}
}

// Customer returns the id and the currency of customer n, 1 ≤ n ≤ Customers.
func Customer(n int) (id string, c money.Currency) {
	all := money.Currencies()
	return fmt.Sprintf("c-%04d", n), all[n%len(all)]
}

// Currency returns the currency of the customer with this id.
func Currency(customer string) (money.Currency, bool) {
	digits, ok := strings.CutPrefix(customer, "c-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > Customers {
		return "", false
	}
	_, c := Customer(n)
	return c, true
}

// Credits is what each customer has in credits on the first day.
func Credits(c money.Currency) money.Amount { return Price(60_000, c) }

// GiftCard returns the code and the value of gift card n, 1 ≤ n ≤ GiftCards.
func GiftCard(n int) (code string, value money.Amount) {
	all := money.Currencies()
	return fmt.Sprintf("GIFT-%04d", n), Price(100_000, all[n%len(all)])
}

// Product is a coffee.
type Product struct {
	ID, Name, Roaster, Origin, Notes string
	Fils                             int64 // price of a bag of 250 g
}

// Products returns the catalogue.
func Products() []Product {
	return []Product{
		{"yirgacheffe", "Yirgacheffe Kochere", "Al Dirwaza Roasters", "Ethiopia", "bergamot, apricot, black tea", 4250},
		{"harazi", "Haraz Red Peaks", "Saffar Coffee", "Yemen", "dried fig, cardamom, cocoa", 6900},
		{"huehue", "Huehuetenango", "North Souk", "Guatemala", "orange, caramel, almond", 3750},
		{"nyeri", "Nyeri AA", "Al Dirwaza Roasters", "Kenya", "blackcurrant, grapefruit", 4500},
		{"sumatra", "Lintong", "Salt & Ember", "Indonesia", "cedar, dark chocolate, spice", 3500},
		{"geisha", "Boquete Geisha", "Saffar Coffee", "Panama", "jasmine, peach, honey", 14750},
		{"santos", "Santos Natural", "North Souk", "Brazil", "hazelnut, milk chocolate", 2950},
		{"tarrazu", "Tarrazú", "Salt & Ember", "Costa Rica", "brown sugar, red apple", 3900},
		{"kivu", "Lake Kivu", "Dhow House", "Rwanda", "cherry, rooibos, lime", 4100},
		{"sidamo", "Sidama Decaf", "Dhow House", "Ethiopia", "plum, toffee", 4350},
		{"najd", "Najd Blonde", "Saffar Coffee", "Blend", "saffron, date, cardamom", 5250},
		{"espresso", "Diwaniya Espresso", "Al Dirwaza Roasters", "Blend", "cocoa, molasses, walnut", 3250},
	}
}

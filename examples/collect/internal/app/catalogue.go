package app

import (
	"errors"
	"hash/fnv"
	"strings"

	"titrate/examples/collect/internal/ledger"
)

// Other reports whether an entry was refused because its request has another already.
func Other(err error) bool { return errors.Is(err, ledger.ErrOther) }

// Price is what an item costs to be taken away, in fils; 0: it is not taken.
func Price(item string) int64 {
	switch strings.ToLower(strings.TrimSpace(item)) {
	case "sofa", "wardrobe":
		return 12_500
	case "mattress":
		return 6_250
	case "fridge", "washing-machine", "cooker":
		return 9_750
	case "table", "desk":
		return 4_500
	case "chair", "lamp":
		return 1_250
	}
	return 0
}

// Items are what is taken.
func Items() []string {
	return []string{"sofa", "wardrobe", "mattress", "fridge", "washing-machine", "cooker", "table", "desk", "chair", "lamp"}
}

// Cards with which payments end otherwise than most.
const (
	Declined = "4000000000000002"
	Pays     = "4242424242424242"
)

// DriverNames are those who collect.
func DriverNames() []string { return []string{"amal", "bader", "dana", "fahad", "hessa", "jaber"} }

// FacilityNames are where items are brought.
func FacilityNames() []string { return []string{"shuwaikh", "subhan", "amghara"} }

// Slots are the times of a day at which somebody comes.
func Slots() []string { return []string{"08-10", "10-12", "16-18", "18-20"} }

// Pick chooses one of some names for a key, always the same.
func Pick(key string, names []string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash takes everything
	return names[h.Sum32()%uint32(len(names))]
}

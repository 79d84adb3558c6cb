package collect

import (
	"fmt"
	"slices"
	"strings"
)

// Variant is a state of the repository: one commit.
type Variant string

// The variants. Each but V1 is V2 with at most one more change.
const (
	V1     Variant = "v1"     // the service
	V2     Variant = "v2"     // good: a second edition, and pianos; it changes all functions
	V3     Variant = "v3"     // bad: one function leaks memory, one times out, one throws
	Leak   Variant = "leak"   // of these, only the one that leaks memory
	Hang   Variant = "hang"   // only the one that times out
	Throws Variant = "throws" // only the one that throws
)

// Variants lists all variants.
func Variants() []Variant { return []Variant{V1, V2, V3, Leak, Hang, Throws} }

// Subject returns the message of the variant's commit.
func (v Variant) Subject() string {
	switch v {
	case V1:
		return "collect: begin the service"
	case V2:
		return "collect: take pianos, and say the edition"
	case V3:
		return "collect: count quotes, ask one bank at a time, send one mail each"
	case Leak:
		return "on/quote: count quotes"
	case Hang:
		return "on/hold: ask one bank at a time"
	case Throws:
		return "notify/email: send one mail each"
	}
	return string(v)
}

// edits returns what turns V1 into v.
func (v Variant) edits(o Options) ([]edit, error) {
	all := slices.Clone(second)
	for folder, file := range languages(o) {
		all = append(all, edit{folder + "/" + file, `edition = "1"`, `edition = "2"`})
	}
	switch v {
	case V1:
		return nil, nil
	case V2:
		return all, nil
	case V3:
		return slices.Concat(all, leak, hang, throws), nil
	case Leak:
		return append(all, leak...), nil
	case Hang:
		return append(all, hang...), nil
	case Throws:
		return append(all, throws...), nil
	}
	return nil, fmt.Errorf("unknown variant %q", v)
}

// edit replaces old, which stands once in a file, by new.
type edit struct{ file, old, new string }

func (e edit) apply(files map[string]string) error {
	content, there := files[e.file]
	if n := strings.Count(content, e.old); !there || n != 1 {
		return fmt.Errorf("%s has this %d times, not once: %q", e.file, n, e.old)
	}
	files[e.file] = strings.Replace(content, e.old, e.new, 1)
	return nil
}

// quick is for a demo: a release of half a minute instead of ten.
var quick = []edit{
	{"titrate.yaml", "rollout: Linear10PercentEvery1Minute\n", "rollout: Linear20PercentEvery5Seconds\n  bake: 3s\n  startTimeout: 20s\n"},
	{"titrate.yaml", "errors > 1% for 1m", "errors > 1% for 2s"},
}

var second = []edit{
	{"internal/app/app.go", `const Edition = "1"`, `const Edition = "2"`},
	{"internal/app/catalogue.go", "\tcase \"chair\", \"lamp\":\n", "\tcase \"piano\":\n\t\treturn 35_000\n\tcase \"chair\", \"lamp\":\n"},
	{"internal/app/catalogue.go", `"chair", "lamp"}`, `"chair", "lamp", "piano"}`},
}

// leak keeps a page of pictures for each quote, and forgets none.
var leak = []edit{
	{"on/quote/quote.go", "// Handle quotes", `// seen has the pictures of what was quoted.
var seen [][]byte

// Handle quotes`},
	{"on/quote/quote.go", "\treturn a.Step(", `	picture := make([]byte, 24<<20)
	for i := range picture {
		picture[i] = byte(len(seen) + i)
	}
	seen = append(seen, picture)
	return a.Step(`},
}

// hang takes a lock that it never gives back: the second call waits for the first.
var hang = []edit{
	{"on/hold/hold.go", "\t\"context\"\n", "\t\"context\"\n\t\"sync\"\n"},
	{"on/hold/hold.go", "// Handle holds", `// bank is asked by one at a time.
var bank sync.Mutex

// Handle holds`},
	{"on/hold/hold.go", "\tto, note :=", "\tbank.Lock()\n\tto, note :="},
}

// throws counts in a map that was never made.
var throws = []edit{
	{"notify/email/email.go", "// Handle tells", `// sent has how many mails there were of each pickup.
var sent map[string]int

// Handle tells`},
	{"notify/email/email.go", "\treturn a.Tell(", "\tsent[n.Pickup]++\n\treturn a.Tell("},
}

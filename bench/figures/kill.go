package figures

import "time"

// Kill is when a process was killed: between two moments.
type Kill struct {
	Victim   string
	From, To time.Time
}

// felt is how long after a kill a failure is put down to it.
const felt = 20 * time.Second

// Blame says by whose kill a request was lost that began and ended then, and how long
// after it the request began; "nothing" where nobody was killed near it. Only what was sent
// before a node was gone may be lost with it: what came after is "node, later".
func Blame(kills []Kill, began, ended time.Time) (cause string, after time.Duration) {
	cause = "nothing"
	for _, k := range kills {
		if ended.Before(k.From) || began.After(k.To.Add(felt)) {
			continue
		}
		cause, after = k.Victim, began.Sub(k.From)
		if k.Victim == "node" && began.After(k.To) {
			cause = "node, later"
		}
	}
	return cause, after
}

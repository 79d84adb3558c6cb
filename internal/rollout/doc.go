// Package rollout holds the nouns of Titrate and the life of a rollout: how one
// or more workloads of an environment move from their stable versions to
// candidates, by one plan, and how they go back.
//
// It is pure: [Next] and [State.Wish] are functions of their arguments. Nothing
// here reads a clock, a file or the network, logs, or starts a goroutine. The
// rules R1 to R31 that comments name are those of docs/semantics.md.
package rollout

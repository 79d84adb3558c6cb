// Package gateway is the embedded gateway of the local target: it splits the
// requests of each workload by weight over the ready instances of its versions,
// keeps their connections, and counts exactly what came back, per version.
//
// It has two halves. The router and the accounts ([Gateway.Apply],
// [Gateway.SetInstances], admit, ticket, meter) know nothing of how HTTP is read:
// an arrival goes in, a ticket for one instance comes out, and the ticket's
// outcome is counted once. The front (front.go, forward.go, bodies.go) turns
// connections into arrivals and outcomes, on net/http. A faster front replaces
// those files and nothing else.
//
// A function's version is called (callee.go) where a service's instance is connected
// to. What calls it otherwise than by a request comes in by [Gateway.Deliver], and takes
// the same tickets.
//
// The rules R5, R11, R13, R15, R17 and R25 that comments name are those of docs/semantics.md.
package gateway

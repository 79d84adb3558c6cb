// Package gateway is the embedded gateway of the local target: it splits the
// requests of each workload by weight over the ready instances of its versions,
// keeps their connections, and counts exactly what came back, per version.
//
// It has two halves. The router and the accounts ([Gateway.Apply],
// [Gateway.SetInstances], admit, ticket, meter) know nothing of how HTTP is read:
// an arrival goes in, a ticket for one instance comes out, and the ticket's
// outcome is counted once.
//
// Two fronts turn connections into arrivals and outcomes. Plain HTTP/1.1 is served by loops
// (loop*_linux.go), one thread for each processor, which read and write heads by package
// http1. What is not plain is moved, with what was read of it, to the front
// on net/http (front.go, forward.go, bodies.go): TLS and HTTP/2, upgrades, chunked and large
// bodies, previews, and all of it on other systems than Linux.
//
// A function's version is called (callee.go) where a service's instance is connected
// to. What calls it otherwise than by a request comes in by [Gateway.Deliver], and takes
// the same tickets.
//
// The rules R5, R11, R13, R15, R17 and R25 that comments name are those of docs/semantics.md.
package gateway

// Package node holds the protocol between the server and a node, over HTTP on a
// unix socket: the server PUTs the wanted world, the node streams back the seen
// one and the windows of requests. It has both ends (the client implements the
// controller's seams) and the snapshot from which a node serves on alone.
//
//	PUT  /v1/world                 world.Wanted → world.Stamp; 409 for a stale stamp
//	GET  /v1/seen?after=N&wait=D   → world.Seen
//	GET  /v1/served                → world.Served
//	GET  /v1/shares                → []world.Shares
//	GET  /v1/windows?after=N&wait=D → []world.VersionWindow
//	GET  /v1/metrics               → Prometheus's text format, or OpenMetrics, by Accept
//	POST /v1/logs                  world.LogQuery → lines of world.LogLine
//	POST /v1/stop                  ends every workload
//	POST /v1/invoke                Invocation → Invoked, however long the function takes
//	POST /v1/invoke/stream         Invocation → the answer in pieces as it comes, then how it went
//	GET  /v1/queues?app=A&env=E    → []Queue
//	POST /v1/queues/{send,purge,redrive,peek}
//
// A refusal has the sentence and, where callers tell it apart, its kind.
package node

// ProtocolVersion is sent with every request and answer (header
// Titrate-Protocol). A node and a server whose versions differ by at most one
// understand each other; otherwise the node answers 426.
const ProtocolVersion = 1

const protocolHeader = "Titrate-Protocol"

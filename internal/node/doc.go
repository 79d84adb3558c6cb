// Package node holds the protocol between the server and a node, over HTTP on a
// unix socket: the server PUTs the wanted world, the node streams back the seen
// one and the windows of requests. It has both ends (the client implements the
// controller's seams) and the snapshot from which a node serves on alone.
package node

// ProtocolVersion is sent with every request (header Titrate-Protocol). A node
// and a server whose versions differ by at most one understand each other;
// otherwise the node answers 426.
const ProtocolVersion = 1

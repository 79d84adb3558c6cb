// Package http1 reads and writes HTTP/1.0 and HTTP/1.1 messages (RFC 9110, RFC 9112): bytes in, values out. It does no I/O, knows no
// clock and keeps no goroutine, so that an epoll loop, a goroutine a connection and a test stand on the same code.
//
// It is strict where RFC 9112 lets a recipient be kind: a message that two parsers could read differently is refused, because a proxy
// that reads a message one way and passes it to a server that reads it another way lets one person's bytes become another person's
// request. What is refused can be answered with the status of its [Error]; the connection then has to be closed.
//
// In steady state nothing is allocated: names and values are views of the caller's buffer and end with it.
package http1

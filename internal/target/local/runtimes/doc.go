// Package runtimes knows the languages of functions: it holds Titrate's own clients of the Lambda Runtime API for Node.js and Python, finds
// the interpreter a runtime's name asks for, and proves before the first call that a handler loads.
//
// The order of use is Write, Find, Runtime.Check, Runtime.Command. The host that the clients talk to is another package's work
// (internal/target/local/runtimeapi); this one opens no socket.
package runtimes

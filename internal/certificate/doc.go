// Package certificate has the certificates with which the gateway answers over
// TLS: files that somebody put there, and those that it gets by ACME. It runs in
// the node, so that certificates are served and renewed while the server is dead.
// It serves no connection itself.
package certificate

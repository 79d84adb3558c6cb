// Package auth knows who may come in: tokens by name, kept as hashes, and a limit on
// how often a wrong one may be tried. It answers no request itself, and gives every
// token the same rights.
package auth

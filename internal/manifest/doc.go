// Package manifest turns titrate.yaml into a checked [App]: every default
// applied, every error found at once, each with its line, its column and a hint.
//
// It is pure: [Parse] is a function of the bytes it is given. One table of keys
// (keys.go) is behind the parser, the JSON Schema, the reference page and the
// pages of `titrate explain`, so that they cannot drift apart.
package manifest

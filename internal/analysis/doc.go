// Package analysis turns windows of requests into verdicts. It is pure
// arithmetic: no clock, no I/O. What it says of a version is a [Reading] per
// alarm, with the numbers that led to it.
package analysis

// Package analysis turns windows of requests into verdicts. It is pure
// arithmetic: no clock, no I/O. What it says of a version is a [Reading] per
// alarm, with the numbers that led to it.
//
// An [Alarm] is written as a person says it ([ParseAlarm], [Long]). The windows of
// a version are added up by the alarms' periods in a [Series], from when its
// weight arrived (R13). [Judge] then asks four things, in this order:
//
//   - Are there enough requests? Fewer than the alarm's minimum are no-data (R11).
//   - Which data points breach? M of the last N must, by the rules that CloudWatch
//     documents for missing data too (R27a; decide.go has nothing else in it).
//   - Is it evidence? A ratio trips on at least 3 bad requests, a quantile on at
//     least 10 slow ones (R11); a breach that has less, or has not lasted, is
//     inconclusive.
//   - Do few requests hide a breach? Data points that are too small to be
//     judged one by one are judged by their sum, too (sum.go).
//
// Where several workloads move together the chance of a false alarm would add up, so
// [JudgeAmong] asks a fifth thing (R27b): does what speaks against the version suffice
// for all of their alarms? Evidence is money won by betting against the version
// (evidence.go), which may be looked at as often as one likes.
//
// Only a pass lets a rollout go on; no-data and inconclusive hold it.
package analysis

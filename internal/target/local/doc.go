// Package local runs versions as processes of this machine: it starts them,
// waits until they are ready, restarts them, drains and stops them, runs hooks,
// and keeps what they write. It is the supervisor of a node. A version that is an
// image is run by a process too, its shim: see image.go and the packages below.
//
// What it promises:
//   - Workloads outlive it. When the supervisor ends or is killed, they run on,
//     and the next one on the same folder takes them back. Functions do not: their
//     processes end with who gives them work, and the next supervisor lets the gateway
//     call them at once.
//   - What runs can always be found again: an instance's id and token are on the
//     disk before its process exists.
//   - An instance is named to OnReady only while it answers its health check, and
//     is taken away from there before it is asked to end.
//   - A hook runs at most once (R24), also across a kill of the supervisor.
//   - Writing logs never holds a workload up while the supervisor lives, also when
//     the disk is full: lines are dropped and counted. While no supervisor lives
//     a workload can write 256 KiB to each of its outputs; then its writes wait.
//
// One file, one concept: supervisor.go holds what is wanted and converges;
// instance.go is the life of one process of a version, start.go and stop.go its
// beginning and end; hook.go that of a hook; launch.go is the other side of a
// spawn; output.go, logfile.go and logread.go carry what processes write. A version of
// a function is no number of instances but a pool of them: function.go is its life,
// functionshow.go how it is tried before it is called, functionstart.go and
// functionend.go an instance's beginning and end, functioncall.go and functionhttp.go its
// calls, functionkeep.go how long instances that are idle are worth keeping.
package local

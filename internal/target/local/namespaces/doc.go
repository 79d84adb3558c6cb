// Package namespaces runs an unpacked image as a program of this machine, in user,
// mount, pid, network, IPC and UTS namespaces of its own. It needs no container
// engine and, where the machine lets users make namespaces, no root.
//
// Two processes stand around the program. [Container] is the side outside: it makes
// the namespaces, and gets from within them what only they have, such as sockets of
// their network. [Inside] is the first process within: it makes the root out of the
// image, starts the program, reaps what is orphaned, and ends with the program. The
// two talk over a pair of sockets; when either dies so does the other.
//
// What the program sees: the image's files, over which it writes to a layer of its
// own that goes with it; /proc, with what tells of or changes the machine covered; a
// /dev of eight files; its own loopback. It holds the capabilities of [Capabilities]
// at most, over nothing outside of its namespaces, and can gain none.
package namespaces

// Package within is the first process of what runs a version apart from this machine,
// in namespaces of ours or in a container of an engine, and the line by which the shim
// outside holds it.
//
// [First] has been put into the program's namespaces by somebody else. It takes its
// outputs and what it is to keep from the line, makes sockets in its network and hands
// them out, starts the program, passes signals on, and reaps what is orphaned. It ends
// when the program has, or when the line breaks: first all else within, then itself, so
// that what it keeps is let go when nobody within can write any more.
//
// [Line] is the side outside, which does all relaying: a socket stays in the network
// where it was made, whoever holds it. So nobody needs to enter that network, nothing
// is published, and it works the same whoever runs the engine and whoever we are.
package within

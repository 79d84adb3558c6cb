package world

// Self stands as the first word of a command for the program that runs the node, of
// whatever version that is by then.
const Self = "@titrate"

// Enter is where an artifact may have a program that runs a command with the
// version's tools and environment. Hooks run through it where it is there.
const Enter = ".titrate/enter"

// Layers is where the artifact of a function has the files of its layers: what lies in
// /opt at AWS.
const Layers = ".titrate/layers"

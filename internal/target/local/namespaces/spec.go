package namespaces

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"titrate/internal/target/local/shim"
)

// Spec says what a container is made of.
type Spec struct {
	Name string `json:"name"` // its host name
	// Users is the first of the 65536 users of this machine that are the container's
	// where root can have it so, see [Block]; 0: there are none.
	Users    uint32   `json:"users,omitempty"`
	Root     string   `json:"root"`               // the folder of the image's files: only read
	Dir      string   `json:"dir"`                // an empty folder for what the program writes
	Mounts   []Mount  `json:"mounts,omitempty"`   // folders of this machine that it sees
	ReadOnly bool     `json:"readonly,omitempty"` // it can write to /tmp and Mounts only
	Argv     []string `json:"argv"`
	Env      []string `json:"env"`
	// Egress is the program slirp4netns, by which the world is reached; empty: it is not.
	Egress  string `json:"egress,omitempty"`
	User    string `json:"user,omitempty"` // user[:group] of the image, by name or number; empty: root
	WorkDir string `json:"work_dir,omitempty"`
}

// Mount is a folder of this machine that is seen within.
type Mount struct {
	From     string `json:"from"`
	To       string `json:"to"` // is made where the image has no such folder
	ReadOnly bool   `json:"readonly,omitempty"`
	Own      bool   `json:"own,omitempty"` // the folder is given to the program's user
}

// What the two sides say to each other: a packet each, in JSON, with a descriptor
// where one is asked for.
type (
	// request goes in; each is answered by a reply, in order.
	request struct {
		Socket int            `json:"socket,omitempty"` // make a TCP socket of this family
		Listen netip.AddrPort `json:"listen,omitzero"`  // listen there
		Start  bool           `json:"start,omitempty"`  // start the program
		Signal unix.Signal    `json:"signal,omitempty"` // send it to the program
	}
	// reply goes out. The first answers no request: the root is made, or why not.
	reply struct {
		Error string     `json:"error,omitempty"`
		Errno unix.Errno `json:"errno,omitempty"`
		Exit  *shim.Exit `json:"exit,omitempty"` // answers no request: the program has ended
	}
	// inner is what the inside is started with.
	inner struct {
		Spec
		Who   identity `json:"who"`
		Way   way      `json:"way"`
		Trees int      `json:"trees,omitempty"` // so many descriptors come along, see [mappedTrees]
		Clear string   `json:"clear,omitempty"` // it is to remove that folder, and nothing else
		Exec  []string `json:"exec,omitempty"`  // it is to become this program as it is called so, in Env and WorkDir, and nothing else
	}
)

package namespaces

// Spec says what a container is made of.
type Spec struct {
	Name  string   `json:"name"`            // its host name
	Hosts []string `json:"hosts,omitempty"` // further lines of its /etc/hosts
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

// inner is what the inside is started with.
type inner struct {
	Spec
	Who   identity `json:"who"`
	Way   way      `json:"way"`
	Trees int      `json:"trees,omitempty"` // so many descriptors come along, see [mappedTrees]
	Clear string   `json:"clear,omitempty"` // it is to remove that folder, and nothing else
	Try   bool     `json:"try,omitempty"`   // it is to try whether connections can be led elsewhere, and nothing else
	Exec  []string `json:"exec,omitempty"`  // it is to become this program as it is called so, in Env and WorkDir, and nothing else
}

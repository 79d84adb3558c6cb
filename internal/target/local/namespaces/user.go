package namespaces

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// identity is who a program runs as, within.
type identity struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"`
	Home   string   `json:"home,omitempty"`
}

// lookUser finds the user[:group] of an image in its own /etc/passwd and /etc/group. A
// number needs to stand in neither.
func lookUser(folder, user string) (identity, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return identity{}, fmt.Errorf("open the image: %w", err)
	}
	defer root.Close() //nolint:errcheck // only read
	name, group, grouped := strings.Cut(user, ":")
	if name == "" {
		name = "0"
	}
	var id identity
	uid, numeric := parseID(name)
	id.UID = uid
	found := false
	for _, f := range table(root, "etc/passwd", 7) { // name:password:UID:GID:GECOS:home:shell
		if at, ok := parseID(f[2]); ok && (f[0] == name || numeric && at == uid) {
			gid, _ := parseID(f[3])
			id, found, name = identity{UID: at, GID: gid, Home: f[5]}, true, f[0]
			break
		}
	}
	if !found && !numeric {
		return identity{}, fmt.Errorf("the image is to be run as %s, and its /etc/passwd has no such user", name)
	}
	groups := table(root, "etc/group", 4) // name:password:GID:members
	if grouped {
		gid, ok := parseID(group)
		for _, f := range groups {
			if at, is := parseID(f[2]); is && f[0] == group {
				gid, ok = at, true
			}
		}
		if !ok {
			return identity{}, fmt.Errorf("the image is to be run in group %s, and its /etc/group has no such group", group)
		}
		id.GID = gid
		return id, nil
	}
	for _, f := range groups {
		if gid, ok := parseID(f[2]); ok && slices.Contains(strings.Split(f[3], ","), name) && gid != id.GID {
			id.Groups = append(id.Groups, gid)
		}
	}
	return id, nil
}

func parseID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err == nil
}

// table reads a file such as /etc/passwd: the lines that have that many fields. Of a
// file that is not there, or leads out of the image, none.
func table(root *os.Root, name string, fields int) [][]string {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out [][]string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if l := strings.Split(sc.Text(), ":"); len(l) == fields {
			out = append(out, l)
		}
	}
	return out
}

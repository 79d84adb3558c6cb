package namespaces

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// delegationOf are the users and groups that /etc/subuid and /etc/subgid give to who
// we are.
type delegationOf struct{ uid, gid extent }

// errNoDelegation says why there are no other users than ourselves, and what to type.
var errNoDelegation = errors.New("no users are delegated")

// delegation finds the users that are given to who we are, and the programs by
// which we take them. Without them the error says what is missing and what to type.
func delegation() (d delegationOf, err error) {
	lacks := func(saw, help string) error { return fmt.Errorf("%w: %s; %s", errNoDelegation, saw, help) }
	for _, program := range []string{"newuidmap", "newgidmap"} {
		if toolPath(program) == "" {
			return d, lacks(program+" is not installed", "sudo apt install uidmap")
		}
	}
	me, err := user.Current()
	if err != nil {
		return d, lacks("this user has no name", "newuidmap wants one: add it to /etc/passwd")
	}
	help := fmt.Sprintf("sudo usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 %s", me.Username)
	for file, to := range map[string]*extent{"/etc/subuid": &d.uid, "/etc/subgid": &d.gid} {
		for _, r := range ranges(file) {
			if (r.owner == me.Username || r.owner == me.Uid) && r.count > to.count {
				to.without, to.count = r.first, r.count
			}
		}
		const few = 1000 // the first that people have
		if to.count < few {
			return d, lacks(file+" gives "+me.Username+" no users", help)
		}
		to.count = min(to.count, ids)
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil && strings.Contains(string(status), "NoNewPrivs:\t1") {
		return d, lacks("no_new_privs is set, and newuidmap would gain none", "under systemd: sudo install -D -m 644 /usr/share/titrate/users.conf /etc/systemd/system/titrate.service.d/users.conf && sudo systemctl daemon-reload && sudo systemctl restart titrate")
	}
	return d, nil
}

// toolPath is where a program of the package uidmap is; empty: nowhere. A shim has no $PATH.
func toolPath(program string) string {
	for _, at := range []string{program, "/usr/bin/" + program, "/bin/" + program, "/run/wrappers/bin/" + program} {
		if path, err := exec.LookPath(at); err == nil {
			return path
		}
	}
	return ""
}

// around has the user that a program asks for be we, and the others be those that
// are given to us, each by its number. Whom that leaves out, since we are in his
// place, is the one after the last: a version that became that user may have left files.
func (d delegationOf) around(who identity) mapping {
	return mapping{delegated, around(who.UID, os.Geteuid(), d.uid), around(who.GID, os.Getegid(), d.gid)}
}

func around(x uint32, me int, given extent) []extent {
	out := []extent{{x, uint32(me), 1}}
	if x >= given.count {
		return append(out, extent{0, given.without, given.count})
	}
	if x > 0 {
		out = append(out, extent{0, given.without, x})
	}
	if rest := given.count - x - 1; rest > 0 {
		out = append(out, extent{x + 1, given.without + x + 1, rest})
	}
	return append(out, extent{ids, given.without + x, 1})
}

// subRange is a line of /etc/subuid: owner:first:count. See subuid(5).
type subRange struct {
	owner        string
	first, count uint32
}

// ranges reads a file of ranges. Of one that is not there, or of a line that is none,
// it returns nothing.
func ranges(file string) []subRange {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []subRange
	for sc := bufio.NewScanner(f); sc.Scan(); {
		l := strings.Split(sc.Text(), ":")
		if len(l) != 3 {
			continue
		}
		first, err1 := strconv.ParseUint(l[1], 10, 32)
		count, err2 := strconv.ParseUint(l[2], 10, 32)
		if err1 == nil && err2 == nil && first+count <= 1<<32-1 {
			out = append(out, subRange{l[0], uint32(first), uint32(count)})
		}
	}
	return out
}

// The blocks that containers are given by root: those of systemd's range for
// containers that engines leave alone. See UIDS-GIDS.md of systemd.
const (
	firstBlock = 0x3C00_0000
	lastBlock  = 0x6FFE_0000
	blocks     = (lastBlock-firstBlock)/ids + 1
)

// Block returns the first of the 65536 users and groups that containers of that
// name are to have: the same for as long as the name is, and none that this machine
// has given to somebody else. Two names have the same block once in 13,000 times.
//
// Nothing keeps it: what such users write has plain numbers on the disk.
func Block(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	given := append(ranges("/etc/subuid"), ranges("/etc/subgid")...)
	for i := range uint32(blocks) {
		first := firstBlock + (h.Sum32()%blocks+i)%blocks*ids
		if !slices.ContainsFunc(given, func(r subRange) bool { return first < r.first+r.count && r.first < first+ids }) {
			return first
		}
	}
	return 0
}

package namespaces

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ids is how many users and groups a program has, where it has more than one: as many
// as images use.
const ids = 1 << 16

// way is how the users within become users of this machine.
type way string

// The ways, from the best wall to none. Root takes the first two, others the last two.
const (
	// ownBlock gives a container 65536 users of this machine that nobody else has.
	// Files keep plain numbers on the disk: what is mounted within is id-mapped.
	ownBlock way = "own"
	// sameNumbers are users of this machine by number: root within is root over the
	// namespaces alone, and still who owns the machine's files.
	sameNumbers way = "same"
	// delegated are those that /etc/subuid gives to who we are, beside ourselves. The
	// user that the image names is we, and so are the files of the image: what one
	// that has no other users left stays its own.
	delegated way = "delegated"
	// alone is one user, we ourselves, whom the program takes for the one that it
	// asked for.
	alone way = "alone"
)

// extent is a range of ids: count of them from within on are those from without on.
type extent struct{ within, without, count uint32 }

// mapping says who of this machine the users within are.
type mapping struct {
	way      way
	uid, gid []extent
}

// mapError says that this machine does not give the users of a mapping. There may
// be another.
type mapError struct{ err error }

func (e *mapError) Error() string { return e.err.Error() }
func (e *mapError) Unwrap() error { return e.err }

// mappings lists the mappings that may be had for a program that runs as who, the
// best first. Block is the first id of its own block; 0: it has none. The last one needs nothing that
// namespaces do not.
func mappings(who identity, block uint32) ([]mapping, error) {
	if os.Geteuid() != 0 {
		one := mapping{alone, []extent{{who.UID, uint32(os.Geteuid()), 1}}, []extent{{who.GID, uint32(os.Getegid()), 1}}}
		if d, err := delegation(); err == nil {
			return []mapping{d.around(who), one}, nil
		}
		return []mapping{one}, nil
	}
	same := mapping{way: sameNumbers}
	for file, to := range map[string]*[]extent{"/proc/self/uid_map": &same.uid, "/proc/self/gid_map": &same.gid} {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("see which users there are: %w", err)
		}
		for line := range strings.Lines(string(b)) { // in a container not all are there
			var within, without, count uint32
			if _, err := fmt.Sscan(line, &within, &without, &count); err == nil && within < ids {
				*to = append(*to, extent{within, within, min(count, ids-within)})
			}
		}
	}
	if block == 0 || !kernelStacksMapped() {
		return []mapping{same}, nil
	}
	own := []extent{{0, block, ids}}
	return []mapping{{ownBlock, own, own}, same}, nil
}

// kernelStacksMapped tells whether the kernel takes id-mapped mounts as layers of
// an overlay: Linux 5.19.
func kernelStacksMapped() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 19)
}

// give makes the mapping that of the user namespace of process pid, which has none yet.
func (m mapping) give(pid int) error {
	if m.way == delegated {
		return errors.Join(newIDMap("newuidmap", pid, m.uid), newIDMap("newgidmap", pid, m.gid))
	}
	at := "/proc/" + strconv.Itoa(pid)
	if m.way == alone { // else the kernel lets nobody but root map a group
		if err := os.WriteFile(at+"/setgroups", []byte("deny"), 0); err != nil {
			return &mapError{fmt.Errorf("map the groups: %w", err)}
		}
	}
	for name, all := range map[string][]extent{"uid_map": m.uid, "gid_map": m.gid} {
		var text strings.Builder
		for _, e := range all {
			fmt.Fprintln(&text, e.within, e.without, e.count)
		}
		if err := os.WriteFile(at+"/"+name, []byte(text.String()), 0); err != nil {
			return &mapError{fmt.Errorf("map the users: %w", err)}
		}
	}
	return nil
}

// newIDMap has a program of the package uidmap write a map: it may do what we may not,
// for the users that are given to us.
func newIDMap(program string, pid int, all []extent) error {
	args := []string{strconv.Itoa(pid)}
	for _, e := range all {
		for _, n := range []uint32{e.within, e.without, e.count} {
			args = append(args, strconv.FormatUint(uint64(n), 10))
		}
	}
	out, err := exec.Command(toolPath(program), args...).CombinedOutput() //nolint:noctx // it writes a line
	if err != nil {
		return &mapError{fmt.Errorf("%s: %w: %.300s", program, err, strings.TrimSpace(string(out)))}
	}
	return nil
}

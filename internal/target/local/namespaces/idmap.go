package namespaces

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ids is how many users and groups a program has where we are root: as many as
// images use, and no more than every machine has.
const ids = 1 << 16

// mapIDs says who of this machine the users within are. Where we are root they have
// the same numbers: what a user within writes belongs to that number, and root within
// is root over the namespaces alone. Else there is one user, we ourselves, whom the
// program takes for the one that it asked for.
func mapIDs(sys *syscall.SysProcAttr, who identity) error {
	if who.Alone {
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: int(who.UID), HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: int(who.GID), HostID: os.Getegid(), Size: 1}}
		return nil
	}
	sys.GidMappingsEnableSetgroups = true
	for file, to := range map[string]*[]syscall.SysProcIDMap{"/proc/self/uid_map": &sys.UidMappings, "/proc/self/gid_map": &sys.GidMappings} {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("see which users there are: %w", err)
		}
		for line := range strings.Lines(string(b)) { // in a container not all are there
			var within, without, count int
			if _, err := fmt.Sscan(line, &within, &without, &count); err != nil || within >= ids {
				continue
			}
			*to = append(*to, syscall.SysProcIDMap{ContainerID: within, HostID: within, Size: min(count, ids-within)})
		}
	}
	return nil
}

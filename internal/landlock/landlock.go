// Package landlock takes the file system away from a thread that is about to
// execute a program, except for the paths that it is given. See landlock(7).
//
// It is for launchers: it restricts the calling thread and what that executes,
// which spares the machinery that restricts all threads of a running program.
package landlock

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access is a set of rights below a path.
type Access uint64

// The sets that rules use.
const (
	// Read lets files be read, executed and listed.
	Read Access = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// Write lets files be read, changed, made, moved and removed.
	Write Access = Read | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	// All is everything that Landlock can forbid.
	All Access = Write | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX

	forFiles Access = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV |
		unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
)

// Rule grants rights on a file, or on a folder and all below it.
type Rule struct {
	Path   string `json:"path"`
	Access Access `json:"access"`
}

// ABI returns the version of Landlock that this kernel has; 0: none.
func ABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// known returns the rights that a kernel of this ABI can forbid.
func known(abi int) Access {
	a := All &^ (unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX)
	if abi >= 2 {
		a |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		a |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		a |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 9 {
		a |= unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	}
	return a
}

// Restrict takes from the calling thread, and from all that it will execute,
// every right on files that no rule grants, the right to gain privileges, and
// (where the kernel can) the right to signal or trace processes outside. It
// cannot be undone: lock the goroutine to its thread before. A rule whose path
// does not exist is skipped. Without Landlock it only forbids to gain privileges.
func Restrict(rules []Rule) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	abi := ABI()
	if abi == 0 {
		return nil
	}
	handled := known(abi)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: uint64(handled)}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), attrSize(abi), 0)
	if errno != 0 {
		return fmt.Errorf("make a Landlock ruleset: %w", errno)
	}
	defer func() { _ = unix.Close(int(fd)) }()
	for _, r := range rules {
		if err := add(int(fd), r, handled); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("enter the Landlock domain: %w", errno)
	}
	return nil
}

// attrSize is how much of the attributes a kernel knows: an older one refuses
// what it does not.
func attrSize(abi int) uintptr {
	var a unix.LandlockRulesetAttr
	switch {
	case abi >= 6:
		return unsafe.Offsetof(a.Scoped) + unsafe.Sizeof(a.Scoped)
	case abi >= 4:
		return unsafe.Offsetof(a.Handled_access_net) + unsafe.Sizeof(a.Handled_access_net)
	default:
		return unsafe.Sizeof(a.Handled_access_fs)
	}
}

func add(ruleset int, r Rule, handled Access) error {
	fd, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		return nil // gone, or out of reach anyway
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", r.Path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("look at %s: %w", r.Path, err)
	}
	access := r.Access & handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= forFiles // the kernel refuses a folder's rights on a file
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: uint64(access), Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	// A file system that cannot carry rules (a pipe's, say) gives EBADFD.
	if errno != 0 && errno != unix.EBADFD {
		return fmt.Errorf("add a Landlock rule for %s: %w", r.Path, errno)
	}
	return nil
}

// mostEntries bounds the rules for one folder above an excepted path.
const mostEntries = 4096

// Except returns rules that grant everything but the excepted files and folders and
// what these hold: all their neighbours, and those of each folder above them. Those
// folders themselves can then not be listed, and nothing new be made right in them.
// Rules cannot take away, so this is the only way to keep one path. What does not
// exist needs no keeping.
func Except(excepted ...string) ([]Rule, error) {
	kept, above := map[string]bool{}, map[string]bool{} // above: they and the folders they are in
	for _, path := range excepted {
		path, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("except a path: %w", err)
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, fmt.Errorf("except a path: %w", err)
		}
		kept[path] = true
		for ; !above[path]; path = filepath.Dir(path) {
			above[path] = true
		}
	}
	var rules []Rule
	for _, path := range slices.Sorted(maps.Keys(above)) {
		if inside(path, kept) {
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			continue // cannot be listed: what is in it stays hidden too
		}
		for i, e := range entries {
			// A symbolic link would grant what it leads to; what it leads to is
			// granted where it really is.
			name := filepath.Join(path, e.Name())
			if above[name] || e.Type()&os.ModeSymlink != 0 || i >= mostEntries {
				continue
			}
			rules = append(rules, Rule{name, All})
		}
	}
	return rules, nil
}

// inside reports whether path or a folder that it is in is one of kept.
func inside(path string, kept map[string]bool) bool {
	for ; path != "/"; path = filepath.Dir(path) {
		if kept[path] {
			return true
		}
	}
	return false
}

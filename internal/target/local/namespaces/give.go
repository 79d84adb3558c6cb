package namespaces

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// giveTo gives a folder, and what in it is whoever's it was, to the program's user:
// the version before may have run as another. Root needs not be given anything, but
// whom it becomes must come to what it makes there: an empty folder is opened to all
// within, as engines do.
func giveTo(who identity, dir string) error {
	root, err := os.OpenRoot(dir) // whatever links lead out of it
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // only names were changed through it
	if who.UID == 0 {
		if all, err := fs.ReadDir(root.FS(), "."); err != nil || len(all) > 0 {
			return nil
		}
		return root.Chmod(".", 0o755)
	}
	top, err := root.Lstat(".")
	if err != nil {
		return err
	}
	before := ownerOf(top)
	if before == who.UID {
		return nil
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return gone(err)
		}
		info, err := d.Info()
		if err != nil || ownerOf(info) != before {
			return gone(err)
		}
		return gone(root.Lchown(name, int(who.UID), int(who.GID)))
	})
	if err != nil {
		return err
	}
	return root.Lchown(".", int(who.UID), int(who.GID)) // last: until then it is begun anew
}

// gone takes away the error that a file is not there: another instance has removed it.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func ownerOf(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return 0
}

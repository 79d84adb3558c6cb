package namespaces

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Remove removes a folder and all in it, also what programs have made so that not
// even its owner may look into it, and what belongs to users that only containers
// have. The command is that of [New].
func Remove(dir string, command []string) error {
	err := clearAway(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	d, lack := delegation()
	if lack != nil || os.Geteuid() == 0 {
		return err
	}
	_, err = errand(command, 0, d.around(identity{}), inner{Clear: dir})
	return err
}

// clearAway removes what this user may.
func clearAway(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // what it does not help shows below
		}
		return nil
	})
	return os.RemoveAll(dir)
}

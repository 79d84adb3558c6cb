package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folder is the tree of files in a folder, as [os.DirFS] is, but for what waits: see
// [openFile].
type folder string

func (dir folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return openFile(filepath.Join(string(dir), filepath.FromSlash(name)))
}

var errNoFile = errors.New("it is a named pipe or a device, not a file")

// openFile opens a file or a folder for reading. Anything else is refused: to open a
// named pipe is to wait for somebody who writes to it. What a shell passes by a name
// in /dev is meant so.
func openFile(path string) (*os.File, error) {
	if strings.HasPrefix(path, "/dev/") {
		return os.Open(path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNoFile}
	}
	if err != nil {
		_ = f.Close() // nothing was read
		return nil, err
	}
	return f, nil
}

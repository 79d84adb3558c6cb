package runtimes

import (
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// checkBootstrap tells whether this machine could execute the bootstrap of folder: it is there, a file, executable, and either a script or a
// program for this processor.
func (r Runtime) checkBootstrap(folder string) error {
	path := filepath.Join(folder, "bootstrap")
	refuse := func(kind Kind, what, why, next string, err error) error {
		return &Error{Kind: kind, Runtime: r.Name, What: what, Where: path, Why: why, Next: next, Err: err}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse(FileMissing, "bootstrap is missing", "runtime "+r.Name+" starts a program of that name",
			"build the function to a file named bootstrap at the top of its folder", err)
	case err != nil:
		return refuse(NotRunnable, "bootstrap cannot be looked at", err.Error(), "give the node's user the right to read it", err)
	case !info.Mode().IsRegular():
		return refuse(NotRunnable, "bootstrap is not a file", "it is "+info.Mode().Type().String(), "build the function to a file of that name", nil)
	case info.Mode()&0o111 == 0:
		return refuse(NotRunnable, "bootstrap is not executable", "its mode is "+info.Mode().String(), "chmod +x bootstrap, and pack it with its mode", nil)
	}
	f, err := os.Open(path)
	if err != nil {
		return refuse(NotRunnable, "bootstrap cannot be read", err.Error(), "give the node's user the right to read it", err)
	}
	defer f.Close()
	start := make([]byte, 2)
	if _, err := io.ReadFull(f, start); err == nil && string(start) == "#!" {
		return nil
	}
	program, err := elf.NewFile(f)
	if err != nil {
		return refuse(NotRunnable, "bootstrap is neither a Linux program nor a script", err.Error(), "build it with GOOS=linux, or begin the script with #!", err)
	}
	defer func() { _ = program.Close() }()
	if want, known := machine(); known && program.Machine != want {
		return refuse(NotRunnable, "bootstrap is for another processor", "it is for "+program.Machine.String()+" and this machine is "+runtime.GOARCH,
			"build it with GOARCH="+runtime.GOARCH, nil)
	}
	return nil
}

func machine() (elf.Machine, bool) {
	switch runtime.GOARCH {
	case "amd64":
		return elf.EM_X86_64, true
	case "arm64":
		return elf.EM_AARCH64, true
	default:
		return 0, false
	}
}

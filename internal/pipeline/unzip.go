package pipeline

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What a zip of a function may hold. AWS takes 250 MB of files ("Lambda quotas"); more is
// let through here, as long as it is no bomb.
const (
	maxZip        = 512 << 20 // bytes of the zip
	maxZipFiles   = 100_000
	maxZipContent = 1 << 30 // bytes of all its files
	maxZipLink    = 4096    // bytes of what a link leads to
)

// zipError says what is wrong with a zip.
type zipError struct{ saw, help string }

func (e *zipError) Error() string { return e.saw }

const packAnew = "pack the folder anew: cd FOLDER && zip -r ../function.zip ."

// unzip unpacks the zip at name into the folder to, which is empty. Nothing is written
// outside of it, whatever the names and links in the zip: a link is made when all
// files are there, so that none is written through it. Its error is a *zipError where the
// zip is at fault.
func unzip(root *os.Root, name, to string, may allow) (files int, size int64, err error) {
	f, err := root.Open(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	if info.Size() > maxZip {
		return 0, 0, &zipError{fmt.Sprintf("it has %d MiB, and %d are the most", info.Size()>>20, maxZip>>20), "leave out what the function does not need, such as dependencies for developing"}
	}
	return unzipFrom(f, info.Size(), to, may)
}

func unzipFrom(from io.ReaderAt, length int64, to string, may allow) (files int, size int64, err error) {
	z, err := zip.NewReader(from, length)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // its names are looked at below
		return 0, 0, &zipError{"it is no zip, or is damaged: " + err.Error(), packAnew}
	}
	if len(z.File) > maxZipFiles {
		return 0, 0, &zipError{fmt.Sprintf("it holds %d files, and %d are the most", len(z.File), maxZipFiles), "leave out what the function does not need"}
	}
	dir, err := os.OpenRoot(to)
	if err != nil {
		return 0, 0, err
	}
	defer dir.Close() //nolint:errcheck // what was written is closed by itself
	u := unzipping{to: dir, left: maxZipContent, may: may}
	for _, f := range z.File {
		if err := u.entry(f); err != nil {
			return u.files, maxZipContent - u.left, err
		}
	}
	for _, l := range u.links {
		if err := u.link(l[0], l[1]); err != nil {
			return u.files, maxZipContent - u.left, err
		}
	}
	return u.files, maxZipContent - u.left, nil
}

// unzipping is a zip that is being unpacked.
type unzipping struct {
	to    *os.Root
	files int
	left  int64 // bytes that may still be written
	may   allow
	links [][2]string // name, target
}

// entry unpacks one file or folder, and puts a link off.
func (u *unzipping) entry(f *zip.File) error {
	name, err := zipName(f.Name)
	if err != nil {
		return err
	}
	mode := f.Mode()
	switch {
	case name == ".":
		return nil
	case f.Flags&1 != 0:
		return &zipError{f.Name + " is encrypted", packAnew + ", without a password"}
	case mode.IsDir():
		return nameClash(f.Name, u.to.MkdirAll(name, 0o755))
	case mode&fs.ModeSymlink != 0:
		target, err := zipText(f, maxZipLink)
		if err != nil {
			return err
		}
		u.links = append(u.links, [2]string{name, target})
		return nil
	case !mode.IsRegular():
		return &zipError{f.Name + " is neither a file, a folder nor a link", packAnew}
	}
	if err := nameClash(f.Name, u.to.MkdirAll(path.Dir(name), 0o755)); err != nil {
		return err
	}
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	out, err := u.to.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return nameClash(f.Name, err)
	}
	err = u.content(f, out)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	u.files++
	return err
}

// zipPiece is how much is unpacked between two questions whether there is room: what comes
// next is not known before it is there.
const zipPiece = 1 << 20

// content writes a file as far as there is room. What the zip says of its size is not
// believed.
func (u *unzipping) content(f *zip.File, out io.Writer) error {
	in, err := f.Open()
	if err != nil {
		return &zipError{f.Name + ": " + err.Error(), packAnew}
	}
	defer in.Close()
	for {
		wrote, err := io.CopyN(out, in, min(zipPiece, u.left+1))
		if err := u.may(wrote); err != nil {
			return err
		}
		if u.left -= wrote; u.left < 0 {
			return &zipError{fmt.Sprintf("its files have more than %d MiB", maxZipContent>>20), "leave out what the function does not need"}
		}
		var path *fs.PathError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &path):
			return err // of the disk
		case err != nil:
			return &zipError{f.Name + " is damaged: " + err.Error(), packAnew}
		}
	}
}

// link makes a link that leads to a place inside.
func (u *unzipping) link(name, target string) error {
	if target == "" || path.IsAbs(target) || strings.Contains(target, "\x00") || !filepath.IsLocal(path.Join(path.Dir(name), target)) {
		return &zipError{fmt.Sprintf("the link %s leads out of it, to %q", name, target), packAnew + ", which packs what links lead to"}
	}
	if err := nameClash(name, u.to.MkdirAll(path.Dir(name), 0o755)); err != nil {
		return err
	}
	return nameClash(name, u.to.Symlink(target, name))
}

// zipName checks the name of an entry: slashes, and nothing that leads elsewhere.
func zipName(name string) (string, error) {
	plain := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if plain == "" || plain == "." {
		return ".", nil
	}
	switch {
	case strings.Contains(plain, `\`):
		return "", &zipError{fmt.Sprintf("the name %q has backslashes", name), "pack it with a tool that writes slashes, as the format asks: " + packAnew}
	case !fs.ValidPath(plain) || strings.Contains(plain, "\x00"):
		return "", &zipError{fmt.Sprintf("the name %q leads out of it, or is no plain path", name), packAnew}
	}
	return plain, nil
}

// zipText reads a short entry.
func zipText(f *zip.File, most int64) (string, error) {
	in, err := f.Open()
	if err != nil {
		return "", &zipError{f.Name + ": " + err.Error(), packAnew}
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil || int64(len(text)) > most {
		return "", &zipError{f.Name + " is no link that can be read", packAnew}
	}
	return string(text), nil
}

// nameClash tells of a name that stands for two things; other errors are the disk's.
func nameClash(name string, err error) error {
	if err == nil || isDiskFault(err) {
		return err
	}
	return &zipError{fmt.Sprintf("%s is in it twice, or both as a file and as a folder, or has no name that a file can have: %v", name, unplaced(err)), packAnew}
}

// isDiskFault reports whether an error is of the disk, and not of a name.
func isDiskFault(err error) bool {
	for _, of := range []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// unplaced is what went wrong, without the path of ours.
func unplaced(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

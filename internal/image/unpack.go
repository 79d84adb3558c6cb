package image

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
)

// The names by which a layer takes away what lower ones have. See layer.md of the
// OCI image specification.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// tree is an image's root in the making. Nobody else writes to it.
type tree struct {
	root  *os.Root
	pull  Pull
	left  int64 // bytes that may still be written
	since int64 // bytes since the disk was looked at
	owner bool  // files can be given to whom the image says
	fresh map[string]bool
}

func newTree(p Pull) (*tree, error) {
	root, err := os.OpenRoot(p.Into)
	if err != nil {
		return nil, fmt.Errorf("unpack an image: %w", err)
	}
	return &tree{root: root, pull: p, left: p.Limit, owner: os.Geteuid() == 0}, nil
}

func (t *tree) close() { _ = t.root.Close() } // nothing is written through it

// unpackLayer puts a layer on what is there, and checks that it is the one that the
// image's configuration names.
func unpackLayer(ctx context.Context, t *tree, f *os.File, l v1.Layer) error {
	defer f.Close()
	in, err := decompress(f)
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	whole := io.TeeReader(in, sum)
	if err := t.apply(ctx, tar.NewReader(whole)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, whole); err != nil { // what pads the archive
		return err
	}
	want, err := l.DiffID()
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.Hex {
		return fmt.Errorf("its content hashes to %.12s…, and the image says %.12s…", got, want.Hex)
	}
	return nil
}

// decompress tells by the first bytes how a layer is packed.
func decompress(f io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReader(f)
	head, err := b.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b:
		return gzip.NewReader(b)
	case string(head) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	default:
		return io.NopCloser(b), nil
	}
}

func (t *tree) apply(ctx context.Context, r *tar.Reader) error {
	t.fresh = map[string]bool{}
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := t.entry(h, r); err != nil {
			return fmt.Errorf("%.200q: %w", h.Name, err)
		}
	}
}

// entry puts one entry in its place. Names count from the image's root, however
// they begin, and cannot lead above it.
func (t *tree) entry(h *tar.Header, r io.Reader) error {
	clean := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if clean == "" {
		return nil
	}
	if t.left -= entryCost; t.left < 0 {
		return t.tooLarge()
	}
	dir, base := path.Split(clean)
	dir, err := t.resolve(dir)
	if err != nil {
		return err
	}
	switch at := path.Join(dir, strings.TrimPrefix(base, whiteout)); {
	case base == opaque:
		return t.empty(dir)
	case base == whiteout || base == whiteout+"." || base == whiteout+"..":
		return errors.New("it takes nothing away")
	case strings.HasPrefix(base, whiteout):
		if t.fresh[at] {
			return nil
		}
		return t.root.RemoveAll(at)
	}
	if err := t.folders(dir); err != nil {
		return err
	}
	at := path.Join(dir, base)
	if err := t.make(at, h, r); err != nil {
		return err
	}
	for up := at; up != "."; up = path.Dir(up) {
		t.fresh[up] = true
	}
	return nil
}

// folders makes a folder and those above it where they are missing. All may look into
// them, whatever this process keeps from others.
func (t *tree) folders(dir string) error {
	if dir == "" || dir == "." || t.isDir(dir) {
		return nil
	}
	if err := t.folders(path.Dir(dir)); err != nil {
		return err
	}
	if err := t.root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return t.root.Chmod(dir, 0o755)
}

// mostLinks ends links that lead to each other.
const mostLinks = 40

// resolve follows the links of a folder's path as a process sees them that has the
// image as its root. What it returns holds no links, and may not exist.
func (t *tree) resolve(dir string) (string, error) {
	rest := strings.Split(dir, "/")
	at, links := "", 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at = path.Dir(at); at == "." {
				at = ""
			}
			continue
		}
		next := path.Join(at, name)
		info, err := t.root.Lstat(next)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > mostLinks {
			return "", errors.New("its links lead to each other")
		}
		target, err := t.root.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = ""
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// empty removes what lower layers have in a folder.
func (t *tree) empty(dir string) error {
	if dir == "" {
		dir = "."
	}
	f, err := t.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		at := path.Join(dir, name)
		switch {
		case !t.fresh[at]:
			err = t.root.RemoveAll(at)
		case t.isDir(at):
			err = t.empty(at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) isDir(at string) bool {
	info, err := t.root.Lstat(at)
	return err == nil && info.IsDir()
}

// make makes a file, folder or link, in place of what is there.
func (t *tree) make(at string, h *tar.Header, r io.Reader) error {
	known := []byte{tar.TypeDir, tar.TypeReg, tar.TypeGNUSparse, tar.TypeLink, tar.TypeSymlink}
	if !slices.Contains(known, h.Typeflag) {
		return nil // a device, a FIFO: the machine's are not the image's to make
	}
	if h.Typeflag != tar.TypeDir || !t.isDir(at) {
		if err := t.root.RemoveAll(at); err != nil {
			return err
		}
	}
	// No bit lets who runs a file become somebody else.
	mode := h.FileInfo().Mode().Perm() | h.FileInfo().Mode()&fs.ModeSticky
	switch h.Typeflag {
	case tar.TypeDir:
		if err := t.folders(at); err != nil {
			return err
		}
		mode |= 0o700
	case tar.TypeSymlink:
		if err := t.root.Symlink(h.Linkname, at); err != nil {
			return err
		}
		return t.own(at, h)
	case tar.TypeLink:
		return t.link(at, h.Linkname)
	default:
		if err := t.file(at, h.Size, r); err != nil {
			return err
		}
		mode |= 0o400
	}
	if err := t.own(at, h); err != nil {
		return err
	}
	return t.root.Chmod(at, mode)
}

func (t *tree) own(at string, h *tar.Header) error {
	if !t.owner {
		return nil // all is ours: an unprivileged user has no other ids to give
	}
	return t.root.Lchown(at, h.Uid, h.Gid)
}

// link gives a file of the image another name.
func (t *tree) link(at, to string) error {
	dir, base := path.Split(strings.TrimPrefix(path.Clean("/"+to), "/"))
	dir, err := t.resolve(dir)
	if err != nil {
		return err
	}
	target := path.Join(dir, base)
	if target == at || t.isDir(target) {
		return fmt.Errorf("it is a hard link to %.200q", to)
	}
	return t.root.Link(target, at)
}

// entryCost is what an entry takes beside its content: a million empty files fill a
// disk too.
const entryCost = 512

func (t *tree) tooLarge() error {
	return &Error{Kind: TooLarge, Saw: "the image is larger than " + megabytes(t.pull.Limit), Help: "leave out what the service does not run: a build in stages keeps only its result"}
}

// lookEvery is how many bytes are written between two looks at the disk.
const lookEvery = 16 << 20

func (t *tree) file(at string, size int64, r io.Reader) error {
	if t.left -= size; t.left < 0 || size < 0 {
		return t.tooLarge()
	}
	if t.since += size; t.since > lookEvery {
		t.since = 0
		if err := t.pull.room(size); err != nil {
			return err
		}
	}
	f, err := t.root.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

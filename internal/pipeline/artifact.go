package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/durable"
	"titrate/internal/rollout"
)

// Artifact is the output of a build: immutable, named by its content.
type Artifact struct {
	Digest    string    `json:"digest"`  // sha-256, hex
	Command   []string  `json:"command"` // argv, run in the artifact's folder
	Inputs    string    `json:"inputs"`  // digest of all that it was made of
	BuiltAt   time.Time `json:"built_at"`
	Toolchain string    `json:"toolchain"` // "go1.26.8 linux/amd64", or the command
	Size      int64     `json:"size"`      // bytes of its files

	Image *rollout.Image `json:"image,omitempty"` // nil: a folder that is run as a process
	Tree  string         `json:"tree,omitempty"`  // of an image: the digest of its unpacked files

	// Of a function: what runs it and what is called. Several may share the files.
	Runtime string `json:"-"`
	Handler string `json:"-"`
}

// Artifacts keeps artifacts as read-only folders, each with its description in
// DIGEST.json beside it.
type Artifacts struct {
	dir string
	mu  sync.RWMutex // written to by GC: nothing is removed between being stored and being named
}

// OpenArtifacts opens the store at dir and removes what a crash left half stored.
func OpenArtifacts(dir string) (*Artifacts, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	halves, err := fs.Glob(os.DirFS(dir), ".tmp-*")
	if err != nil {
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	for _, half := range halves {
		if err := removeAll(filepath.Join(dir, half)); err != nil {
			return nil, fmt.Errorf("open artifacts: %w", err)
		}
	}
	return &Artifacts{dir: dir}, nil
}

var digestName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ErrNoArtifact is wrapped when an artifact is not there.
var ErrNoArtifact = errors.New("no such artifact")

// Path returns the folder of an artifact.
func (a *Artifacts) Path(digest string) string { return filepath.Join(a.dir, digest) }

// Describe returns what is known of an artifact, or wraps [ErrNoArtifact].
func (a *Artifacts) Describe(digest string) (Artifact, error) {
	if !digestName.MatchString(digest) {
		return Artifact{}, fmt.Errorf("artifact %q: %w", digest, ErrNoArtifact)
	}
	text, err := os.ReadFile(a.Path(digest) + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return Artifact{}, fmt.Errorf("artifact %s: %w", digest, ErrNoArtifact)
	}
	if err != nil {
		return Artifact{}, fmt.Errorf("artifact %s: %w", digest, err)
	}
	var art Artifact
	if err := json.Unmarshal(text, &art); err != nil || art.Digest != digest {
		return Artifact{}, &CorruptError{Path: a.Path(digest) + ".json", Saw: "its description cannot be read"}
	}
	if _, err := os.Stat(a.Path(digest)); err != nil {
		return Artifact{}, fmt.Errorf("artifact %s: %w", digest, ErrNoArtifact)
	}
	return art, nil
}

// Renew returns what Describe does, and leaves the artifact alone in [Artifacts.GC]
// as if it were new: for whoever is about to name it in a release.
func (a *Artifacts) Renew(digest string) (Artifact, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.renew(digest)
}

// renew is Renew for a caller that holds mu.
func (a *Artifacts) renew(digest string) (Artifact, error) {
	art, err := a.Describe(digest)
	if err != nil {
		return Artifact{}, err
	}
	now := time.Now()
	if err := os.Chtimes(a.Path(digest), now, now); err != nil {
		return Artifact{}, fmt.Errorf("artifact %s: %w", digest, err)
	}
	return art, nil
}

// Verify reads an artifact whole and reports whether it is what was stored: a
// [CorruptError] says what is not.
func (a *Artifacts) Verify(digest string) error {
	art, err := a.Describe(digest)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(a.Path(digest))
	if err != nil {
		return fmt.Errorf("verify artifact: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing was written
	list, _, err := listFiles(root.FS())
	if err != nil {
		return &CorruptError{Path: a.Path(digest), Saw: err.Error()}
	}
	want := digest
	if art.Image != nil {
		want = art.Tree
	}
	if got := digestOf(list); got != want {
		return &CorruptError{Path: a.Path(digest), Saw: "its files hash to " + short(got) + "…"}
	}
	return nil
}

// CorruptError says that a stored artifact is not what was stored.
type CorruptError struct {
	Path string
	Saw  string
}

// Error says where, what was seen and what to do.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("error[%s]: a stored artifact has changed\n  where   %s\n  saw     %s\n  help    rm -r %s*   and push again: it is built anew", CodeCorrupt, e.Path, e.Saw, strings.TrimSuffix(e.Path, ".json"))
}

// keep moves the folder from into the store and returns its artifact. The folder
// must be on the store's disk; keeping the same content again changes nothing.
func (a *Artifacts) keep(from string, art Artifact) (Artifact, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	root, err := os.OpenRoot(from)
	if err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing is written through it any more
	if err := seal(root); err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	list, size, err := listFiles(root.FS())
	if err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	art.Digest, art.Size = digestOf(list), size
	if kept, err := a.renew(art.Digest); err == nil {
		kept.Command, kept.Inputs = art.Command, art.Inputs
		return kept, nil
	}
	text, err := json.MarshalIndent(art, "", "  ")
	if err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	to := a.Path(art.Digest)
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	if err := os.Chmod(to, 0o555); err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	// The description is written last, and syncs the folder: with it the artifact is there.
	if err := durable.WriteFile(to+".json", text); err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	return art, nil
}

// keepImage moves the unpacked files of an image into the store, under the digest of
// the image. Modes and owners stay as the image has them: what runs it sees the
// files through a mount that cannot be written to.
func (a *Artifacts) keepImage(from string, art Artifact) (Artifact, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	root, err := os.OpenRoot(from)
	if err != nil {
		return Artifact{}, fmt.Errorf("keep image: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing is written through it any more
	list, size, err := listFiles(root.FS())
	if err != nil {
		return Artifact{}, fmt.Errorf("keep image: %w", err)
	}
	art.Tree, art.Size = digestOf(list), size
	if kept, err := a.renew(art.Digest); err == nil {
		return kept, nil
	}
	if err := syncDisk(from); err != nil {
		return Artifact{}, fmt.Errorf("keep image: %w", err)
	}
	text, err := json.MarshalIndent(art, "", "  ")
	if err != nil {
		return Artifact{}, fmt.Errorf("keep image: %w", err)
	}
	to := a.Path(art.Digest)
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return Artifact{}, fmt.Errorf("keep image: %w", err)
	}
	if err := durable.WriteFile(to+".json", text); err != nil {
		return Artifact{}, fmt.Errorf("keep image: %w", err)
	}
	return art, nil
}

// syncDisk writes all that is pending on the disk of dir: for the ten thousands of
// files of an image that is one wait and not one each.
func syncDisk(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// GC removes the artifacts whose digest keep does not name and that were made or
// reused longer than age ago: a release may not have named a new one yet.
func (a *Artifacts) GC(keep map[string]bool, age time.Duration, now time.Time) (removed int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return 0, fmt.Errorf("remove old artifacts: %w", err)
	}
	for _, e := range entries {
		if digest := e.Name(); e.IsDir() && digestName.MatchString(digest) && !keep[digest] {
			info, err := e.Info()
			if err != nil || now.Sub(info.ModTime()) < age {
				continue
			}
			os.Remove(a.Path(digest) + ".json")
			if err := removeAll(a.Path(digest)); err != nil {
				return removed, fmt.Errorf("remove old artifacts: %w", err)
			}
			removed++
		}
	}
	return removed, nil
}

// seal makes every file of a tree read-only and syncs it. Links that lead out
// and what is neither file, folder nor link are refused.
func seal(root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		switch {
		case d.IsDir():
			return root.Chmod(name, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := root.Readlink(name)
			if err != nil {
				return err
			}
			if path.IsAbs(target) || !filepath.IsLocal(path.Join(path.Dir(name), target)) {
				return fmt.Errorf("the link %s leads out of the artifact, to %s", name, target)
			}
			_, err = root.Stat(name)
			return err
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file, a folder nor a link", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o444)
		if info.Mode()&0o111 != 0 {
			mode = 0o555
		}
		if err := root.Chmod(name, mode); err != nil {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// listFiles describes each file and link of a tree by mode, content and name, a
// line each. Empty folders do not count.
func listFiles(tree fs.FS) (lines []string, size int64, err error) {
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		kind, sum, n, err := describe(tree, name, d)
		size += n
		lines = append(lines, fmt.Sprintf("%s %s %q\n", kind, sum, name))
		return err
	})
	return lines, size, err
}

func describe(tree fs.FS, name string, d fs.DirEntry) (kind, sum string, size int64, err error) {
	if d.Type() == fs.ModeSymlink {
		target, err := fs.ReadLink(tree, name)
		h := sha256.Sum256([]byte(target))
		return "link", hex.EncodeToString(h[:]), 0, err
	}
	info, err := d.Info()
	if err != nil {
		return "", "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", "", 0, fmt.Errorf("%s is neither a file, a folder nor a link", name)
	}
	f, err := tree.Open(name)
	if err != nil {
		return "", "", 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	n, err := io.Copy(h, f)
	kind = "file"
	if info.Mode()&0o111 != 0 {
		kind = "prog"
	}
	return kind, hex.EncodeToString(h.Sum(nil)), n, err
}

func digestOf(lines []string) string {
	sort.Strings(lines)
	h := sha256.New()
	io.WriteString(h, "titrate artifact 1\n") //nolint:errcheck // a hash never fails
	for _, l := range lines {
		io.WriteString(h, l) //nolint:errcheck // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

package source

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"titrate/internal/durable"
)

// Tree reads one commit of a repository.
type Tree struct {
	git    git
	dir    string
	commit string
	env    []string // where objects are that are not accepted yet
	max    int64
}

// maxFile bounds a file that is read into memory.
const maxFile = 16 << 20

// Tree returns a reader of a commit of a repository: a full object name. It wraps
// [ErrUnknown] when there is no such repository or commit.
func (s *Server) Tree(ctx context.Context, repo, commit string) (Tree, error) {
	dir, err := s.known(repo)
	if err != nil {
		return Tree{}, err
	}
	t := Tree{git: s.git, dir: dir, commit: commit, max: s.cfg.MaxTree}
	if !isCommit(commit) {
		return Tree{}, fmt.Errorf("%q is not the full name of a commit: %w", commit, ErrUnknown)
	}
	if _, err := t.run(ctx, "cat-file", "-e", commit+"^{commit}"); err != nil {
		return Tree{}, fmt.Errorf("%s has no commit %s: %w", repo, commit, ErrUnknown)
	}
	return t, nil
}

// Tip returns the commit that a repository's branch is at: of its default branch
// where it has none of that name, and "" where nothing was pushed to it.
func (s *Server) Tip(ctx context.Context, repo, branch string) (string, error) {
	dir, err := s.known(repo)
	if errors.Is(err, ErrUnknown) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, ref := range []string{"refs/heads/" + branch, "HEAD"} {
		if commit, err := s.tip(ctx, dir, ref); err != nil || commit != "" {
			return commit, err
		}
	}
	return "", nil
}

func (t Tree) run(ctx context.Context, args ...string) (string, error) {
	return t.git.run(ctx, t.dir, t.env, args...)
}

// Commit returns the full name of the commit.
func (t Tree) Commit() string { return t.commit }

// File returns the content of a file, following links inside the commit. It
// wraps [ErrUnknown] when there is no such file.
func (t Tree) File(ctx context.Context, name string) ([]byte, error) {
	if strings.ContainsAny(name, "\n\x00") || !filepath.IsLocal(name) {
		return nil, fmt.Errorf("read %q: %w", name, ErrUnknown)
	}
	// Its size first: a few bytes of a push can be a file of gigabytes.
	c := t.git.command(ctx, t.dir, t.env, "cat-file", "--batch-check", "--follow-symlinks")
	c.Stdin = strings.NewReader(t.commit + ":" + path.Clean(name) + "\n")
	head, err := t.git.runWith(c)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	// "OID blob SIZE\n", or what is wrong: missing, dangling, loop, notdir, a link
	// that leads out. See git-cat-file(1), batch output.
	f := strings.Fields(head)
	if len(f) != 3 || f[1] != "blob" {
		return nil, fmt.Errorf("read %s of commit %.7s: no such file: %w", name, t.commit, ErrUnknown)
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read %s of commit %.7s: git answered %q", name, t.commit, head)
	}
	if size > maxFile {
		return nil, fmt.Errorf("read %s of commit %.7s: %d bytes are more than %d", name, t.commit, size, maxFile)
	}
	content, err := t.run(ctx, "cat-file", "blob", f[0])
	if err != nil {
		return nil, fmt.Errorf("read %s of commit %.7s: %w", name, t.commit, err)
	}
	return []byte(content), nil
}

// Files lists the files of the commit, links among them, relative and slash-separated.
func (t Tree) Files(ctx context.Context) ([]string, error) {
	listed, err := t.run(ctx, "ls-tree", "-r", "-z", "--name-only", "--full-tree", t.commit)
	if err != nil {
		return nil, fmt.Errorf("list the files of commit %.7s: %w", t.commit, err)
	}
	return strings.FieldsFunc(listed, func(c rune) bool { return c == 0 }), nil
}

// Hash returns a digest of everything under the folders dirs (relative, "." for
// all): equal for equal content and modes, whatever the commit. A folder that
// does not exist counts as empty.
func (t Tree) Hash(ctx context.Context, dirs ...string) (string, error) {
	h := sha256.New()
	for _, dir := range dirs {
		dir = path.Clean(dir)
		object := t.commit + ":" + dir
		if dir == "." {
			object = t.commit + "^{tree}"
		}
		oid, err := t.run(ctx, "rev-parse", "--quiet", "--verify", object)
		if err != nil && !exited(err, 1) {
			return "", fmt.Errorf("hash %s: %w", dir, err)
		}
		fmt.Fprintf(h, "%s\x00%s\x00", dir, strings.TrimSpace(oid))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Info is what a commit says of itself.
type Info struct {
	Commit  string
	Subject string
	Author  string
	Email   string
	At      time.Time
}

// Info returns the commit's subject and author.
func (t Tree) Info(ctx context.Context) (Info, error) {
	logged, err := t.log(ctx, "-1", t.commit)
	if err != nil {
		return Info{}, err
	}
	if len(logged) == 0 {
		return Info{}, fmt.Errorf("commit %s: %w", t.commit, ErrUnknown)
	}
	return logged[0], nil
}

// Since returns the commits that this one has and before has not, newest first,
// at most n. An empty or forgotten before means all.
func (t Tree) Since(ctx context.Context, before string, n int) ([]Info, error) {
	args := []string{"-" + strconv.Itoa(n), t.commit}
	if isCommit(before) {
		if _, err := t.run(ctx, "cat-file", "-e", before+"^{commit}"); err == nil {
			args = append(args, "^"+before)
		}
	}
	return t.log(ctx, args...)
}

func (t Tree) log(ctx context.Context, args ...string) ([]Info, error) {
	out, err := t.run(ctx, append([]string{"log", "--no-color", "--no-show-signature", "-z", "--encoding=UTF-8", "--format=%H%n%s%n%an%n%ae%n%cI"}, append(args, "--")...)...)
	if err != nil {
		return nil, fmt.Errorf("read commits: %w", err)
	}
	var infos []Info
	for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		f := strings.Split(entry, "\n")
		if len(f) != 5 {
			continue
		}
		at, err := time.Parse(time.RFC3339, f[4])
		if err != nil {
			return nil, fmt.Errorf("read commits: %w", err)
		}
		infos = append(infos, Info{Commit: f[0], Subject: clean(f[1]), Author: clean(f[2]), Email: clean(f[3]), At: at.UTC()})
	}
	return infos, nil
}

// clean makes one printable line of what a stranger wrote.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "�")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
}

// Submodules returns the folders of the commit that stand for other repositories.
// Export leaves them empty.
func (t Tree) Submodules(ctx context.Context) ([]string, error) {
	if _, err := t.File(ctx, ".gitmodules"); err != nil {
		if errors.Is(err, ErrUnknown) {
			return nil, nil
		}
		return nil, err
	}
	out, err := t.run(ctx, "ls-tree", "-r", "-z", t.commit)
	if err != nil {
		return nil, fmt.Errorf("look for submodules: %w", err)
	}
	var dirs []string
	for entry := range strings.SplitSeq(out, "\x00") {
		if at, path, ok := strings.Cut(entry, "\t"); ok && strings.HasPrefix(at, "160000 ") {
			dirs = append(dirs, clean(path))
		}
	}
	return dirs, nil
}

// asCheckedOut outweighs the attributes of a commit with which an archive leaves
// files out or changes them (gitattributes(5)): what is built is what a checkout
// would hold.
const asCheckedOut = "* -export-ignore -export-subst\n"

// Export writes the files of the commit into the empty folder dir. Links that
// lead out of it, absolute ones too, are refused, as is a commit that is too
// large: both with a text for the person.
func (t Tree) Export(ctx context.Context, dir string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	info := filepath.Join(t.dir, "info")
	if err := os.MkdirAll(info, 0o700); err != nil {
		return fmt.Errorf("export commit %.7s: %w", t.commit, err)
	}
	if err := durable.WriteFile(filepath.Join(info, "attributes"), []byte(asCheckedOut)); err != nil {
		return fmt.Errorf("export commit %.7s: %w", t.commit, err)
	}
	c := t.git.command(ctx, t.dir, t.env, "archive", "--format=tar", t.commit)
	out, err := c.StdoutPipe()
	if err != nil {
		return fmt.Errorf("export commit %.7s: %w", t.commit, err)
	}
	var said strings.Builder
	c.Stderr = &said
	if err := c.Start(); err != nil {
		return fmt.Errorf("export commit %.7s: %w", t.commit, err)
	}
	unpacked := unpack(bufio.NewReaderSize(out, 1<<18), dir, t.max)
	if unpacked != nil {
		stop()
	} else {
		_, unpacked = io.Copy(io.Discard, out) // the archive's padding
	}
	if err := c.Wait(); err != nil && unpacked == nil {
		return fmt.Errorf("export commit %.7s: %w", t.commit, &gitError{args: []string{"archive"}, said: said.String(), err: err})
	}
	var bad *treeError
	if errors.As(unpacked, &bad) {
		return fmt.Errorf("error[%s]: commit %.7s cannot be built: %w", codeTree, t.commit, unpacked)
	}
	if unpacked != nil {
		return fmt.Errorf("export commit %.7s: %w", t.commit, unpacked)
	}
	return nil
}

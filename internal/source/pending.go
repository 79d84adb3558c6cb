package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"titrate/internal/durable"
)

// What was done with a branch is a ref of its own beside it, so that git keeps
// the record as safely as the branch: refs/titrate/handled/BRANCH is the commit
// handled last. A branch that differs from its record is still to be handled.

// handledRef names the record.
func handledRef(branch string) string { return "refs/titrate/handled/" + component(branch) }

// maxComponent leaves room for what git and we add to a file's name of 255 bytes.
const maxComponent = 200

// component makes a branch one component of a path: a/b and a later branch named a
// would be in each other's way otherwise. A long name, as one of 50 Cyrillic
// letters is when escaped, becomes a digest; "!" is in no escaped name.
func component(branch string) string {
	name := url.PathEscape(branch)
	if len(name) <= maxComponent {
		return name
	}
	sum := sha256.Sum256([]byte(branch))
	return "!" + hex.EncodeToString(sum[:])
}

// Pending returns the pushes that moved a branch and were not marked by
// [Server.Handled]: what a crash interrupted and, while Run works, what is under
// way. Of several pushes to one branch it is the newest.
func (s *Server) Pending(ctx context.Context) ([]Push, error) {
	dirs, err := fs.Glob(os.DirFS(s.cfg.Dir), "*.git")
	if err != nil {
		return nil, fmt.Errorf("look for pending pushes: %w", err)
	}
	var out []Push
	for _, dir := range dirs {
		repo := strings.ReplaceAll(strings.TrimSuffix(dir, ".git"), "+", "/")
		if !repoName.MatchString(repo) {
			continue
		}
		found, err := s.pendingOf(ctx, repo, s.repo(repo))
		if err != nil {
			return nil, fmt.Errorf("look for pending pushes to %s: %w", repo, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func (s *Server) pendingOf(ctx context.Context, repo, dir string) ([]Push, error) {
	text, err := s.git.run(ctx, dir, nil, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/titrate/handled")
	if err != nil {
		return nil, err
	}
	handled := map[string]string{}
	var branches []update
	for line := range strings.Lines(text) {
		commit, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(ref, "refs/heads/") {
			branches = append(branches, update{new: commit, ref: ref})
		} else {
			handled[ref] = commit
		}
	}
	def, err := s.defaultBranch(ctx, dir, branches)
	if err != nil {
		return nil, err
	}
	var out []Push
	for _, b := range branches {
		branch := strings.TrimPrefix(b.ref, "refs/heads/")
		before := handled[handledRef(branch)]
		if before == b.new {
			continue
		}
		p := Push{App: appOf(repo), Repo: repo, Ref: b.ref, Branch: branch, Default: branch == def, Old: before, New: b.new, Tree: Tree{git: s.git, dir: dir, commit: b.new, max: s.cfg.MaxTree}}
		n, err := s.noted(dir, p)
		if err != nil {
			return nil, err
		}
		p.By, p.At, p.Options = n.By, n.At, n.Options
		out = append(out, p)
	}
	if len(out) > 0 {
		if err := s.settleHead(ctx, dir, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Handled marks a push as done, so that Pending gives it no more: call it when
// what follows from the push is stored. Marking twice, or late, does no harm.
func (s *Server) Handled(ctx context.Context, p Push) error {
	dir, err := s.known(p.Repo)
	if err != nil {
		return err
	}
	s.marking.Lock()
	defer s.marking.Unlock()
	record := handledRef(p.Branch)
	tip, err := s.tip(ctx, dir, p.Ref)
	if err != nil {
		return err
	}
	done, err := s.tip(ctx, dir, record)
	if err != nil {
		return err
	}
	newest, err := s.noted(dir, p)
	if err != nil {
		return err
	}
	// A push that was overtaken must not take back the mark of the newer one, nor
	// stand for it when that one went back to the same commit.
	if tip == "" || done == tip || newest.At.After(p.At) {
		return nil
	}
	if _, err := s.git.run(ctx, dir, nil, "update-ref", record, p.New); err != nil {
		return fmt.Errorf("mark the push of %s to %s as handled: %w", p.New, p.Repo, err)
	}
	return nil
}

// tip returns the commit of a ref, or "" when there is none.
func (s *Server) tip(ctx context.Context, dir, ref string) (string, error) {
	out, err := s.git.run(ctx, dir, nil, "rev-parse", "--quiet", "--verify", ref)
	if exited(err, 1) {
		return "", nil
	}
	return strings.TrimSpace(out), err
}

// note remembers who asks to move a branch, before it moves. A branch that goes
// back to the commit handled last has that to be handled once more.
func (s *Server) note(ctx context.Context, dir string, p Push) error {
	s.marking.Lock()
	defer s.marking.Unlock()
	text, err := json.Marshal(note{Commit: p.New, By: p.By, At: p.At, Options: p.Options})
	if err != nil {
		return fmt.Errorf("note a push: %w", err)
	}
	path := notePath(dir, p.Branch)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("note a push: %w", err)
	}
	if err := durable.WriteFile(path, text); err != nil {
		return err
	}
	done, err := s.tip(ctx, dir, handledRef(p.Branch))
	if err == nil && done == p.New {
		_, err = s.git.run(ctx, dir, nil, "update-ref", "-d", handledRef(p.Branch))
	}
	return err
}

type note struct {
	Commit  string    `json:"commit"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Options []string  `json:"options,omitempty"`
}

func notePath(dir, branch string) string {
	return filepath.Join(dir, "titrate", component(branch)+".json")
}

// noted returns what is known of a push; a note about another commit is of a
// push that never came to be, and a broken one costs the name, not the push.
func (s *Server) noted(dir string, p Push) (note, error) {
	text, err := os.ReadFile(notePath(dir, p.Branch))
	if errors.Is(err, fs.ErrNotExist) {
		return note{}, nil
	}
	if err != nil {
		return note{}, fmt.Errorf("read the note of a push: %w", err)
	}
	var n note
	if json.Unmarshal(text, &n) == nil && n.Commit == p.New {
		return n, nil
	}
	return note{}, nil
}

// defaultBranch returns the branch that stands for the repository: the one HEAD
// names if it exists, else of the updates main, master or the first.
func (s *Server) defaultBranch(ctx context.Context, dir string, updates []update) (string, error) {
	head, err := s.git.run(ctx, dir, nil, "symbolic-ref", "HEAD")
	if err != nil {
		return "", err
	}
	ref := strings.TrimSpace(head)
	tip, err := s.tip(ctx, dir, ref)
	if err != nil || tip != "" {
		return strings.TrimPrefix(ref, "refs/heads/"), err
	}
	first := ""
	for _, u := range updates {
		branch, ok := strings.CutPrefix(u.ref, "refs/heads/")
		switch {
		case !ok || u.new == "":
		case branch == firstBranch, branch == "master" && first != firstBranch, first == "":
			first = branch
		}
	}
	return first, nil
}

// settleHead points HEAD at the default branch, when the first one has come.
func (s *Server) settleHead(ctx context.Context, dir string, pushes []Push) error {
	for _, p := range pushes {
		if p.Default {
			if _, err := s.git.run(ctx, dir, nil, "symbolic-ref", "HEAD", p.Ref); err != nil {
				return fmt.Errorf("choose the default branch of %s: %w", p.Repo, err)
			}
		}
	}
	return nil
}

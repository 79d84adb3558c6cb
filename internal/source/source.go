// Package source takes pushes: it is a git remote over HTTP that shows a commit
// to a check before anything changes, tells what was accepted, and forgets no
// push in a crash.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Push is one branch of an app that moved to a commit, or asks to.
type Push struct {
	App     string
	Repo    string // the repository: APP, or APP/NAME for one of the app's further ones
	Ref     string // refs/heads/main
	Branch  string // main
	Default bool   // Branch is the repository's default branch: the first one pushed, main before others
	Old     string // the commit before; empty: the branch is new
	New     string
	By      string // who pushed
	At      time.Time
	Options []string // of `git push -o`
	Tree    Tree     // reads the commit, also while the push is still being checked
}

// Config says where repositories are kept and who is asked about pushes.
type Config struct {
	// Dir is the folder of the repositories; it is made when missing.
	Dir string
	// HookCommand is the argv that runs [Hook] with the name of the hook appended.
	HookCommand []string
	// Who names the person behind a request that was let through. Never nil.
	Who func(*http.Request) string
	// Check is asked before a branch moves. An error refuses the whole push: its
	// text is shown to the person line by line, and nothing has changed. What is
	// written to out is shown at once. Never nil.
	Check func(ctx context.Context, p Push, out io.Writer) error
	// Accepted is told after a branch has moved. What is written to out is shown
	// to the person while it happens, for as long as they listen: ctx is the
	// server's own, so that Ctrl-C at the client ends the view and not the work.
	// An error is shown, and logged; it cannot refuse the push any more. It may be
	// told twice of one push when a crash came between ([Server.Pending]). Never nil.
	Accepted func(ctx context.Context, p Push, out io.Writer) error
	Log      *slog.Logger
	// MaxPush bounds the bytes of one push; 0: 512 MiB.
	MaxPush int64
	// MaxTree bounds the bytes of one exported commit; 0: 2 GiB.
	MaxTree int64
}

// The codes of what can go wrong with a push. Once given, a code keeps its meaning.
const (
	codeNoGit  = "T0500" // the git program is missing
	codeRef    = "T0501" // neither a branch nor a tag
	codeName   = "T0502" // no app can have this name
	codeNoRepo = "T0503" // nothing was ever pushed under this name
	codeAway   = "T0504" // the server went away in the middle of a push
	codeTree   = "T0505" // the commit holds what cannot be built: too large, or links that lead out of it
)

// Server is the git remote. It serves requests as an [http.Handler] and works
// on pushes while [Server.Run] runs.
type Server struct {
	cfg     Config
	git     git
	jobs    chan func(context.Context)
	stopped chan struct{}
	slots   chan struct{} // one for each git process that serves a client
	marking sync.Mutex    // held while what is known of a branch's push changes: its note and its record

	mu     sync.Mutex
	queues map[string]*queue // of the repositories with a push under way
}

// queue lets the pushes to one repository move its refs one after the other. Two
// at once would both choose the default branch of a new repository, and the HEAD
// that one settles would be locked by the other.
type queue struct {
	pushes int           // under way; the last to leave removes an empty repository
	turn   chan struct{} // holds a token while a push decides and moves its refs
}

// Open prepares the folder of repositories. It fails with a text for the person
// when there is no git program.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.MaxPush == 0 {
		cfg.MaxPush = 512 << 20
	}
	if cfg.MaxTree == 0 {
		cfg.MaxTree = 2 << 30
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open repositories: %w", err)
	}
	cfg.Dir = dir
	g, err := prepareGit(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, git: g, queues: map[string]*queue{},
		jobs: make(chan func(context.Context)), stopped: make(chan struct{}), slots: make(chan struct{}, maxClients),
	}
	// A clone of what does not exist yet, so that asking creates nothing.
	if err := s.create(ctx, s.empty()); err != nil {
		return nil, err
	}
	return s, nil
}

// maxClients bounds the git processes that serve clients at one time.
const maxClients = 16

// Run works on pushes until ctx ends, then waits for what is under way, whose
// context has ended too. What was not finished is given by Pending at the next start.
func (s *Server) Run(ctx context.Context) error {
	var under sync.WaitGroup
	defer under.Wait()
	defer close(s.stopped)
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-s.jobs:
			under.Go(func() { job(ctx) })
		}
	}
}

// ErrStopped is returned for work that came after Run had ended.
var ErrStopped = errors.New("the git remote has stopped")

// do runs a job in the context of Run and waits for its end.
func (s *Server) do(ctx context.Context, job func(context.Context)) error {
	done := make(chan struct{})
	select {
	case s.jobs <- func(ctx context.Context) { defer close(done); job(ctx) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return ErrStopped
	}
}

// repoName is the name of a repository: an app's own is called like the app, a
// further one APP/NAME.
var repoName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}(/[a-z][a-z0-9-]{0,62})?$`)

// appOf returns the app that a repository belongs to.
func appOf(repo string) string {
	app, _, _ := strings.Cut(repo, "/")
	return app
}

// ErrUnknown is wrapped when an app or a file of a commit does not exist.
var ErrUnknown = errors.New("not known")

func (s *Server) empty() string { return filepath.Join(s.cfg.Dir, ".empty.git") }

// repo returns the folder of a repository. No name has a "+" of its own.
func (s *Server) repo(name string) string {
	return filepath.Join(s.cfg.Dir, strings.ReplaceAll(name, "/", "+")+".git")
}

// known returns the folder of a repository that is there, or wraps ErrUnknown.
func (s *Server) known(name string) (string, error) {
	if !repoName.MatchString(name) {
		return "", fmt.Errorf("error[%s]: %q cannot be the name of an app: %w", codeName, name, ErrUnknown)
	}
	dir := s.repo(name)
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		return "", fmt.Errorf("error[%s]: nothing was pushed to %s yet: %w", codeNoRepo, name, ErrUnknown)
	}
	return dir, nil
}

// create makes an empty repository at dir unless there is one. It appears whole,
// so that a crash leaves no half of one.
func (s *Server) create(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(s.cfg.Dir, ".new-*")
	if err != nil {
		return fmt.Errorf("make a repository: %w", err)
	}
	defer os.RemoveAll(tmp)
	if _, err := s.git.run(ctx, tmp, nil, "init", "--quiet", "--bare", "--template=", "--initial-branch="+firstBranch, "."); err != nil {
		return fmt.Errorf("make a repository: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "HEAD")); there == nil {
			return nil // another push was quicker
		}
		return fmt.Errorf("make a repository: %w", err)
	}
	return nil
}

// enter makes sure that a repository is there while the caller works with it.
// leave removes it when it is still empty and nobody else is there: a refused
// first push leaves nothing.
func (s *Server) enter(ctx context.Context, name string) (dir string, q *queue, leave func(context.Context), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir = s.repo(name)
	if err := s.create(ctx, dir); err != nil {
		return "", nil, nil, err
	}
	if q = s.queues[name]; q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		s.queues[name] = q
	}
	q.pushes++
	return dir, q, func(ctx context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if q.pushes--; q.pushes > 0 {
			return
		}
		delete(s.queues, name)
		if out, err := s.git.run(ctx, dir, nil, "for-each-ref", "--count=1"); err == nil && len(out) == 0 {
			if err := os.RemoveAll(dir); err != nil {
				s.cfg.Log.Warn("empty repository stays", slog.String("repo", name), slog.Any("error", err))
			}
		}
	}, nil
}

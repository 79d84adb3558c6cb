package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// receive serves one push from its first byte to the end of the work on it.
// ctx is the server's: a client that goes away ends nothing but its own view.
func (s *Server) receive(ctx context.Context, repo, by string, env []string, l *link) {
	log := s.cfg.Log.With(slog.String("app", appOf(repo)), slog.String("repo", repo), slog.String("by", by))
	dir, queue, leave, err := s.enter(ctx, repo)
	if err != nil {
		log.Error("push not taken", slog.Any("error", err))
		return
	}
	defer leave(context.WithoutCancel(ctx))
	ours, theirs, err := socketPair()
	if err != nil {
		log.Error("push not taken", slog.Any("error", err))
		return
	}
	v := &visit{s: s, repo: repo, dir: dir, by: by, queue: queue, log: log}
	defer v.pass()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		v.converse(ctx, ours)
	}()
	c := s.git.command(ctx, dir, env, "receive-pack", "--stateless-rpc", ".")
	c.ExtraFiles = []*os.File{theirs}
	err = l.attach(c)
	theirs.Close()
	// With git and its hooks gone nothing more can be asked; Accepted may still run.
	<-ended
	if err != nil && ctx.Err() == nil {
		log.Error("push broke off", slog.Any("error", err))
	}
	v.settle(ctx)
	v.pass()
	if v.moved && ctx.Err() == nil {
		if _, err := s.git.run(ctx, dir, nil, "gc", "--auto", "--quiet"); err != nil && ctx.Err() == nil {
			log.Warn("repository not tidied", slog.Any("error", err))
		}
	}
}

// visit is one push to one repository, as its hooks see it.
type visit struct {
	s       *Server
	repo    string // its name
	dir     string
	by      string
	queue   *queue
	turn    bool // it is ours to move refs
	log     *slog.Logger
	checked []Push // let through by Check and not yet told to Accepted
	moved   bool
}

// wait waits for our turn to move refs.
func (v *visit) wait(ctx context.Context) error {
	select {
	case v.queue.turn <- struct{}{}:
		v.turn = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pass gives the turn to the next push, if it is ours.
func (v *visit) pass() {
	if v.turn {
		v.turn = false
		<-v.queue.turn
	}
}

// converse answers the hooks until git is gone.
func (v *visit) converse(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	in := json.NewDecoder(conn)
	for {
		var ask asked
		if err := in.Decode(&ask); err != nil {
			return
		}
		out := &view{to: json.NewEncoder(conn)}
		err := v.answer(ctx, ask, out)
		if err != nil {
			io.WriteString(out, strings.TrimRight(err.Error(), "\n")+"\n") //nolint:errcheck // a view never fails
		}
		end := answer{End: true}
		if err != nil && ask.Hook == preReceive {
			end.Exit = 1
		}
		out.send(end)
	}
}

func (v *visit) answer(ctx context.Context, ask asked, out io.Writer) error {
	updates, err := parseUpdates(ask.Updates)
	if err != nil {
		return err
	}
	switch ask.Hook {
	case preReceive:
		return v.check(ctx, ask, updates, out)
	case postReceive:
		v.moved = true
		for _, u := range updates {
			if branch, ok := strings.CutPrefix(u.ref, "refs/heads/"); ok && u.new == "" {
				v.forget(ctx, branch)
			}
		}
		return v.accept(ctx, out)
	}
	return fmt.Errorf("unknown hook %q", ask.Hook)
}

// check turns a push away or lets it through. Everything is checked before
// anything moves: pre-receive is all or nothing.
func (v *visit) check(ctx context.Context, ask asked, updates []update, out io.Writer) error {
	quarantine, err := v.quarantine(ask)
	if err != nil {
		return err
	}
	if err := v.wait(ctx); err != nil {
		return err
	}
	def, err := v.s.defaultBranch(ctx, v.dir, updates)
	if err != nil {
		return err
	}
	for _, u := range updates {
		branch, isBranch := strings.CutPrefix(u.ref, "refs/heads/")
		switch {
		case !isBranch && !strings.HasPrefix(u.ref, "refs/tags/"):
			return fmt.Errorf("error[%s]: %s is neither a branch nor a tag; nothing has changed\n  help    git push titrate HEAD:main", codeRef, u.ref)
		case !isBranch || u.new == "":
			continue // tags are kept, deleted branches go: neither is a release
		}
		p := Push{
			App: appOf(v.repo), Repo: v.repo, Ref: u.ref, Branch: branch, Default: branch == def, Old: u.old, New: u.new, By: v.by, At: time.Now().UTC(),
			Options: ask.Options, Tree: Tree{git: v.s.git, dir: v.dir, commit: u.new, env: quarantine, max: v.s.cfg.MaxTree},
		}
		if err := v.s.cfg.Check(ctx, p, out); err != nil {
			v.log.Info("push refused", slog.String("branch", branch), slog.String("commit", u.new))
			return err
		}
		p.Tree.env = nil // once accepted, its objects are the repository's
		v.checked = append(v.checked, p)
	}
	for _, p := range v.checked {
		if err := v.s.note(ctx, v.dir, p); err != nil {
			return err
		}
	}
	return nil
}

// quarantine returns the environment in which the pushed objects can be read
// before they are accepted; see git-receive-pack(1), quarantine environment.
func (v *visit) quarantine(ask asked) ([]string, error) {
	if ask.Objects == "" {
		return nil, nil
	}
	dir := ask.Objects
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(v.dir, dir)
	}
	own := filepath.Join(v.dir, "objects")
	if !strings.HasPrefix(filepath.Clean(dir), own+"/") {
		return nil, fmt.Errorf("objects at %s are not in this repository", dir)
	}
	return []string{"GIT_OBJECT_DIRECTORY=" + dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + own}, nil
}

// accept tells of the branches that moved, one after the other.
func (v *visit) accept(ctx context.Context, out io.Writer) error {
	err := v.s.settleHead(ctx, v.dir, v.checked)
	v.pass() // what follows may last for minutes
	if err != nil {
		return err
	}
	var problems []error
	for len(v.checked) > 0 {
		p := v.checked[0]
		v.checked = v.checked[1:]
		if tip, err := v.s.tip(ctx, v.dir, p.Ref); err != nil || tip != p.New {
			continue // this ref was not moved (a lock, a race), or moved on already
		}
		v.log.Info("push accepted", slog.String("branch", p.Branch), slog.String("commit", p.New))
		if err := v.s.cfg.Accepted(ctx, p, out); err != nil {
			if ctx.Err() == nil {
				v.log.Warn("accepted push failed", slog.String("branch", p.Branch), slog.String("commit", p.New), slog.Any("error", err))
			}
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// settle tells of branches that moved although git died before its last hook.
func (v *visit) settle(ctx context.Context) {
	v.checked = slices.DeleteFunc(v.checked, func(p Push) bool {
		tip, err := v.s.tip(ctx, v.dir, p.Ref)
		return err != nil || tip != p.New
	})
	if len(v.checked) == 0 || ctx.Err() != nil {
		return
	}
	v.moved = true
	_ = v.accept(ctx, io.Discard) // it has logged what went wrong
}

func (v *visit) forget(ctx context.Context, branch string) {
	if _, err := v.s.git.run(ctx, v.dir, nil, "update-ref", "-d", handledRef(branch)); err != nil {
		v.log.Warn("record of a deleted branch stays", slog.String("branch", branch), slog.Any("error", err))
	}
}

// view shows text to the person who pushes, while they listen.
type view struct {
	to   *json.Encoder
	gone bool
}

func (w *view) Write(p []byte) (int, error) {
	w.send(answer{Text: string(p)})
	return len(p), nil
}

func (w *view) send(a answer) {
	if !w.gone {
		w.gone = w.to.Encode(a) != nil
	}
}

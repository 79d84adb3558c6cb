package dev

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A change is told once nothing has changed for quiet, and after atMost in any case:
// an editor writes a file in several steps, git checkout many files.
const (
	quiet  = 25 * time.Millisecond
	atMost = 250 * time.Millisecond
)

// watcher watches every folder below root, inotify(7), but for those that git
// ignores and those of git itself. Of these it sees commits.
type watcher struct {
	root    string
	file    *os.File
	folders map[int32]string
}

// change is a save in a repository, or several at once.
type change struct {
	in   *repo
	at   time.Time
	lost bool // nothing more is told of it
}

// watch tells the loop of changes in a repository, until ctx ends.
func (d *dev) watch(ctx context.Context, r *repo) error {
	if r.watched {
		return nil
	}
	run, err := watch(ctx, r, d.changes)
	if err != nil {
		return err
	}
	r.watched = true
	d.watching.Go(run)
	return nil
}

// watch makes what tells of changes in a repository from now on, and runs until ctx ends.
func watch(ctx context.Context, r *repo, out chan<- change) (run func(), err error) {
	root, err := filepath.EvalSymlinks(r.dir) // a link to a folder is no folder to walk through
	if err != nil {
		return nil, fmt.Errorf("watch a repository: %w", err)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", root, err)
	}
	w := &watcher{root: root, file: os.NewFile(uintptr(fd), "inotify"), folders: map[int32]string{}}
	if err := w.add(ctx, root); err != nil {
		w.file.Close()
		return nil, err
	}
	_ = w.one(filepath.Join(root, ".git")) // there may be none: then there are no commits either
	context.AfterFunc(ctx, func() { w.file.Close() })
	events := make(chan struct{}, 1)
	return func() {
		go func() {
			defer close(events) // settled waits for it
			w.read(ctx, events)
		}()
		settled(ctx, r, events, out)
	}, nil
}

// settled passes on the first of several changes once there are no more, and at last
// that nothing is watched any more.
func settled(ctx context.Context, r *repo, events <-chan struct{}, out chan<- change) {
	for range events {
		first := time.Now()
		for calm := false; !calm && time.Since(first) < atMost; {
			select {
			case _, ok := <-events:
				calm = !ok
			case <-time.After(quiet):
				calm = true
			}
		}
		select {
		case out <- change{in: r, at: first}:
		case <-ctx.Done():
		}
	}
	select {
	case out <- change{in: r, lost: true}:
	case <-ctx.Done():
	}
}

const watched = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CREATE | unix.IN_DELETE

func (w *watcher) one(dir string) error {
	wd, err := unix.InotifyAddWatch(int(w.file.Fd()), dir, watched|unix.IN_ONLYDIR)
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("watch %s: this user watches too many folders already\n  help    sysctl fs.inotify.max_user_watches=524288", dir)
	}
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	w.folders[int32(wd)] = dir
	return nil
}

// add watches dir and what is below it.
func (w *watcher) add(ctx context.Context, dir string) error {
	ignored := w.ignored(ctx)
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || !e.IsDir(): // what is gone again need not be watched
			return nil //nolint:nilerr // likewise
		case e.Name() == ".git" || e.Name() == "node_modules" || ignored[path]:
			return filepath.SkipDir
		}
		if err := w.one(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// ignored are the folders that git ignores as a whole: what is in them is made, and
// mostly by what is watched here.
func (w *watcher) ignored(ctx context.Context) map[string]bool {
	out := map[string]bool{}
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
	cmd.Dir = w.root
	text, err := cmd.Output()
	if err != nil {
		return out // no repository: everything is watched
	}
	for name := range strings.SplitSeq(string(text), "\x00") {
		if dir, ok := strings.CutSuffix(name, "/"); ok {
			out[filepath.Join(w.root, dir)] = true
		}
	}
	return out
}

// read tells of events until the file is closed.
func (w *watcher) read(ctx context.Context, events chan<- struct{}) {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		tell := false
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			wd, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
			size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
			name := strings.TrimRight(string(b[unix.SizeofInotifyEvent:size]), "\x00")
			b = b[size:]
			tell = w.take(ctx, wd, mask, name) || tell
		}
		if tell {
			select {
			case events <- struct{}{}:
			default:
			}
		}
	}
}

// take reports whether an event is a change.
func (w *watcher) take(ctx context.Context, wd int32, mask uint32, name string) bool {
	dir := w.folders[wd]
	switch {
	case mask&unix.IN_Q_OVERFLOW != 0: // some were lost: folders may be new
		_ = w.add(ctx, w.root)
		return true
	case mask&unix.IN_IGNORED != 0:
		delete(w.folders, wd)
		return false
	case dir == filepath.Join(w.root, ".git"):
		return name == "HEAD" || name == "index" && mask&unix.IN_MOVED_TO != 0
	case mask&unix.IN_ISDIR != 0 && mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
		_ = w.add(ctx, filepath.Join(dir, name)) // what cannot be watched is seen at the next save elsewhere
		return true
	case mask&unix.IN_ISDIR == 0 && mask&unix.IN_CREATE != 0:
		return false // it is written, and then closed
	}
	return !strings.HasSuffix(name, "~") && !strings.HasSuffix(name, ".swp") && name != "4913" // an editor's own
}

package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Group is one group: its folder in each hierarchy that bounds it. It may be
// stored, and is the same group for the next process of this program.
type Group []string

// Pressure is what the kernel did to a group because of its limits.
type Pressure struct {
	Killed  int // processes that were killed for memory
	Refused int // processes and threads that were refused
}

// Pressure tells what the kernel did to a group so far. Of a group that is not
// there any more it is nothing.
func (t *Tree) Pressure(g Group) Pressure {
	var p Pressure
	for _, dir := range g {
		p.Killed += t.count(dir, "memory.events", "oom_kill") + t.count(dir, "memory.oom_control", "oom_kill")
		p.Refused += t.count(dir, "pids.events", "max")
	}
	return p
}

// count reads one number of a file that names them.
func (t *Tree) count(dir, file, name string) int {
	b, err := t.k.read(filepath.Join(dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, _ := strconv.Atoi(value)
			return n
		}
	}
	return 0
}

// Entrance opens a group for processes to join. It may be opened before what
// takes the folder out of sight.
func (g Group) Entrance() (Entrance, error) {
	var e Entrance
	for _, dir := range g {
		f, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the control group: %w", err), e.close())
		}
		e = append(e, f)
	}
	return e, nil
}

// Entrance is the open way into a group.
type Entrance []*os.File

// Join moves this process, with all its threads, into the group. What it executes
// and forks from then on is in there too.
func (e Entrance) Join() error {
	for _, f := range e {
		if _, err := f.WriteString("0"); err != nil {
			return errors.Join(fmt.Errorf("join the control group: %w", err), e.close())
		}
	}
	return e.close()
}

func (e Entrance) close() error {
	var errs []error
	for _, f := range e {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// patience is how long processes that were killed may take to leave a group.
const patience = 2 * time.Second

// Kill ends all processes of a group.
func (t *Tree) Kill(g Group) {
	for _, dir := range g {
		t.k.kill(dir)
	}
}

// Remove ends what still runs in a group and removes it. One that is not there is
// removed already.
func (t *Tree) Remove(g Group) error {
	for end := time.Now().Add(patience); ; {
		t.mu.Lock()
		err := t.drop(g)
		t.mu.Unlock()
		if !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) || time.Now().After(end) {
			return err
		}
		t.Kill(g)
		<-time.After(time.Millisecond)
	}
}

// drop removes the folders of a group that has no processes, and our own where it
// was the last. The caller holds mu.
func (t *Tree) drop(g Group) error {
	var errs []error
	for _, dir := range g {
		if err := t.k.rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		_ = t.k.rmdir(filepath.Dir(dir))
	}
	return errors.Join(errs...)
}

// Within tells what the kernel did to the group of a container, to whoever is in it: the
// group is where programs look for one.
func Within() Pressure {
	return (&Tree{k: machine{}}).Pressure(Group{"/sys/fs/cgroup", "/sys/fs/cgroup/memory"})
}

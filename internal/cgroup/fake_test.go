package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fake is a machine with version 2 alone, which the one that runs the tests may not
// be: a temporary folder stands for /sys/fs/cgroup, and the rules of the kernel that
// matter here are kept by hand. See cgroups(7).
type fake struct {
	dir   string // of /sys/fs/cgroup
	own   string // of /proc/self/cgroup
	marks []string
	root  bool // runs as root: may write everywhere
}

func newFake(t *testing.T, own string, marks ...string) *fake {
	t.Helper()
	f := &fake{dir: t.TempDir(), own: own, marks: marks, root: true}
	f.put("", "cgroup.controllers", "cpuset cpu io memory hugetlb pids")
	f.put("", "cgroup.subtree_control", "")
	f.put("", "cgroup.procs", "1 2")
	for dir := ""; dir != strings.Trim(own, "/"); {
		next, _, _ := strings.Cut(strings.TrimPrefix(strings.Trim(own, "/")[len(dir):], "/"), "/")
		f.put(dir, "cgroup.subtree_control", "memory pids cpu")
		dir = filepath.Join(dir, next)
		if err := f.mkdir(f.at(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if own != "/" {
		f.put(own, "cgroup.procs", "100 101 102")
	}
	return f
}

func (f *fake) at(path string) string { return filepath.Join(f.dir, path) }

func (f *fake) put(dir, file, text string) {
	if err := os.WriteFile(filepath.Join(f.at(dir), file), []byte(text), 0o600); err != nil {
		panic(err)
	}
}

func (f *fake) get(path ...string) string {
	b, _ := os.ReadFile(f.at(filepath.Join(path...)))
	return string(b)
}

func (f *fake) read(path string) ([]byte, error) {
	switch path {
	case "/proc/self/mountinfo":
		return []byte("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:26 / " + f.dir + " rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"), nil
	case "/proc/self/cgroup":
		return []byte("0::" + f.own + "\n"), nil
	}
	return os.ReadFile(path)
}

// write keeps the rules: only files that are there; a process is in one group; a
// group with processes gives no controllers to those below, but for the top.
func (f *fake) write(path, value string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	dir, file := filepath.Split(path)
	dir = filepath.Clean(dir)
	if !f.root && !slices.Contains(f.marks, strings.TrimPrefix(dir, f.dir)) {
		return syscall.EACCES
	}
	switch file {
	case "cgroup.procs":
		_ = filepath.WalkDir(f.dir, func(p string, _ fs.DirEntry, _ error) error {
			if b, err := os.ReadFile(p); err == nil && filepath.Base(p) == file {
				left := slices.DeleteFunc(strings.Fields(string(b)), func(pid string) bool { return pid == value })
				_ = os.WriteFile(p, []byte(strings.Join(left, " ")), 0o600)
			}
			return nil
		})
		b, _ := os.ReadFile(path)
		value = strings.TrimSpace(string(b) + " " + value)
	case "cgroup.subtree_control":
		if c, off := strings.CutPrefix(value, "-"); off {
			return f.takeAway(dir, c)
		}
		c := strings.TrimPrefix(value, "+")
		if b, _ := os.ReadFile(filepath.Join(dir, "cgroup.controllers")); !slices.Contains(strings.Fields(string(b)), c) {
			return syscall.ENOENT
		}
		if b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs")); len(b) > 0 && dir != f.dir {
			return syscall.EBUSY
		}
		b, _ := os.ReadFile(path)
		if value = string(b); !slices.Contains(strings.Fields(value), c) {
			value = strings.TrimSpace(value + " " + c)
			f.give(dir, c)
		}
	case "cgroup.kill":
		f.put(strings.TrimPrefix(dir, f.dir), "cgroup.procs", "")
	}
	return os.WriteFile(path, []byte(value), 0o600)
}

// filesOf are the files of a group that has a controller.
var filesOf = map[string][]string{memory: {"memory.max", "memory.swap.max", "memory.oom.group", "memory.events"}, cpu: {"cpu.max"}, pids: {"pids.max", "pids.events"}}

// give gives the groups below one a controller, without limits.
func (f *fake) give(dir, c string) {
	names, _ := f.list(dir)
	for _, name := range names {
		rel := strings.TrimPrefix(filepath.Join(dir, name), f.dir)
		f.put(rel, "cgroup.controllers", strings.TrimSpace(f.get(rel, "cgroup.controllers")+" "+c))
		for _, file := range filesOf[c] {
			if _, err := os.Stat(filepath.Join(dir, name, file)); err != nil {
				f.put(rel, file, "")
			}
		}
	}
}

// takeAway takes a controller from the groups below one, with their limits. One that a
// group below gives on itself cannot be taken.
func (f *fake) takeAway(dir, c string) error {
	without := func(text string) string {
		return strings.Join(slices.DeleteFunc(strings.Fields(text), func(has string) bool { return has == c }), " ")
	}
	names, _ := f.list(dir)
	rel := strings.TrimPrefix(dir, f.dir)
	for _, name := range names {
		if slices.Contains(strings.Fields(f.get(rel, name, "cgroup.subtree_control")), c) {
			return syscall.EBUSY
		}
	}
	for _, name := range names {
		f.put(filepath.Join(rel, name), "cgroup.controllers", without(f.get(rel, name, "cgroup.controllers")))
		for _, file := range filesOf[c] {
			_ = os.Remove(filepath.Join(dir, name, file))
		}
	}
	f.put(rel, "cgroup.subtree_control", without(f.get(rel, "cgroup.subtree_control")))
	return nil
}

func (f *fake) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	given, _ := os.ReadFile(filepath.Join(filepath.Dir(dir), "cgroup.subtree_control"))
	rel := strings.TrimPrefix(dir, f.dir)
	for _, name := range []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.kill", "cgroup.type"} {
		f.put(rel, name, "")
	}
	f.put(rel, "cgroup.controllers", string(given))
	for _, c := range strings.Fields(string(given)) {
		for _, name := range filesOf[c] {
			f.put(rel, name, "")
		}
	}
	return nil
}

func (f *fake) rmdir(dir string) error {
	if b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err != nil {
		return fs.ErrNotExist
	} else if names, _ := f.list(dir); len(b) > 0 || len(names) > 0 {
		return syscall.EBUSY
	}
	return os.RemoveAll(dir)
}

func (f *fake) list(dir string) ([]string, error) { return machine{}.list(dir) }
func (f *fake) delegated(dir string) bool {
	return slices.Contains(f.marks, strings.TrimPrefix(dir, f.dir))
}
func (f *fake) kill(dir string) { _ = f.write(filepath.Join(dir, "cgroup.kill"), "1") }

var everything = Limits{Memory: 256 << 20, CPU: 500, Processes: 200}

// TestUnified_aScopeThatWasGivenToUs is `systemd-run --scope -p Delegate=yes`: its
// processes move to a leaf, because a group with processes has none below it.
func TestUnified_aScopeThatWasGivenToUs(t *testing.T) {
	t.Parallel()
	const unit = "/user.slice/run-1.scope"
	f := newFake(t, unit, unit)
	tree := find(f, "titrate-x", Unit{})
	if tree.Why() != "" || f.get(unit, leaf, "cgroup.procs") != "100 101 102" || f.get(unit, "cgroup.procs") != "" {
		t.Fatalf("%q, leaf %q", tree.Why(), f.get(unit, leaf, "cgroup.procs"))
	}
	g, err := tree.Make("shop.production.orders-v1-a", everything)
	if err != nil || len(g) != 1 || g[0] != f.at(unit+"/titrate-x/shop.production.orders-v1-a") {
		t.Fatalf("%v, %v", g, err)
	}
	dir := strings.TrimPrefix(g[0], f.dir)
	for file, want := range map[string]string{"memory.max": "268435456", "memory.swap.max": "0", "memory.oom.group": "1", "cpu.max": "50000 100000", "pids.max": "200"} {
		if got := f.get(dir, file); got != want {
			t.Errorf("%s: %q", file, got)
		}
	}
	f.put(dir, "memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n")
	f.put(dir, "pids.events", "max 5\n")
	if p := tree.Pressure(g); p != (Pressure{Killed: 3, Refused: 5}) {
		t.Errorf("%+v", p)
	}
	// The next process of this program starts in the leaf, and finds the same folder.
	f.own = unit + "/" + leaf
	if next := find(f, "titrate-x", Unit{}); next.Why() != "" || next.hierarchies[0].base != f.at(unit+"/titrate-x") {
		t.Errorf("%+v", next)
	}
	f.put(dir, "cgroup.procs", "300")
	if err := tree.Remove(g); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.at(unit + "/titrate-x")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("our own folder stays without groups in it")
	}
}

// TestUnified_aService was started in the leaf by systemd, with DelegateSubgroup=. One
// that was not is left whole: it would not start again while what it started runs.
func TestUnified_aService(t *testing.T) {
	t.Parallel()
	const unit = "/system.slice/titrate.service"
	for _, own := range []string{unit + "/" + leaf, unit} {
		f := newFake(t, own, unit)
		f.put(unit, "cgroup.subtree_control", "")
		f.root = false
		if own != unit { // the user was given all below, too
			f.marks = append(f.marks, own, unit+"/titrate-x", unit+"/titrate-x/a")
		}
		tree := find(f, "titrate-x", Unit{})
		g, err := tree.Make("a", everything)
		if err != nil || f.get(own, "cgroup.procs") != "100 101 102" {
			t.Errorf("%s: %v, %q", own, err, f.get(own, "cgroup.procs"))
		}
		if own == unit && (len(g) != 0 || tree.Why() != undivided || f.get(unit, "cgroup.subtree_control") != "") {
			t.Errorf("divided: %v, %q", g, tree.Why())
		}
		if own != unit && (len(g) != 1 || tree.Why() != "" || f.get(unit, "titrate-x/a/pids.max") != "200") {
			t.Errorf("not divided: %v, %q", g, tree.Why())
		}
	}
	f := newFake(t, unit, unit)
	if g, err := find(f, "titrate-x", Unit{}).Make("a", everything); err != nil || g[0] != f.at("titrate-x/a") {
		t.Errorf("root has the top: %v, %v", g, err)
	}
}

// TestUnified_aServiceThatSystemdCanStartAgain is one that was not started in a leaf, with
// ExecStopPost=titrate __undivide: it is divided. When its keeper has crashed, and what it
// started runs on, it takes a process again, and the limits are those of before.
func TestUnified_aServiceThatSystemdCanStartAgain(t *testing.T) {
	t.Parallel()
	const unit = "/system.slice/titrate.service"
	service := Unit{Undivides: true}
	f := newFake(t, unit, unit)
	f.put(unit, "cgroup.subtree_control", "")
	if err := undivide(f); err != nil {
		t.Fatal("not divided yet:", err)
	}
	tree := find(f, "titrate-x", service)
	g, err := tree.Make("a", everything)
	if err != nil || len(g) != 1 || tree.Why() != "" || f.get(unit, moved, "cgroup.procs") != "100 101 102" || f.get(unit, "titrate-x/a/pids.max") != "200" {
		t.Fatalf("%v, %v, %q", g, err, tree.Why())
	}
	f.put(unit+"/titrate-x/a", "cgroup.procs", "300")
	f.own = unit + "/" + moved // the node was restarted
	if next := find(f, "titrate-x", service); next.Why() != "" || next.hierarchies[0].base != f.at(unit+"/titrate-x") {
		t.Fatalf("%+v", next)
	}

	if err := f.mkdir(f.at(unit + "/.control")); err != nil {
		t.Fatal(err)
	}
	f.own = unit + "/.control"
	if err := undivide(f); err != nil {
		t.Fatal(err)
	}
	if given := f.get(unit, "cgroup.subtree_control"); given != "" || f.get(unit, "titrate-x/a/cgroup.procs") != "300" {
		t.Fatalf("systemd cannot start it: %q is given below", given)
	}

	f.own = unit
	f.put(unit, "cgroup.procs", "400")
	tree = find(f, "titrate-x", service)
	if err := tree.Restore(g, everything); err != nil || tree.Why() != "" {
		t.Fatal(err, tree.Why())
	}
	for file, want := range map[string]string{"memory.max": "268435456", "cpu.max": "50000 100000", "pids.max": "200", "cgroup.procs": "300"} {
		if got := f.get(unit, "titrate-x/a", file); got != want {
			t.Errorf("%s: %q", file, got)
		}
	}
}

// TestUndivide_leavesAServiceThatStartsInTheLeaf: systemd can start that as it is.
func TestUndivide_leavesAServiceThatStartsInTheLeaf(t *testing.T) {
	t.Parallel()
	const unit = "/system.slice/titrate.service"
	f := newFake(t, unit+"/"+leaf, unit)
	g, err := find(f, "titrate-x", Unit{Undivides: true}).Make("a", everything)
	if err != nil || undivide(f) != nil || f.get(unit, "titrate-x/a/pids.max") != "200" {
		t.Errorf("%v, %v: the limits are gone", g, err)
	}
}

// TestUnified_rootInAShell has groups at the top, where no process must move.
func TestUnified_rootInAShell(t *testing.T) {
	t.Parallel()
	const session = "/user.slice/user-0.slice/session-3.scope"
	f := newFake(t, session)
	tree := find(f, "titrate-x", Unit{})
	g, err := tree.Make("a", Limits{Memory: 8 << 20})
	if err != nil || tree.Why() != "" || g[0] != f.at("titrate-x/a") || f.get(session, "cgroup.procs") != "100 101 102" {
		t.Errorf("%v, %v, %q", g, err, tree.Why())
	}
	if f.get("titrate-x/a", "memory.max") != "8388608" || f.get("titrate-x/a", "cpu.max") != "" {
		t.Error("the limits are not the group's")
	}
}

// TestUnified_aUserWithoutAGroup keeps nothing, harms nothing, and says why.
func TestUnified_aUserWithoutAGroup(t *testing.T) {
	t.Parallel()
	f := newFake(t, "/user.slice/user-1000.slice/session-3.scope")
	f.root = false
	tree := find(f, "titrate-x", Unit{})
	if tree.Memory() || tree.CPU() || tree.Processes() || tree.Why() == "" {
		t.Errorf("%+v", tree)
	}
	if g, err := tree.Make("a", everything); len(g) != 0 || err != nil {
		t.Errorf("%v, %v", g, err)
	}
}

// TestUnified_aControllerThatWasNotGiven leaves its limit out, and only that.
func TestUnified_aControllerThatWasNotGiven(t *testing.T) {
	t.Parallel()
	const unit = "/user.slice/run-1.scope"
	f := newFake(t, unit, unit)
	f.put(unit, "cgroup.controllers", "memory pids")
	tree := find(f, "titrate-x", Unit{})
	if !tree.Memory() || tree.CPU() || !tree.Processes() || !strings.Contains(tree.Why(), "controller cpu") {
		t.Fatalf("%q", tree.Why())
	}
	if g, err := tree.Make("a", everything); err != nil || f.get(unit, "titrate-x/a/pids.max") != "200" {
		t.Errorf("%v, %v", g, err)
	}
	if g, err := tree.Make("b", Limits{CPU: 500}); err != nil || len(g) != 0 {
		t.Errorf("a group that bounds nothing: %v, %v", g, err)
	}
}

// TestSweep_removesOrphansOfOurFolderOnly keeps what is known.
func TestSweep_removesOrphansOfOurFolderOnly(t *testing.T) {
	t.Parallel()
	f := newFake(t, "/a.scope")
	mine, other := find(f, "titrate-x", Unit{}), find(f, "titrate-y", Unit{})
	for _, name := range []string{"kept", "orphan"} {
		for _, tree := range []*Tree{mine, other} {
			if _, err := tree.Make(name, everything); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.put("titrate-x/orphan", "cgroup.procs", "400")
	if err := mine.Sweep(func(name string) bool { return name == "kept" }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"titrate-x/kept": true, "titrate-x/orphan": false, "titrate-y/orphan": true, "titrate-y/kept": true} {
		if _, err := os.Stat(f.at(path)); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := mine.Make("../evil", everything); err == nil {
		t.Error("a name that leads elsewhere")
	}
}

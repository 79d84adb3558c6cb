package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"titrate/internal/target/local/namespaces"
	"titrate/internal/world"
)

// becomeAnother does what the entrypoints of databases do: as root it gives its folder to a
// user, becomes that user for good, and goes on as the program.
func becomeAnother([]string) {
	data := filepath.Join(os.Getenv("TITRATE_STATE"), "data")
	err := errors.Join(
		os.MkdirAll(data, 0o700), os.Chown(data, 999, 998), os.Mkdir("/cache", 0o700), os.WriteFile("/cache/x", nil, 0o600),
		os.Chown("/cache/x", 999, 998), os.Chown("/cache", 999, 998),
		syscall.Setgroups([]int{998}), syscall.Setgid(998), syscall.Setuid(999),
	)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	out, err := os.OpenFile("/dev/stdout", os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = fmt.Fprintln(out, "writes to /dev/stdout")
	}
	if err == nil {
		err = syscall.Exec("/app", []string{"/app", "serve"}, os.Environ())
	}
	fmt.Println(err)
	os.Exit(1)
}

// is999s ends well if user 999's is a file that it may read.
func is999s(args []string) {
	info, err := os.Stat(args[0])
	if err == nil {
		_, err = os.ReadFile(args[0])
	}
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 999 {
		fmt.Println(info, err)
		os.Exit(7)
	}
}

// uidOf is who process pid is, for this machine.
func uidOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(regexp.MustCompile(`(?m)^Uid:\t(\d+)`).FindStringSubmatch(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

// TestImage_becomesAnotherUser starts as root and goes on as user 999.
func TestImage_becomesAnotherUser(t *testing.T) {
	t.Parallel()
	needImages(t)
	dir := newFolder(t)
	addPicture(t, dir)
	t.Cleanup(func() { // it is not ours alone to remove
		if err := namespaces.Remove(filepath.Join(dir, "node"), insideThis); err != nil {
			t.Error(err)
		}
	})
	b := newBench(t, dir)
	f := imaged(run(1, 1, "become"))
	f.Image.User = ""
	b.want(f)
	if namespaces.Alone() != nil {
		seen := b.until("it says that it cannot", func(s Seen) bool { return s.fleet(1).Failure != "" })
		if got := seen.fleet(1).Failure; !strings.Contains(got, "not permitted") && !strings.Contains(got, "invalid argument") {
			t.Error(got)
		}
		return
	}
	e := b.untilReady(1, 1)[0]
	if got := get(t, e.Addr, "/user"); got != "999 998" {
		t.Errorf("it is %s", got)
	}
	if got := get(t, e.Addr, "/write?path=$TITRATE_STATE/data/x"); got != "<nil>" {
		t.Error("it cannot write what is its own:", got)
	}
	if got := get(t, e.Addr, "/write?path=$TITRATE_STATE/x"); !strings.Contains(got, "permission denied") {
		t.Error("it writes what is root's:", got)
	}
	b.until("its line", func(Seen) bool { return len(b.logs(world.LogQuery{Contains: "writes to /dev/stdout"})) == 1 })
	seen, _ := b.Seen()
	all := familyOf(t, seen.instance("orders-v1-a").PID).session()
	ours := map[int]bool{}
	for _, pid := range all {
		ours[uidOf(t, pid)] = true
	}
	if ours[999] || len(ours) < 2 {
		t.Errorf("for this machine they are the users %v", ours)
	}
	file := filepath.Join(b.layout.state(orders), "data", "x")
	if os.Geteuid() == 0 {
		is999s([]string{file}) // on the disk too
	} else if status, done, err := namespaces.Enter([]string{"app", "is-999s", file}, insideThis); status != 0 || !done || err != nil {
		t.Error("among all users its file is not user 999's", status, done, err)
	}
	// The next supervisor opens its outputs anew, and what it leaves is removed.
	b.stop()
	b = newBench(t, dir)
	b.untilReady(1, 1)
	get(t, e.Addr, "/print?text=still+here")
	b.until("its line", func(Seen) bool { return len(b.logs(world.LogQuery{Contains: "still here"})) == 1 })
	b.want()
	b.until("gone", func(s Seen) bool { return len(s.Instances) == 0 })
	if left, err := filepath.Glob(filepath.Join(b.layout.workload(orders), "orders-v1-*")); err != nil || len(left) != 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestImage_isGivenWhatTheVersionBeforeItHasLeft writes as root first, then as a user: as
// earlier versions of this program did, too, whose files have the numbers of within.
func TestImage_isGivenWhatTheVersionBeforeItHasLeft(t *testing.T) {
	t.Parallel()
	needImages(t)
	dir := newFolder(t)
	addPicture(t, dir)
	b := newBench(t, dir)
	state := b.layout.state(orders)
	if err := os.MkdirAll(filepath.Join(state, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "deep", "old"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(state, "link")); err != nil {
		t.Fatal(err)
	}
	b.want(imaged(run(1, 1, "serve")))
	e := b.untilReady(1, 1)[0]
	if got := get(t, e.Addr, "/user"); got != "1000 1000" {
		t.Errorf("it is %s", got)
	}
	for _, path := range []string{"/read?path=$TITRATE_STATE/deep/old", "/write?path=$TITRATE_STATE/deep/old", "/write?path=$TITRATE_STATE/new"} {
		if got := get(t, e.Addr, path); got != "<nil>" {
			t.Errorf("%s: %s", path, got)
		}
	}
	for name, want := range map[string]int{filepath.Join(state, "deep", "old"): 1000, outside: 0} {
		info, err := os.Stat(name)
		if os.Geteuid() == 0 && (err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != want) {
			t.Errorf("%s is not user %d's, %v", name, want, err)
		}
	}
}

func TestImage_eachAppHasUsersOfItsOwn(t *testing.T) {
	t.Parallel()
	if a, b := namespaces.Block("shop/production"), namespaces.Block("shop/staging"); a == b || a%65536 != 0 || a < 1<<29 || a != namespaces.Block("shop/production") {
		t.Errorf("%d, %d", a, b)
	}
}

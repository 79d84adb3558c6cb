package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"titrate/internal/world"
)

// walls tries, from within a program, what it must not be able to do, and tells what
// it sees.
func walls() map[string]string {
	out := map[string]string{}
	try := func(what string, do func() error) { out[what] = fmt.Sprint(do()) }
	open := func(path string, flags int) func() error {
		return func() error {
			f, err := os.OpenFile(path, flags, 0)
			if err == nil {
				f.Close()
			}
			return err
		}
	}
	try("mount", func() error { return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "") })
	try("host name", func() error { return unix.Sethostname([]byte("x")) })
	try("device", func() error { return unix.Mknod("/tmp/sda", unix.S_IFBLK|0o666, int(unix.Mkdev(8, 0))) })
	try("sysctl", open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
	try("sysrq", open("/proc/sysrq-trigger", os.O_WRONLY))
	try("the program's file", open("/proc/1/exe", os.O_RDONLY))
	try("the first process", open("/proc/1/mem", os.O_RDWR))
	try("its environment", open("/proc/1/environ", os.O_RDONLY))
	try("its root", open("/proc/1/root/etc/passwd", os.O_RDONLY))
	try("its descriptors", open("/proc/1/fd/1", os.O_WRONLY))
	try("trace", func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		return unix.PtraceAttach(1)
	})
	try("user namespace", func() error {
		_, err := syscall.ForkExec("/proc/self/exe", []string{"app", "worker"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}})
		return err
	})
	for _, name := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list"} {
		b, err := os.ReadFile(name)
		if err == nil && len(b) > 0 {
			out["sees "+name] = string(b)
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, m := range regexp.MustCompile(`(?m)^(Cap\w+|NoNewPrivs|Uid|Groups):[ \t]*(.*?)[ \t]*$`).FindAllStringSubmatch(string(status), -1) {
		out[m[1]] = m[2]
	}
	entries, _ := os.ReadDir("/proc/self/fd")
	var files []string
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(to, "anon_inode:") && !strings.HasPrefix(to, "socket:") && !strings.HasPrefix(to, "/proc/") {
			files = append(files, filepath.Base(to))
		}
	}
	out["files"] = strings.Join(files, " ")
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	var points []string
	for line := range strings.Lines(string(mounts)) {
		points = append(points, strings.Fields(line)[4])
	}
	out["mounts"] = strings.Join(points, " ")
	entries, _ = os.ReadDir("/proc")
	for _, e := range entries {
		if regexp.MustCompile(`^\d+$`).MatchString(e.Name()) {
			out["processes"] += e.Name() + " "
		}
	}
	_, err := os.ReadFile("/proc/net/route")
	out["network"] = fmt.Sprint(err)
	if out["state"] = fmt.Sprint(os.WriteFile(os.Getenv("TITRATE_STATE")+"/kept", nil, 0o600)); out["state"] == "<nil>" {
		delete(out, "state")
	}
	if err := os.WriteFile("/root.txt", nil, 0o600); err == nil {
		out["root"] = "written"
	}
	if err := os.WriteFile("/tmp/x", nil, 0o600); err != nil {
		out["tmp"] = err.Error()
	}
	return out
}

// TestImage_walls has programs of an image, as root and as a user, try every way out.
func TestImage_walls(t *testing.T) {
	t.Parallel()
	needImages(t)
	for _, user := range []string{"", "app"} {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("user %q, read-only %t", user, readOnly), func(t *testing.T) {
				t.Parallel()
				dir := newFolder(t)
				addPicture(t, dir)
				b := newBench(t, dir)
				f := imaged(run(1, 1, "serve"))
				f.Image.User, f.ReadOnly = user, readOnly
				b.want(f)
				checkWalls(t, b, f)
			})
		}
	}
}

func checkWalls(t *testing.T, b *bench, f world.Fleet) {
	t.Helper()
	got := map[string]string{}
	if err := json.Unmarshal([]byte(get(t, b.untilReady(1, 1)[0].Addr, "/walls")), &got); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{
		"mount", "host name", "device", "sysctl", "sysrq", "the program's file", "the first process", "its environment", "its root", "its descriptors",
		"trace", "user namespace",
	} {
		if !regexp.MustCompile(`permission denied|no such file|not permitted|read-only file system|no space left`).MatchString(got[what]) {
			t.Errorf("%s: %q", what, got[what])
		}
	}
	for what, text := range got {
		if strings.HasPrefix(what, "sees ") || what == "state" || what == "tmp" || what == "root" && (f.ReadOnly || f.Image.User == "app" && os.Geteuid() == 0) {
			t.Errorf("%s: %.100q", what, text)
		}
	}
	none, few := "0000000000000000", fmt.Sprintf("%016x", 1<<unix.CAP_CHOWN|1<<unix.CAP_DAC_OVERRIDE|1<<unix.CAP_FOWNER|1<<unix.CAP_FSETID|1<<unix.CAP_KILL|
		1<<unix.CAP_SETGID|1<<unix.CAP_SETUID|1<<unix.CAP_NET_BIND_SERVICE|1<<unix.CAP_NET_RAW|1<<unix.CAP_SYS_CHROOT)
	held := few
	if f.Image.User != "" {
		held = none
	}
	for name, want := range map[string]string{"CapInh": none, "CapAmb": none, "CapBnd": few, "CapEff": held, "CapPrm": held, "NoNewPrivs": "1", "files": "null stdout stderr"} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if os.Geteuid() == 0 && got["Groups"] != "" {
		t.Errorf("it is in the groups %s", got["Groups"])
	}
	allowed := regexp.MustCompile(`^(/|/proc|/proc/\S+|/dev|/dev/(pts|shm|null|zero|full|random|urandom|tty)|/run/titrate/state|/tmp)$`)
	points := strings.Fields(got["mounts"])
	if i := slices.IndexFunc(points, func(p string) bool { return !allowed.MatchString(p) }); i >= 0 || len(points) < 8 {
		t.Errorf("mounts: %v", points)
	}
	if n := len(strings.Fields(got["processes"])); n > 3 {
		t.Errorf("it sees %d processes", n)
	}
}

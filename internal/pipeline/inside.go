package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"

	"titrate/internal/procfs"
)

// Sandbox is the body of "titrate __sandbox ARGS": it runs inside the new
// namespaces, before the build's own programs. It returns the exit code.
func Sandbox(args []string) int {
	text, err := io.ReadAll(os.NewFile(3, "spec"))
	var sp spec
	if err == nil {
		err = json.Unmarshal(text, &sp)
	}
	if len(args) > 0 && args[0] == "exec" {
		unix.CloseOnExec(3)
		unix.CloseOnExec(4)
		if err == nil {
			err = become(sp)
		}
		fmt.Fprint(os.NewFile(4, "trouble"), err)
		return 127
	}
	var out outcome
	if err == nil {
		out, err = supervise(sp, text)
	}
	if err != nil {
		out.Setup = err.Error()
	}
	if err := json.NewEncoder(os.NewFile(4, "outcome")).Encode(out); err != nil {
		return 1
	}
	return 0
}

// supervise makes the walls, starts the step, and sees to it that everything the
// step has started ends with it.
func supervise(sp spec, text []byte) (outcome, error) {
	runtime.LockOSThread() // the step dies with the thread that started it
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	switch sp.Level {
	case levelFull:
		if err := makeRoot(sp); err != nil {
			return outcome{}, err
		}
	case levelPlain:
	case levelHalf: // processes have other numbers here
		if err := errors.Join(keepMounts(), mountProc("/proc")); err != nil {
			return outcome{}, err
		}
	}
	if sp.Level != levelPlain && !sp.Network {
		if err := loopbackUp(); err != nil {
			return outcome{}, fmt.Errorf("bring up loopback: %w", err)
		}
	}
	// Orphans of the step come to us also where we are not its first process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return outcome{}, fmt.Errorf("become subreaper: %w", err)
	}
	specR, specW, err := os.Pipe()
	if err != nil {
		return outcome{}, err
	}
	troubleR, troubleW, err := os.Pipe()
	if err != nil {
		return outcome{}, err
	}
	self := os.Args[:len(os.Args):len(os.Args)]
	child, err := os.StartProcess("/proc/self/exe", append(self, "exec"), &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, specR, troubleW},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return outcome{}, fmt.Errorf("start the step: %w", err)
	}
	specR.Close()
	troubleW.Close()
	if _, err := specW.Write(text); err != nil {
		return outcome{}, fmt.Errorf("start the step: %w", err)
	}
	specW.Close()
	// The end of this pipe is the step's first moment, or why there was none.
	if trouble, err := io.ReadAll(troubleR); err != nil || len(trouble) > 0 {
		return outcome{}, fmt.Errorf("start the step: %s", trouble)
	}
	ended := make(chan syscall.WaitStatus)
	go reap(child.Pid, ended)
	var out outcome
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case status := <-ended:
			out.Exit = status.ExitStatus()
			if status.Signaled() {
				out.Exit = 128 + int(status.Signal())
			}
		case <-stop:
			out.Stopped = "stopped"
		case <-tick.C:
			if sp.Processes == 0 || len(descendants()) <= sp.Processes {
				continue
			}
			out.Stopped = fmt.Sprintf("more than %d processes at once", sp.Processes)
		}
		if sp.Level != levelPlain {
			return out, nil // we are the first process of a namespace, which ends with us
		}
		for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
			left := descendants()
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
			}
			if len(left) == 0 {
				break
			}
		}
		return out, nil
	}
}

// reap waits for every child, ours and those that were left to us, and tells
// how the step ended.
func reap(step int, ended chan<- syscall.WaitStatus) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == step:
			ended <- status
		}
	}
}

// descendants returns the processes below this one that have not ended.
func descendants() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := procfs.Stat(pid)
		if err != nil || stat[0] == "Z" {
			continue
		}
		if parents[pid], err = strconv.Atoi(stat[1]); err != nil {
			return nil
		}
	}
	var out []int
	for pid := range parents {
		for up, hops := parents[pid], 0; up > 0 && hops < len(parents); up, hops = parents[up], hops+1 {
			if up == os.Getpid() {
				out = append(out, pid)
				break
			}
		}
	}
	return out
}

// keepMounts makes sure that nothing we mount is seen elsewhere.
func keepMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	return nil
}

func mountProc(at string) error {
	if err := unix.Mount("proc", at, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// makeRoot builds the view of files that the step has, and moves into it.
func makeRoot(sp spec) error {
	if err := keepMounts(); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", sp.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=4m"); err != nil {
		return fmt.Errorf("mount a root: %w", err)
	}
	for _, b := range sp.Binds {
		if err := b.mount(sp.Root); err != nil {
			return err
		}
	}
	if err := mountDev(sp.Root); err != nil {
		return err
	}
	proc := filepath.Join(sp.Root, "proc")
	if err := os.Mkdir(proc, 0o555); err != nil {
		return err
	}
	if err := mountProc(proc); err != nil {
		return err
	}
	if err := os.Chdir(sp.Root); err != nil {
		return err
	}
	// The old root is stacked under the new one and let go; see pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot to the new root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let the old root go: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// mount shows b under root. A link of the machine, as /bin may be, stays a link.
func (b bind) mount(root string) error {
	at := b.At
	if at == "" {
		at = b.Path
		if target, err := os.Readlink(b.Path); err == nil && strings.Count(b.Path, "/") == 1 {
			return os.Symlink(target, filepath.Join(root, at))
		}
	}
	if err := bindAt(b.Path, filepath.Join(root, at)); err != nil {
		return err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if !b.Write {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, filepath.Join(root, at), unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("protect %s: %w", b.Path, err)
	}
	return nil
}

func bindAt(path, to string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else {
		var f *os.File
		if f, err = os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			f.Close()
		}
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(path, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	return nil
}

var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

func mountDev(root string) error {
	for _, d := range devices {
		if err := bindAt(d, filepath.Join(root, d)); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, filepath.Join(root, "dev", name)); err != nil {
			return err
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was sent
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// become turns this process into the step: slow, limited, without rights.
func become(sp spec) error {
	runtime.LockOSThread() // what follows belongs to a thread, and the one that execs counts
	if err := yieldToOthers(sp); err != nil {
		return err
	}
	if err := landlocked(sp); err != nil {
		return fmt.Errorf("apply Landlock: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	if sp.Probe {
		os.Exit(0) //nolint:forbidigo // stands for the program that a probe does not have
	}
	if err := os.Chdir(sp.Dir); err != nil {
		return err
	}
	unix.Umask(0o022)
	return unix.Exec(sp.Args[0], sp.Args, sp.Env)
}

func yieldToOthers(sp spec) error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil {
		return fmt.Errorf("be nice: %w", err)
	}
	const whoProcess, idleClass = 1, 3 << 13
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, idleClass) // not every disk scheduler knows
	// When memory runs out, a build goes before what serves people.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	limits := map[int]uint64{unix.RLIMIT_CORE: 0}
	if sp.FileSize > 0 {
		limits[unix.RLIMIT_FSIZE] = uint64(sp.FileSize)
	}
	if sp.Processes > 0 && sp.Level != levelPlain {
		limits[unix.RLIMIT_NPROC] = uint64(sp.Processes) * 16 // counts threads; the supervisor counts processes
	}
	for what, n := range limits {
		var now unix.Rlimit
		if err := unix.Getrlimit(what, &now); err != nil {
			return fmt.Errorf("set limits: %w", err)
		}
		n = min(n, now.Max)
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("set limits: %w", err)
		}
	}
	return nil
}

// landlocked leaves the step what its binds name, as far as the kernel can.
func landlocked(sp spec) error {
	rules := []landlock.Rule{
		landlock.RODirs("/proc").IgnoreIfMissing(), landlock.RWFiles(devices...).IgnoreIfMissing(),
	}
	for _, b := range sp.Binds {
		at := b.Path
		if sp.Level == levelFull && b.At != "" {
			at = b.At
		}
		info, err := os.Stat(at)
		switch {
		case err != nil:
			return err
		case b.Write:
			rules = append(rules, landlock.RWDirs(at).WithRefer())
		case info.IsDir():
			rules = append(rules, landlock.RODirs(at))
		default:
			rules = append(rules, landlock.ROFiles(at))
		}
	}
	if sp.Network {
		return landlock.V9.BestEffort().RestrictPaths(rules...)
	}
	if sp.Level == levelPlain {
		return landlock.V10.BestEffort().Restrict(rules...)
	}
	// In a network namespace of its own a step may talk to itself.
	if err := landlock.V9.BestEffort().RestrictPaths(rules...); err != nil {
		return err
	}
	return landlock.V9.BestEffort().RestrictScoped()
}

func dropCapabilities() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		// EINVAL: the kernel is older than this capability. EPERM: without CAP_SETPCAP
		// there is nothing to lose; no_new_privs keeps it so.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

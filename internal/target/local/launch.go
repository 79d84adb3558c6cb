package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"titrate/internal/cgroup"
	"titrate/internal/landlock"
	"titrate/internal/target/local/container"
	"titrate/internal/target/local/namespaces"

	"golang.org/x/sys/unix"
)

// LaunchCommand is the argument with which the program must call [Launch], before
// anything else.
const LaunchCommand = "__launch"

// Descriptors of the launcher beside the standard ones.
const (
	specFD  = 3 // the launch, in JSON, comes in here
	errorFD = 4 // why it failed goes out here; closed by a successful exec
)

// launch says what the launcher becomes. The environment is here and not the
// launcher's own, because a variable such as LD_PRELOAD would have the launcher
// run the workload's code before it is confined.
type launch struct {
	Argv     []string `json:"argv"`
	Env      []string `json:"env"`
	Dir      string   `json:"dir"`
	Hide     []string `json:"hide"`     // what the program cannot see …
	ReadOnly []string `json:"readonly"` // … but for these in it
	Writable []string `json:"writable"` // … and these

	Group cgroup.Group `json:"group,omitempty"` // that keeps its limits

	Image *imageLaunch `json:"image,omitempty"` // what stands in place of all above but Env
	// Locks are how many open files after errorFD the program keeps; what they lock is
	// its own for as long as any of its processes has one.
	Locks int `json:"locks,omitempty"`
	locks []*os.File
	// What the program reads and writes in place of nothing and the outputs; nil: that.
	stdin, stdout *os.File
}

// Launch turns this process into a workload: it reads what to become from the
// supervisor, confines itself and executes the program. It returns only when that
// failed, which it has told the supervisor then.
func Launch() error {
	if len(os.Args) > 2 && os.Args[2] == insideCommand {
		namespaces.Inside()
	}
	if len(os.Args) > 2 && os.Args[2] == firstCommand {
		container.First(os.Args[3:])
	}
	runtime.LockOSThread() // a Landlock domain is a thread's
	err := become(os.NewFile(specFD, "spec"))
	_, _ = os.NewFile(errorFD, "error").WriteString(err.Error())
	return err
}

// closeInherited closes what our own caller left open after the last that it gave us: it may lead past the walls, and
// a shim would hold it as long as it lives. What this process has opened itself is
// marked to be closed when a program is executed.
func closeInherited(last int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // marked too, below
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

func become(spec *os.File) error {
	var l launch
	err := json.NewDecoder(spec).Decode(&l)
	closeInherited(errorFD + l.Locks)
	if unix.CloseRange(specFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) != nil { // a kernel before 5.11
		for fd := specFD; fd <= errorFD+l.Locks; fd++ {
			syscall.CloseOnExec(fd)
		}
	}
	if err != nil {
		return fmt.Errorf("read the launch: %w", err)
	}
	if l.Image != nil {
		var locks []*os.File
		for i := range l.Locks {
			locks = append(locks, os.NewFile(uintptr(errorFD+1+i), "lock"))
		}
		return l.Image.standIn(spec, l.Group, locks)
	}
	if err := os.Chdir(l.Dir); err != nil {
		return fmt.Errorf("enter the artifact: %w", err)
	}
	program, err := lookProgram(l.Dir, l.Argv, l.Env)
	if err != nil {
		return err
	}
	if err := limit(); err != nil {
		return err
	}
	entrance, err := l.Group.Entrance() // while it is in sight
	if err != nil {
		return err
	}
	rules, err := landlock.Except(l.Hide...)
	if err != nil {
		return err
	}
	for _, path := range l.ReadOnly {
		rules = append(rules, landlock.Rule{Path: path, Access: landlock.Read})
	}
	for _, path := range l.Writable {
		rules = append(rules, landlock.Rule{Path: path, Access: landlock.Write})
	}
	dropCapabilities()
	if err := landlock.Restrict(rules); err != nil {
		return err
	}
	// Last, so that what this program needs itself is not counted.
	if err := entrance.Join(); err != nil {
		return err
	}
	for fd := range l.Locks {
		if _, err := unix.FcntlInt(uintptr(errorFD+1+fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep the locks of its volumes: %w", err)
		}
	}
	if err := syscall.Exec(program, l.Argv, l.Env); err != nil {
		return fmt.Errorf("execute %s: %w", program, err)
	}
	return nil
}

// limit sets the limits of every workload.
func limit() error {
	// A dump of its memory would hold its secrets.
	if err := syscall.Setrlimit(unix.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("limit core dumps: %w", err)
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	files.Cur = min(files.Max, 65536)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	// When memory runs out a workload goes before the node does, which would take
	// the traffic of all others along. Not every machine lets it be set.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("300"), 0)
	return nil
}

// capabilities are what a workload keeps of the powers of root: to own, change
// and serve what is its own. Without the others it can neither look into other
// processes (Landlock allows that to who may measure the whole machine) nor
// change the machine.
var capabilities = [...]uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW, unix.CAP_SYS_CHROOT,
}

// dropCapabilities takes the powers of root from what is executed. A process that
// has none is not allowed to, and needs not.
func dropCapabilities() {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if !slices.Contains(capabilities[:], c) {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		}
	}
}

// lookProgram finds argv[0] in the artifact first, then along the workload's $PATH.
func lookProgram(dir string, argv, env []string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("the version has no command")
	}
	name := argv[0]
	if filepath.IsAbs(name) {
		return name, nil
	}
	own := filepath.Join(dir, name)
	if st, err := os.Stat(own); err == nil && !st.IsDir() {
		return own, nil
	}
	if strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("the artifact has no file %s", name)
	}
	for _, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			if err := os.Setenv("PATH", path); err != nil {
				return "", fmt.Errorf("take the workload's PATH: %w", err)
			}
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("neither the artifact nor $PATH has a program %s", name)
	}
	return path, nil
}

// Confinement says in a sentence each what this machine cannot keep workloads from.
func Confinement() []string {
	switch abi := landlock.ABI(); {
	case abi == 0:
		return []string{"This kernel has no Landlock: workloads and hooks can read and change Titrate's data folder."}
	case abi < 6:
		return []string{fmt.Sprintf("This kernel's Landlock (version %d, of 6) cannot keep workloads from signalling each other's processes.", abi)}
	default:
		return nil
	}
}

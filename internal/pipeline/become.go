package pipeline

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// become turns this process into the step: slow unless it is waited for, limited,
// without rights.
func become(sp spec) error {
	runtime.LockOSThread() // what follows belongs to a thread, and the one that execs counts
	if !sp.Waited {
		if err := yieldToOthers(); err != nil {
			return err
		}
	}
	if err := limit(sp); err != nil {
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

func yieldToOthers() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil {
		return fmt.Errorf("be nice: %w", err)
	}
	const whoProcess, idleClass = 1, 3 << 13
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, idleClass) // not every disk scheduler knows
	return nil
}

func limit(sp spec) error {
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
	// In a network namespace of its own a step may talk to itself. One ruleset, not one of
	// paths and one of scopes: the kernel lets no file be moved to another folder (EXDEV)
	// where any of several rulesets does not allow it, and one without paths never does.
	// rustc moves files so, and many a tool.
	fs := landlock.V9.HandledAccessFS
	return landlock.MustConfig(fs, landlock.V9.Scoped).BestEffort().Restrict(rules...)
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

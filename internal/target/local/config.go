package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"titrate/internal/cgroup"
	"titrate/internal/engine"
	"titrate/internal/invocation"
	"titrate/internal/rollout"
	"titrate/internal/target/local/namespaces"
)

// Config is what a supervisor needs. Dir, Data, Artifacts and Logs are absolute paths.
type Config struct {
	Dir       string // the supervisor's own folder, under Data
	Data      string // the data folder: hidden from workloads, but for what is theirs
	Artifacts string // a folder for each artifact, named by its digest
	Logs      string // what workloads write: APP/ENV/WORKLOAD/*.log
	Exits     string // where the keeper records the exits of processes it inherited; empty: nobody does

	// Program is the file that this program is started from anew: workloads can run
	// it, and not change it. Empty: the one that runs now.
	Program string

	// Launcher is the command that calls [Launch]. Empty: this program with the
	// argument LaunchCommand.
	Launcher []string

	// Engine returns the container engine that holds images, as [engine.Seeker.Engine]
	// does. Nil: there is none.
	Engine func(context.Context) (*engine.Engine, error)

	// Redirects tells whether this machine's kernel can lead connections of a program past
	// the program itself. Nil: it is tried once, when it is needed.
	Redirects func() bool

	// Groups is where control groups of workloads are made. Nil: where this program may
	// make some, in a folder that is named after Dir.
	Groups *cgroup.Tree
	// Unit is what the service manager does for that, where Groups is nil.
	Unit cgroup.Unit

	Log *slog.Logger
	Now func() time.Time // nil: time.Now

	// OnReady is told whenever the set of instances that may be drawn has changed,
	// one call at a time, and not again before it has returned. When it returns
	// no request begins on an instance that is not in the set any more. Nil: nobody asks.
	OnReady func(k rollout.Key, v rollout.Version, ready []Endpoint)
	// Open returns how many requests and connections are open at an instance, for
	// draining. Nil: none ever.
	Open func(addr string) int
	// Asked reports whether a request was made at an address since the last call for it,
	// or is still open: who is not asked anything is checked less often. Nil: always.
	Asked func(addr string) bool
	// URLs returns the addresses, by workload, at which workload k reaches those that
	// it uses. Nil: none are given.
	URLs func(k rollout.Key, uses []string) map[string]string
	// Variables returns what each process of an app's environment is given beside its
	// own variables, which go before these. Nil: nothing.
	Variables func(app, env string) map[string]string
	// Drawn is closed when nothing draws instances any more, which may be long after the end
	// of Run: until then functions take calls. Nil: they end with Run.
	Drawn <-chan struct{}
	// OnSample is told once a second what each version used since the last time.
	OnSample func([]Sample)

	Grace     time.Duration // from SIGTERM to SIGKILL at least; 0: 10 s
	LogSize   int64         // bytes of a log file before the next is begun; 0: 10 MiB
	LogFiles  int           // of a workload, the current one included; 0: 5
	Retention time.Duration // of records and logs of what is not wanted any more; 0: 30 days
}

// Endpoint is an instance that may be drawn.
type Endpoint struct {
	Instance string
	Addr     string // host:port; empty: it is called
	// Callee is a version of a function, which is one endpoint however many instances it
	// has; nil: it is connected to.
	Callee invocation.Callee
}

// Sample is what the instances of a version used since the sample before.
type Sample struct {
	Key         rollout.Key
	Version     rollout.Version
	CPU         float64 // core-seconds, of all instances
	CPULimit    float64 // core-seconds that they could have used; 0: not limited
	Memory      uint64  // bytes: the largest instance's resident set
	MemoryLimit uint64  // bytes; 0: not limited
	Restarts    uint64
}

func (c *Config) complete() error {
	for name, path := range map[string]string{"Dir": c.Dir, "Data": c.Data, "Artifacts": c.Artifacts, "Logs": c.Logs} {
		if path == "" || path[0] != '/' {
			return fmt.Errorf("%s must be an absolute path, not %q", name, path)
		}
	}
	if c.Log == nil {
		return errors.New("no Log")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.Launcher) == 0 {
		// Not the path of the program, which an upgrade may have replaced.
		c.Launcher = []string{"/proc/self/exe", LaunchCommand}
	}
	if c.Program == "" {
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		c.Program = program
	}
	if c.Redirects == nil {
		c.Redirects = sync.OnceValue(func() bool {
			err := namespaces.CheckRedirects(insideThis)
			if err != nil {
				c.Log.Warn("services that listen at the same port have no names for each other, see docs/images.md", slog.Any("error", err))
			}
			return err == nil
		})
	}
	if c.OnReady == nil {
		c.OnReady = func(rollout.Key, rollout.Version, []Endpoint) {}
	}
	if c.Engine == nil {
		c.Engine = func(context.Context) (*engine.Engine, error) { return nil, engine.ErrNone }
	}
	if c.Open == nil {
		c.Open = func(string) int { return 0 }
	}
	if c.Asked == nil {
		c.Asked = func(string) bool { return true }
	}
	if c.URLs == nil {
		c.URLs = func(rollout.Key, []string) map[string]string { return nil }
	}
	if c.Variables == nil {
		c.Variables = func(_, _ string) map[string]string { return nil }
	}
	if c.OnSample == nil {
		c.OnSample = func([]Sample) {}
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if c.LogSize == 0 {
		c.LogSize = 10 << 20
	}
	if c.LogFiles == 0 {
		c.LogFiles = 5
	}
	if c.Retention == 0 {
		c.Retention = 30 * 24 * time.Hour
	}
	return nil
}

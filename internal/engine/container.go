package engine

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Container says what is to run, and how it is held in.
type Container struct {
	Name     string
	Image    string   // its id
	Command  []string // nil: the image's entrypoint and command
	Env      []string
	Labels   map[string]string
	Network  string
	Aliases  []string // more names under which it is found in Network
	Port     int      // what it listens on; 0: nothing is to reach it
	Publish  bool     // Port is reachable on 127.0.0.1, at a port that the engine chooses
	Limits   Limits
	ReadOnly bool // nothing to write to but memory: /tmp is some
	Mounts   []Mount
	// Init puts a small program of the engine's before Command, as the first process.
	// The kernel keeps signals that a program has no word for, SIGTERM too, from the
	// first process: most would have to be killed.
	Init bool
}

// Limits bound a container; 0: none.
type Limits struct {
	Memory    int64   // bytes, swap included
	CPU       float64 // cores
	Processes int64
}

// Mount is a folder of this machine as a container sees it.
type Mount struct{ From, To string }

// Status is how a container is.
type Status struct {
	ID        string
	Running   bool
	PID       int // of its first process, in the engine's view; 0: it does not run
	Exit      int
	OOMKilled bool
	Error     string // why it could not be started
	Started   time.Time
	Finished  time.Time
	Labels    map[string]string
	Network   string     // as [Engine.Containers] tells it: as it was asked for
	IP        netip.Addr // in Network; invalid: it has none
	Published int        // the port on 127.0.0.1; 0: none
}

// capabilities are what a container keeps of the powers of root, after all were
// taken: Docker's own list without raw sockets, device nodes, file capabilities and
// the audit log. Images that begin as root and become somebody else need these.
var capabilities = [...]string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT"}

// Create makes a container and returns its id. It does not run yet.
func (e *Engine) Create(ctx context.Context, c Container) (string, error) {
	cfg := &container.Config{
		Image: c.Image, Env: c.Env, Labels: c.Labels,
		// The image's own check would be a second opinion, and costs a process each time.
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
	if len(c.Command) > 0 {
		cfg.Entrypoint, cfg.Cmd = c.Command[:1], c.Command[1:]
	}
	host := &container.HostConfig{
		CapDrop: []string{"ALL"}, CapAdd: capabilities[:], SecurityOpt: []string{"no-new-privileges"},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		// Kept by the engine only until they are ours.
		LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "2"}},
		NetworkMode: container.NetworkMode(c.Network), ReadonlyRootfs: c.ReadOnly,
		Resources: container.Resources{Memory: c.Limits.Memory, MemorySwap: c.Limits.Memory, NanoCPUs: int64(c.Limits.CPU * 1e9)},
	}
	host.Init = &c.Init
	if c.Limits.Processes > 0 {
		host.PidsLimit = &c.Limits.Processes
	}
	if c.ReadOnly {
		host.Tmpfs = map[string]string{"/tmp": "mode=1777"}
	}
	for _, m := range c.Mounts {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.From, Target: m.To})
	}
	if c.Port > 0 {
		port, err := network.ParsePort(strconv.Itoa(c.Port) + "/tcp")
		if err != nil {
			return "", e.failed("create a container", err)
		}
		cfg.ExposedPorts = network.PortSet{port: {}}
		if c.Publish {
			host.PortBindings = network.PortMap{port: {{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}}
		}
	}
	nets := &network.NetworkingConfig{}
	if c.Network != "" && len(c.Aliases) > 0 {
		nets.EndpointsConfig = map[string]*network.EndpointSettings{c.Network: {Aliases: c.Aliases}}
	}
	got, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{Config: cfg, HostConfig: host, NetworkingConfig: nets, Name: c.Name})
	return got.ID, e.failed("create a container", err)
}

// Start starts a container that was created. One that runs is left alone.
func (e *Engine) Start(ctx context.Context, id string) error {
	_, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return e.failed("start a container", err)
}

// Status returns how a container is, and wraps [ErrNotFound] when there is none.
func (e *Engine) Status(ctx context.Context, id string) (Status, error) {
	got, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return Status{}, e.failed("look at a container", err)
	}
	c := got.Container
	st := Status{ID: c.ID}
	if c.Config != nil {
		st.Labels = c.Config.Labels
	}
	if s := c.State; s != nil {
		st.Running, st.PID, st.Exit, st.OOMKilled, st.Error = s.Running, s.Pid, s.ExitCode, s.OOMKilled, s.Error
		st.Started, _ = time.Parse(time.RFC3339Nano, s.StartedAt)   // of what never began: zero
		st.Finished, _ = time.Parse(time.RFC3339Nano, s.FinishedAt) // of what runs: zero
	}
	if n := c.NetworkSettings; n != nil {
		for _, end := range n.Networks {
			if end != nil && end.IPAddress.IsValid() {
				st.IP = end.IPAddress
			}
		}
		for _, bindings := range n.Ports {
			for _, b := range bindings {
				if p, err := strconv.Atoi(b.HostPort); err == nil && p > 0 {
					st.Published = p
				}
			}
		}
	}
	return st, nil
}

// Wait returns when a container does not run, with how it ended. It wraps
// [ErrNotFound] when there is none, and [ErrGone] when the engine went away: the
// container may run on.
func (e *Engine) Wait(ctx context.Context, id string) (Status, error) {
	w := e.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-w.Result:
		return e.Status(ctx, id)
	case err := <-w.Error:
		if ctx.Err() == nil && !errdefs.IsNotFound(err) {
			return Status{}, errors.Join(ErrGone, err) // the engine ended in the middle of its answer
		}
		return Status{}, e.failed("wait for a container", err)
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

// Kill sends a signal, "SIGTERM" or "15" say, to a container's first process. One that does
// not run any more has it already.
func (e *Engine) Kill(ctx context.Context, id, signal string) error {
	_, err := e.api.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
	if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil { // podman has no word for it
		if st, serr := e.Status(ctx, id); serr == nil && !st.Running {
			return nil
		}
	}
	return e.failed("signal a container", err)
}

// Remove ends a container at once, with all its processes, and removes it and its
// anonymous volumes. One that is not there is removed.
func (e *Engine) Remove(ctx context.Context, id string) error {
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
	for tick := 10 * time.Millisecond; errdefs.IsConflict(err); tick = min(2*tick, time.Second) { // its removal is under way
		select {
		case <-time.After(tick):
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err = e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{}); err == nil {
			_, err = e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
		}
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.failed("remove a container", err)
}

// Containers lists the containers, also those that have ended, that carry a label: of
// a value, or, where that is empty, of any.
func (e *Engine) Containers(ctx context.Context, label, value string) ([]Status, error) {
	if value != "" {
		label += "=" + value
	}
	got, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", label)})
	if err != nil {
		return nil, e.failed("list containers", err)
	}
	var out []Status
	for _, c := range got.Items {
		out = append(out, Status{ID: c.ID, Running: c.State == container.StateRunning, Labels: c.Labels, Network: c.HostConfig.NetworkMode})
	}
	return out, nil
}

package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// Container says what is to run, and how it is held in.
type Container struct {
	Name    string
	Image   string   // its id
	Command []string // nil: the image's entrypoint and command
	Env     []string
	Labels  map[string]string
	Network string
	// NetworkOf is the id of a container whose network it shares, in place of Network of
	// its own: it runs as root then, and may change that network and do nothing else.
	NetworkOf string
	Hosts     []string // NAME:ADDRESS, that it finds in its /etc/hosts
	Limits    Limits
	ReadOnly  bool // nothing to write to but memory: /tmp is some
	Mounts    []Mount
	// Unlabelled runs it without SELinux, which would keep it from Mounts.
	Unlabelled bool
}

// Limits bound a container; 0: none.
type Limits struct {
	Memory    int64   // bytes, swap included
	CPU       float64 // cores
	Processes int64
}

// Mount is a folder of this machine as a container sees it.
type Mount struct {
	From, To string
	ReadOnly bool
}

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
	Network   string // as [Engine.Containers] tells it: as it was asked for
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
		// Podman looks all the same, to find that there is nothing to do: once a year.
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}, Interval: 365 * 24 * time.Hour},
	}
	if len(c.Command) > 0 {
		cfg.Entrypoint, cfg.Cmd = c.Command[:1], c.Command[1:]
	}
	host := &container.HostConfig{
		CapDrop: []string{"ALL"}, CapAdd: capabilities[:], SecurityOpt: []string{"no-new-privileges"},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		// Programs are given outputs of ours: the engine sees what keeps one from that.
		LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "1"}},
		NetworkMode: container.NetworkMode(c.Network), ExtraHosts: c.Hosts, ReadonlyRootfs: c.ReadOnly,
		// Docker has it so: whoever a program is, it may listen at any port.
		Sysctls:   map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"},
		Resources: container.Resources{Memory: c.Limits.Memory, MemorySwap: c.Limits.Memory, NanoCPUs: int64(c.Limits.CPU * 1e9)},
	}
	if c.NetworkOf != "" {
		cfg.User, host.CapAdd, host.NetworkMode, host.Sysctls = "0:0", []string{"NET_ADMIN"}, container.NetworkMode("container:"+c.NetworkOf), nil
	}
	no := false
	host.Init = &no // Command may be one itself, whatever the engine's own setting is
	if c.Unlabelled {
		host.SecurityOpt = append(host.SecurityOpt, "label=disable")
	}
	if c.Limits.Processes > 0 {
		host.PidsLimit = &c.Limits.Processes
	}
	if c.ReadOnly {
		host.Tmpfs = map[string]string{"/tmp": "mode=1777"}
	}
	for _, m := range c.Mounts {
		m.mount(host)
	}
	got, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{Config: cfg, HostConfig: host, Name: c.Name})
	return got.ID, e.failed("create a container", err)
}

// mount adds the mount in the way that the engine reads: podman takes a comma in the
// long one for its end, as both do with a colon in the short one.
func (m Mount) mount(host *container.HostConfig) {
	if strings.ContainsRune(m.From+m.To, ':') {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.From, Target: m.To, ReadOnly: m.ReadOnly})
		return
	}
	bind := m.From + ":" + m.To
	if m.ReadOnly {
		bind += ":ro"
	}
	host.Binds = append(host.Binds, bind)
}

// Launch makes a container and starts it, in place of one of its name that is left. When
// it returns an error there is none.
func (e *Engine) Launch(ctx context.Context, c Container) (id string, err error) {
	id, err = e.Create(ctx, c)
	if errdefs.IsConflict(err) || err != nil && e.has(ctx, c.Name) { // podman has no word for it
		if err := e.Remove(ctx, c.Name); err != nil {
			return "", err
		}
		id, err = e.Create(ctx, c)
	}
	if err != nil {
		return "", err
	}
	if err := e.Start(ctx, id); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingMost)
		defer cancel()
		_ = e.Remove(ctx, id) // one that stays is swept away
		return "", err
	}
	return id, nil
}

func (e *Engine) has(ctx context.Context, name string) bool {
	_, err := e.Status(ctx, name)
	return name != "" && err == nil
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

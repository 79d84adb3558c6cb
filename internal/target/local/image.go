package local

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"titrate/internal/cgroup"
	"titrate/internal/rollout"
	"titrate/internal/target/local/container"
	"titrate/internal/target/local/namespaces"
	"titrate/internal/target/local/shim"
	"titrate/internal/world"
)

// insideCommand follows LaunchCommand where the launcher is the first process within
// namespaces.
const insideCommand = "inside"

// firstCommand follows LaunchCommand where the launcher is the first process of an
// engine's container. What the container runs follows it.
const firstCommand = "first"

// insideThis starts this program so.
var insideThis = []string{"/proc/self/exe", LaunchCommand, insideCommand}

const (
	imageState = "/run/titrate/state" // where a program of an image sees the workload's own data
	listens    = "listens"            // the file of a shim that tells where the program listens
)

// imageLaunch says how an image is run: the launcher becomes its shim.
type imageLaunch struct {
	shim.Frame
	Container namespaces.Spec `json:"container,omitzero"`
	Groups    []string        `json:"groups,omitempty"` // where this machine has its control groups
	Engine    *container.Spec `json:"engine,omitempty"` // in place of Container: the engine runs it
}

// standIn makes this process the shim of an image. It returns only an error that came
// before the image's program ran.
func (l *imageLaunch) standIn(spec *os.File, group cgroup.Group, locks []*os.File) error {
	spec.Close()
	unix.Umask(0o022) // what images are made for; ours keeps others out of what is not theirs
	entrance, err := group.Entrance()
	if err != nil {
		return err
	}
	if err := entrance.Join(); err != nil {
		return err
	}
	l.Container.Mounts = append(l.Container.Mounts, seenGroups(group, l.Groups)...)
	if err := limit(); err != nil {
		return err
	}
	var c shim.Container = namespaces.New(l.Container, insideThis, locks...)
	if l.Engine != nil {
		c = container.New(*l.Engine, locks...)
	}
	var failed error
	exit := shim.Run(c, l.Frame, func(err error) {
		if failed = err; err == nil {
			_ = unix.Close(errorFD) // the supervisor waits for it
		}
	})
	if failed != nil {
		return failed
	}
	shim.Leave(exit)
	return nil
}

// seenGroups shows a program its own control group where programs look for one, so that
// Java and others know what they may use.
func seenGroups(group cgroup.Group, places []string) []namespaces.Mount {
	var out []namespaces.Mount
	for _, dir := range group {
		for _, at := range places {
			rest, ok := strings.CutPrefix(dir, at+"/")
			if !ok {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err != nil { // version 1: a hierarchy each
				controller, _, _ := strings.Cut(rest, "/")
				at = filepath.Join(at, controller)
			}
			out = append(out, namespaces.Mount{From: dir, To: at, ReadOnly: true})
		}
	}
	return out
}

// launchImage returns the launch of an image. The artifact's folder is there.
func (s *Supervisor) launchImage(ctx context.Context, pl place, argv, env []string) (launch, error) {
	img := pl.fleet.Image
	if len(argv) == 0 {
		argv = img.Argv()
	}
	stop, err := stopSignal(img.StopSignal)
	if err != nil {
		return launch{}, err
	}
	frame := shim.Frame{
		Host: pl.port, Port: imagePort(pl.fleet), Reach: s.reached(pl, env), Listens: filepath.Join(pl.dir, listens), Stop: stop,
	}
	frame.Named = s.named(pl)
	if img.Engine {
		return s.launchContainer(ctx, pl, argv, env, frame)
	}
	l := &imageLaunch{
		Groups: s.cfg.Groups.Mounts(),
		Frame:  frame,
		Container: namespaces.Spec{
			Users: namespaces.Block(pl.key.App + "/" + pl.key.Env),
			Name:  pl.id, Hosts: hostLines(frame.Named), Root: filepath.Join(s.cfg.Artifacts, pl.fleet.Artifact), Dir: filepath.Join(pl.dir, "image"),
			Mounts: s.imageMounts(pl), ReadOnly: pl.fleet.ReadOnly,
			Egress: egress(), Argv: argv, Env: env, User: img.User, WorkDir: img.WorkingDir,
		},
	}
	return launch{Env: env, Image: l}, nil
}

// imageMounts are the folders of this machine that a program of an image writes to.
func (s *Supervisor) imageMounts(pl place) []namespaces.Mount {
	all := []namespaces.Mount{{From: s.stateOf(pl), To: imageState, Own: true}}
	for _, name := range slices.Sorted(maps.Keys(pl.fleet.Volumes)) {
		all = append(all, namespaces.Mount{From: s.volumeOf(pl, name), To: pl.fleet.Volumes[name].Path, Own: true})
	}
	return all
}

// ImageNote says in a line what an image will miss on this machine; empty: nothing.
func ImageNote(img world.Image) string {
	name, _, _ := strings.Cut(img.User, ":")
	root, one := name == "" || name == "0" || name == "root", namespaces.Alone()
	switch {
	case egress() == "":
		return "it reaches nothing outside of this machine but what its environment names: apt install slirp4netns, see docs/images.md"
	case one != nil && root:
		return "a program that becomes another user (gosu, su-exec) cannot: " + one.Error() + ", see docs/images.md"
	case one != nil:
		return "it reaches nothing outside of this machine: " + one.Error() + ", see docs/images.md"
	default:
		return ""
	}
}

// egress finds the program by which images reach the world.
func egress() string {
	program, err := exec.LookPath("slirp4netns")
	if err != nil {
		return ""
	}
	return program
}

// imagePort is the port at which the program of an image is to listen.
func imagePort(f world.Fleet) int { return rollout.OwnPort(f.Port, f.Image) }

// imageEnv is what a program of an image begins with.
func imageEnv(img world.Image) map[string]string {
	env := map[string]string{"PATH": defaultPath}
	for _, kv := range img.Env {
		name, v, _ := strings.Cut(kv, "=")
		env[name] = v
	}
	return env
}

// stopSignal reads the signal by which an image's program is asked to end, such as
// SIGQUIT, QUIT, RTMIN+3 or 3.
func stopSignal(s string) (unix.Signal, error) {
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")
	n, err := strconv.Atoi(s)
	switch rest, rt := strings.CutPrefix(name, "SIGRTMIN"); {
	case s == "":
		return unix.SIGTERM, nil
	case rt:
		const first = 34 // the C library keeps two of the kernel's
		n, err = strconv.Atoi("0" + strings.TrimPrefix(rest, "+"))
		n += first
	case err != nil:
		if sig := unix.SignalNum(name); sig != 0 {
			return sig, nil
		}
	}
	if err != nil || n < 1 || n > 64 {
		return 0, fmt.Errorf("the image is to be stopped by %q, which is no signal", s)
	}
	return unix.Signal(n), nil
}

// reached lists the addresses of this machine that a program of an image reaches at
// the same addresses: those that it was given, and those on the loopback in the URLs
// of its environment. Its own port is not among them.
func (s *Supervisor) reached(pl place, env []string) []netip.AddrPort {
	services := slices.Clone(pl.fleet.Uses)
	for _, a := range pl.fleet.Addresses {
		services = append(services, a.Service)
	}
	var texts []string
	for _, at := range s.cfg.URLs(pl.key, services) {
		texts = append(texts, at)
	}
	for _, kv := range env {
		_, v, _ := strings.Cut(kv, "=")
		texts = append(texts, strings.Fields(v)...)
	}
	var out []netip.AddrPort
	for _, text := range texts {
		if at, ok := loopbackURL(text); ok && int(at.Port()) != imagePort(pl.fleet) && !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return out
}

// loopbackURL returns the address of a URL that leads to this machine's loopback.
func loopbackURL(text string) (at netip.AddrPort, ok bool) {
	if !strings.Contains(text, "://") {
		return at, false // an address alone may be where the program is to listen
	}
	u, err := url.Parse(text)
	if err != nil {
		return at, false
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	port, perr := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || perr != nil || !ip.IsLoopback() || port == 0 {
		return at, false
	}
	return netip.AddrPortFrom(ip, uint16(port)), true
}

// listensWithin says where the program of an image listens, as its shim saw last.
func (in *instance) listensWithin(rec instanceRecord) string {
	b, err := os.ReadFile(filepath.Join(in.s.layout.runDir(rec.Key, rec.ID), listens))
	if err != nil {
		return "the process listens on no port"
	}
	return string(b)
}

// AmongAllUsers runs this process's command once more where the files of all users that
// images have may be read and made; done is false where it is so already, or nobody
// else has any, and then nothing ran.
func AmongAllUsers() (status int, done bool, err error) { return namespaces.Enter(os.Args, insideThis) }

// CheckImages returns nil where images can be run without a container engine, and
// else, as a [namespaces.Error], what this machine lacks. It tries in a folder under the
// one that is given, which is on the disk of the data folder.
func CheckImages(ctx context.Context, under string) error {
	return namespaces.Check(ctx, under, insideThis)
}

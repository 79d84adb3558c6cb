package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"titrate/internal/landlock"
	"titrate/internal/target/local/namespaces"
)

// gitSince is the first git that has what the git remote uses: settings by
// environment, GIT_CONFIG_COUNT.
var gitSince = [2]int{2, 31}

func (p *patient) git(ctx context.Context) {
	const install = "apt-get install git, dnf install git, or apk add git"
	path, err := p.lookPath("git")
	if err != nil {
		p.note(Finding{Check: "git", Level: Fault, What: "git is not installed", Where: "PATH=" + p.variable("PATH"), Why: "nothing can be pushed", Help: install})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = p.Env
	out, err := cmd.Output()
	said := strings.TrimSpace(string(out))
	var have [2]int
	if n, _ := fmt.Sscanf(said, "git version %d.%d", &have[0], &have[1]); err != nil || n != 2 {
		p.note(Finding{Check: "git", Level: Fault, What: fmt.Sprintf("git does not say its version: %q, %v", said, err), Where: path, Help: install})
		return
	}
	if have[0] < gitSince[0] || have[0] == gitSince[0] && have[1] < gitSince[1] {
		p.note(Finding{Check: "git", Level: Fault, What: fmt.Sprintf("%s is too old: %d.%d is needed", said, gitSince[0], gitSince[1]), Where: path, Why: "pushes fail", Help: install})
		return
	}
	p.note(Finding{Check: "git", Level: OK, What: said, Where: path})
}

// confinement says what this kernel can keep processes from. None of it is needed.
func (p *patient) confinement(context.Context) {
	what := "no Landlock: processes of apps are kept from the data folder by nothing but its mode"
	if abi := landlock.ABI(); abi > 0 {
		what = "Landlock " + strconv.Itoa(abi) + ": processes of apps do not see the data folder"
	}
	p.note(Finding{Check: "landlock", Level: Info, What: what})
	p.note(namespacesSeen())
	what = "control groups of version 1"
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil {
		what = "no control groups"
	} else if st.Type == unix.CGROUP2_SUPER_MAGIC {
		what = "control groups of version 2"
	}
	p.note(Finding{Check: "cgroups", Level: Info, What: what})
}

// namespacesSeen says what builds and images have around them.
func namespacesSeen() Finding {
	const none = "builds run without surroundings of their own, and images only in a container engine"
	f := Finding{Check: "namespaces", Level: Info, What: "user namespaces are there: builds and images get surroundings of their own"}
	if help := namespaces.AppArmor(); help != "" {
		f.What, f.Why, f.Help = "AppArmor keeps titrate from making user namespaces: kernel.apparmor_restrict_unprivileged_userns is 1", none, help
		return f
	}
	for name, off := range map[string]string{"user.max_user_namespaces": "0", "kernel.unprivileged_userns_clone": "0"} {
		if b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); err == nil && strings.TrimSpace(string(b)) == off {
			f.What, f.Why, f.Help = "user namespaces are forbidden: "+name+" is "+off, none, "titrate explain T0560"
			return f
		}
	}
	if lack := namespaces.Alone(); lack != nil {
		f.What += ", and one user in them: " + lack.Error()
		f.Why = "images that start as root and become another user do not run without a container engine"
		f.Help = "docs/images.md, Users"
	}
	return f
}

// engine looks for a socket of Docker or podman that answers.
func (p *patient) engine(ctx context.Context) {
	asked := p.variable("TITRATE_ENGINE")
	if asked == "none" {
		p.note(Finding{Check: "engine", Level: Info, What: "no container engine is to be used: TITRATE_ENGINE is none"})
		return
	}
	sockets := p.sockets()
	if asked != "" && asked != "auto" {
		sockets = []string{strings.TrimPrefix(asked, "unix://")}
	}
	for _, path := range sockets {
		d := net.Dialer{Timeout: patience}
		c, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			c.Close()
			p.note(Finding{Check: "engine", Level: Info, What: "a container engine answers", Where: path})
			return
		}
		if os.IsPermission(err) {
			p.note(Finding{Check: "engine", Level: Info, What: "a container engine is there that this user may not use", Where: path, Help: "usermod -aG docker USER lets it; that user is then as good as root"})
			return
		}
	}
	p.note(Finding{Check: "engine", Level: Info, What: "no container engine answers: apps run as processes", Where: strings.Join(sockets, ", ")})
}

// sockets are the usual ones of Docker and podman.
func (p *patient) sockets() []string {
	var all []string
	if host, ok := strings.CutPrefix(p.variable("DOCKER_HOST"), "unix://"); ok {
		all = append(all, host)
	}
	if dir := p.variable("XDG_RUNTIME_DIR"); dir != "" {
		all = append(all, filepath.Join(dir, "docker.sock"), filepath.Join(dir, "podman", "podman.sock"))
	}
	return append(all, "/var/run/docker.sock", "/run/podman/podman.sock")
}

func (p *patient) variable(name string) string {
	for _, kv := range p.Env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// lookPath finds a program on the PATH that was given.
func (p *patient) lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(p.variable("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

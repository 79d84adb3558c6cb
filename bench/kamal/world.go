package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"titrate/bench/figures"
)

// world is the machine that both tools meet: an engine, a server of ssh, a registry,
// and the images that would come from elsewhere.
type world struct {
	dir     string // everything is within
	bin     string // programs that are on the person's path
	home    string // of the person, and of root on the machine
	daemons []*exec.Cmd
}

// store is the registry's address.
const store = "127.0.0.1:5000"

// patience is how long a part of the machine may take to answer.
const patience = 30 * time.Second

func newWorld(ctx context.Context, dir string) (*world, error) {
	w := &world{dir: dir, bin: filepath.Join(dir, "bin"), home: filepath.Join(dir, "home")}
	for _, step := range []func(context.Context) error{w.folders, w.engine, w.ssh, w.registry, w.images} {
		if err := step(ctx); err != nil {
			w.end()
			return nil, err
		}
	}
	return w, nil
}

// folders gives the machine a /run and a root's home of its own.
func (w *world) folders(ctx context.Context) error {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return fmt.Errorf("read the users: %w", err)
	}
	lines := regexp.MustCompile(`(?m)^(root|sshd):.*\n`).ReplaceAll(passwd, nil)
	lines = fmt.Appendf(lines, "root:x:0:0:root:%s:/bin/bash\nsshd:x:65533:65534::/run/sshd:/bin/false\n", w.home)
	users := filepath.Join(w.dir, "passwd")
	for _, d := range []string{filepath.Join(w.home, ".ssh"), filepath.Join(w.home, ".docker", "cli-plugins")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make the machine's folders: %w", err)
		}
	}
	if err := os.WriteFile(users, lines, 0o644); err != nil { //nolint:gosec // everybody reads a passwd
		return fmt.Errorf("write the users: %w", err)
	}
	return w.shell(ctx, `
		ip link set lo up
		mount -t tmpfs none /run
		mkdir -p /run/sshd
		mount --bind "$DIR/passwd" /etc/passwd
		ln -s "$BUILDX" "$HOME/.docker/cli-plugins/docker-buildx"
		git config --global user.name Dev
		git config --global user.email dev@localhost
		git config --global init.defaultBranch main`)
}

func (w *world) engine(ctx context.Context) error {
	return w.start(ctx, "/run/docker.sock", "dockerd", "-H", "unix:///run/docker.sock", "--data-root", filepath.Join(w.dir, "engine"),
		"--exec-root", filepath.Join(w.dir, "exec"), "--pidfile", filepath.Join(w.dir, "docker.pid"), "--cgroup-parent", "/walk")
}

func (w *world) ssh(ctx context.Context) error {
	if err := w.shell(ctx, `
		ssh-keygen -q -t ed25519 -N "" -f "$HOME/.ssh/id_ed25519"
		cp "$HOME/.ssh/id_ed25519.pub" "$HOME/.ssh/authorized_keys"
		ssh-keygen -q -t ed25519 -N "" -f "$DIR/host"
		chmod 700 "$HOME"
		printf '%s\n' "HostKey $DIR/host" "ListenAddress 127.0.0.1:22" "PermitRootLogin yes" "StrictModes no" \
			"PidFile none" "UsePAM no" "AllowTcpForwarding yes" "MaxStartups 100" >"$DIR/sshd_config"`); err != nil {
		return err
	}
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd" // it insists on being called by its whole path
	}
	return w.start(ctx, "127.0.0.1:22", sshd, "-D", "-e", "-f", filepath.Join(w.dir, "sshd_config"))
}

// registry keeps Kamal's images in the memory of this process.
func (w *world) registry(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", store)
	if err != nil {
		return fmt.Errorf("listen for the registry: %w", err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(os.Stderr, "", 0))), ReadHeaderTimeout: patience} //nolint:gosec // ends with the program
	go func() { _ = server.Serve(l) }()
	return nil
}

// build builds titrate and Kamal's proxy into a folder, while there is a network to get
// modules from.
func build(ctx context.Context, dir string) error {
	bin := filepath.Join(dir, "bin")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(bin, 0o755)); err != nil { //nolint:gosec // users of the machine enter it
		return fmt.Errorf("make the folder of programs: %w", err)
	}
	if err := figures.Build(ctx, filepath.Join(bin, "titrate")); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "proxy", "kamal-proxy"), "./cmd/kamal-proxy")
	cmd.Dir, cmd.Env = os.Getenv("KAMAL_PROXY"), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build kamal-proxy: %w\n%s", err, out)
	}
	kamal := "#!/bin/sh\nexec ruby \"$KAMAL/bin/kamal\" \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "kamal"), []byte(kamal), 0o755); err != nil { //nolint:gosec // a program
		return fmt.Errorf("put kamal on the path: %w", err)
	}
	return nil
}

// images are what would be pulled from a registry of the world: Kamal's proxy, and a
// base image of this machine's Node.js with the libraries that it asks for.
func (w *world) images(ctx context.Context) error {
	return w.shell(ctx, `
		cd "$DIR/proxy"
		version=$(sed -n 's/.*MINIMUM_VERSION = "\(.*\)"/\1/p' "$KAMAL/lib/kamal/configuration/proxy/run.rb")
		mkdir -p home/kamal-proxy/.config/kamal-proxy tmp && chmod 1777 tmp
		printf 'FROM scratch\nCOPY . /usr/local/bin/\nCOPY home /home\nCOPY tmp /tmp\nENV PATH=/usr/local/bin HOME=/home/kamal-proxy\nEXPOSE 80 443\nCMD ["kamal-proxy", "run"]\n' >Dockerfile
		docker build -q -t "basecamp/kamal-proxy:$version" . >/dev/null
		mkdir "$DIR/node" && cd "$DIR/node"
		node=$(readlink -f "$(command -v node)")
		mkdir -p root/usr/local/bin root/tmp root/etc
		cp "$node" root/usr/local/bin/node
		ldd "$node" | grep -o '/[^ ]*' | while read -r lib; do mkdir -p "root$(dirname "$lib")"; cp -L "$lib" "root$lib"; done
		printf 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n' >root/etc/passwd
		printf 'FROM scratch\nCOPY root /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n' >Dockerfile
		docker build -q -t node:20-bookworm-slim . >/dev/null`)
}

// env is the person's environment.
func (w *world) env() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "HOME=") || strings.HasPrefix(s, "PATH=") || strings.HasPrefix(s, inside+"=") || strings.HasPrefix(s, "DOCKER_")
	})
	return append(env, "HOME="+w.home, "DIR="+w.dir, "PATH="+w.bin+":"+os.Getenv("PATH"), "KAMAL_REGISTRY_PASSWORD=open sesame")
}

// shell runs a script of the machine's own.
func (w *world) shell(ctx context.Context, script string) error {
	cmd := exec.CommandContext(ctx, "sh", "-euc", script)
	cmd.Env = w.env()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("prepare the machine: %w\n%s\n%s", err, script, out.String())
	}
	return nil
}

// start starts a part of the machine and waits until it listens at addr.
func (w *world) start(ctx context.Context, addr, program string, args ...string) error {
	out, err := os.Create(filepath.Join(w.dir, filepath.Base(program)+".log"))
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env(), out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	w.daemons = append(w.daemons, cmd)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	err = figures.Poll(ctx, func() (bool, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, c.Close()
	})
	if err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("start %s: %w\n%s", program, err, text)
	}
	return nil
}

// end ends what was started, the last first.
func (w *world) end() {
	for _, cmd := range slices.Backward(w.daemons) {
		if err := cmd.Process.Signal(syscall.SIGTERM); err == nil {
			_ = cmd.Wait() // how it exits does not matter any more
		}
	}
}

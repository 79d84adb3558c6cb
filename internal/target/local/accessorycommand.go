package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"titrate/internal/accessory"
	"titrate/internal/rollout"
	"titrate/internal/target/local/shim"
	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// commands copies the data of an image or a local service by the shell lines that its
// manifest has for that. Each runs in a process beside the accessory, with its programs,
// user and environment: of an image in a container of its own, which has none of the
// volumes. It reaches the accessory at $HOST:$PORT; within an image that is 127.0.0.1 at
// the port that the accessory listens on itself, where its programs look for it.
type commands struct {
	keeping
	kind accessory.Kind
	says rollout.BackupCommands
}

// pipes has a line fail with any of its programs where the shell can do that: of a dump
// that is compressed the first counts, too.
const pipes = "(set -o pipefail) 2>/dev/null && set -o pipefail\n"

// mostChecked is how much of what a check writes is compared.
const mostChecked = 16 << 10

func (c commands) dump(ctx context.Context, b *world.Backup, into string) error {
	before, err := c.check(ctx, c.p)
	if err != nil {
		return err
	}
	if err := c.write(ctx, c.p, into); err != nil {
		return err
	}
	after, err := c.check(ctx, c.p)
	if b.Of = world.OfDump; before == after { // else the data changed meanwhile: nobody knows what it holds
		b.Checked = before
	}
	return err
}

// write has the accessory at p dumped into a file.
func (c commands) write(ctx context.Context, p accessory.Place, into string) error {
	f, err := os.OpenFile(into, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the file of the dump: %w", err)
	}
	defer f.Close()
	if err := c.tell(ctx, p, c.says.Dump, "backup.command", nil, f); err != nil {
		return err
	}
	if err := f.Chmod(0o600); err != nil { // a container opens its outputs for its users
		return fmt.Errorf("close the dump to others: %w", err)
	}
	st, err := f.Stat()
	if err == nil && st.Size() == 0 {
		return errors.New("backup.command wrote nothing to its standard output, which is the dump")
	}
	return err
}

// check returns what the check writes of the accessory at p; empty without one.
func (c commands) check(ctx context.Context, p accessory.Place) (string, error) {
	if c.says.Check == "" {
		return "", nil
	}
	fd, err := unix.MemfdCreate("check", unix.MFD_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("make a file for what the check writes: %w", err)
	}
	f := os.NewFile(uintptr(fd), "check")
	defer f.Close()
	if err := c.tell(ctx, p, c.says.Check, "backup.check", nil, f); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, mostChecked+1))
	if len(text) > mostChecked {
		err = fmt.Errorf("backup.check writes more than %d bytes: let it count, or end it with | sha256sum", mostChecked)
	}
	return string(text), err
}

// tell runs a line beside the accessory at p.
func (c commands) tell(ctx context.Context, p accessory.Place, line, what string, in, out *os.File) error {
	home := filepath.Join(c.h.dir, "task")
	defer c.h.s.forgetDir(home)
	err := c.perform(ctx, job{what: what, name: "task", start: func(token string, o *outputs) (*process, func() string, error) {
		serves, err := c.kind.Serve(p)
		if err != nil {
			return nil, nil, err
		}
		argv := []string{"/bin/sh", "-c", pipes + line}
		env := slices.DeleteFunc(serves.Env, func(kv string) bool { return strings.HasPrefix(kv, "HOST=") }) // where it listens, if anything
		env = append(env, "HOST=127.0.0.1")
		if p.Spec.Image == "" {
			l := c.h.confined(accessory.Command{Argv: argv, Dir: serves.Dir, Env: env}, token)
			l.stdin, l.stdout = in, out
			return c.h.s.spawnAs(l, o, notRoot())
		}
		l, err := c.visitor(ctx, p, argv, env, token, home)
		if err != nil {
			return nil, nil, err
		}
		l.stdin, l.stdout = in, out
		return c.h.s.spawn(l, o)
	}}, nil)
	if err != nil {
		c.h.sweep(p.Spec)
	}
	return err
}

// visitor is the launch of a process of the accessory's image that reaches the
// accessory and is not it.
func (c commands) visitor(ctx context.Context, p accessory.Place, argv, env []string, token, home string) (launch, error) {
	to, err := netip.ParseAddrPort(p.Addr())
	if err != nil {
		return launch{}, fmt.Errorf("read where it listens: %w", err)
	}
	pl := c.h.imagePlace(p, c.h.key.Workload+"-task", token, home)
	pl.port, pl.fleet.Volumes = 0, nil
	l, err := c.h.s.launch(ctx, pl, argv, c.h.imageVars(pl, env))
	if err != nil {
		return launch{}, err
	}
	at := uint16(imagePort(pl.fleet))
	l.Image.Named = append(l.Image.Named, shim.Named{Name: c.h.key.Workload, At: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Ports: []uint16{at}, To: to})
	return l, nil
}

func (c commands) tries() error {
	if c.says.Restore == "" {
		return fmt.Errorf("nothing says how a backup of %s is restored: add backup: { restore: … } to it in titrate.yaml, and push", c.h.key.Workload)
	}
	return nil
}

func (c commands) try(ctx context.Context, b world.Backup) error {
	err := c.filled(ctx, b)
	c.h.s.forgetDir(c.second())
	return err
}

// compared says that the check of a backup was the same.
func compared(b world.Backup) string {
	if b.Checked == "" {
		return ""
	}
	return ", and its check says the same"
}

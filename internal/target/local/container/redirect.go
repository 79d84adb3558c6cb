package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"titrate/internal/engine"
	"titrate/internal/target/local/shim"
	"titrate/internal/target/local/within"
)

// network is the network of a container.
type network struct {
	*within.Line
	c *Container
}

// Redirect implements [shim.Network]. The first process may not change its network, and
// who asks may not enter it: so another container shares it for a moment, of which all
// is this program.
func (n network) Redirect(ctx context.Context, all []shim.Redirect) error {
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	own := n.c.spec
	me, err := mark()
	if err != nil {
		return fmt.Errorf("look at this process: %w", err)
	}
	con := engine.Container{
		Name: own.Name + "-names", Image: own.Image, NetworkOf: n.c.id,
		Labels:  map[string]string{engine.Label: own.Owner, engine.LabelShim: me, engine.LabelInstance: own.Labels[engine.LabelInstance]},
		Command: append(append([]string{programAt}, own.Init[1:]...), redirectAt, string(text)),
		Mounts:  []engine.Mount{{From: own.Init[0], To: programAt, ReadOnly: true}}, Unlabelled: own.Unlabelled,
	}
	id, err := n.c.engine.Launch(ctx, con)
	if err != nil {
		return fmt.Errorf("lead connections of the container: %w", err)
	}
	defer n.c.removeOne(id)
	ctx, cancel := context.WithTimeout(ctx, acceptMost)
	defer cancel()
	st, err := n.c.engine.Wait(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("lead connections of the container: %w", err)
	case st.Exit != 0:
		return fmt.Errorf("lead connections of the container (nf_tables): %w", unix.Errno(st.Exit))
	}
	return nil
}

// lead makes the redirects that text lists in this process's network, and returns the
// status with which the process ends: the kernel's error.
func lead(text string) int {
	var all []shim.Redirect
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return int(unix.EINVAL)
	}
	err := within.Redirect(all)
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return int(errno)
	}
	if err != nil {
		return int(unix.EPROTO)
	}
	return 0
}

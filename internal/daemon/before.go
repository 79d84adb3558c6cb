package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/target/local"
	"titrate/internal/world"
)

// before is the nodes that leave, as the one that comes after them knows them: they have
// connections, and counts, until these have ended.
type before struct {
	m *machine

	mu    sync.Mutex
	nodes map[string]*node.Before // by socket
	read  map[string]uint64       // cursor of the last window that was taken over
	fails map[string]int          // in a row
}

// leavingSockets are those of all nodes that leave or did, in the order in which they began.
func (f folder) leavingSockets() []string {
	paths, _ := filepath.Glob(f.at("node", "*.old")) // the pattern is ours
	began := map[string]int64{}
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			began[p] = info.ModTime().UnixNano()
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(began[a], began[b]) })
	return paths
}

// find takes over what all that leave have counted. The last one's windows keep their
// cursors: the server has read them up to somewhere.
func (b *before) find(ctx context.Context, dir folder, token string) {
	paths := dir.leavingSockets()
	b.mu.Lock()
	b.nodes, b.read = map[string]*node.Before{}, map[string]uint64{}
	b.fails = map[string]int{}
	for _, path := range paths {
		b.nodes[path] = node.NewBefore(path, token)
	}
	b.mu.Unlock()
	for _, path := range slices.Backward(paths) {
		adopted := false
		b.ask(path, func(n *node.Before) error {
			ws, err := n.Rest(ctx, 0)
			if err == nil {
				b.m.gateway.AdoptWindows(ws)
				b.note(path, ws)
				adopted = true
			}
			return err
		})
		if adopted {
			break
		}
	}
	b.takeRest(ctx)
}

// note keeps up to where the windows of a node have been read.
func (b *before) note(path string, ws []world.VersionWindow) {
	if len(ws) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read[path] = ws[len(ws)-1].Cursor
}

// each calls do for every node.
func (b *before) each(do func(path string, n *node.Before) error) {
	b.mu.Lock()
	paths := slices.Collect(maps.Keys(b.nodes))
	b.mu.Unlock()
	for _, path := range paths {
		b.ask(path, func(n *node.Before) error { return do(path, n) })
	}
}

// ask calls do for one node, and forgets it if it has ended.
func (b *before) ask(path string, do func(n *node.Before) error) {
	b.mu.Lock()
	n := b.nodes[path]
	b.mu.Unlock()
	if n == nil {
		return
	}
	err := do(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.fails, path)
		return
	}
	b.fails[path]++
	switch {
	case errors.Is(err, node.ErrLeft):
		_ = os.Remove(path)
		delete(b.nodes, path)
	case b.fails[path] >= unansweredMost:
		b.m.log.Error("a node that leaves does not answer, and is not asked any more", slog.String("socket", path), slog.Any("error", err))
		delete(b.nodes, path)
	}
}

// unansweredMost is how many questions in a row a node that leaves may leave unanswered:
// each makes this one wait.
const unansweredMost = 3

func (b *before) takeRest(ctx context.Context) {
	b.each(func(path string, n *node.Before) error {
		b.mu.Lock()
		after := b.read[path]
		b.mu.Unlock()
		ws, err := n.Rest(ctx, after)
		if err == nil {
			b.m.gateway.AddWindows(ws)
			b.note(path, ws)
		}
		return err
	})
}

// relieve tells them that this node accepts.
func (b *before) relieve(ctx context.Context) {
	b.each(func(_ string, n *node.Before) error { return n.Relieve(ctx) })
}

// follow has them route by w: nothing is drawn any more that is about to end.
func (b *before) follow(ctx context.Context, w world.Wanted) {
	b.each(func(_ string, n *node.Before) error { return n.Follow(ctx, w) })
}

// ready tells them what may be drawn of a version of a service.
func (b *before) ready(ctx context.Context, k rollout.Key, v rollout.Version, ready []local.Endpoint) {
	if !b.any() || len(ready) > 0 && ready[0].Callee != nil {
		return
	}
	r := node.Ready{Key: k, Version: v, Instances: map[string]string{}}
	for _, e := range ready {
		r.Instances[e.Instance] = e.Addr
	}
	b.each(func(_ string, n *node.Before) error { return n.SetReady(ctx, r) })
}

// open is what is open at all of them.
func (b *before) open(ctx context.Context) (all []node.OpenAt) {
	b.each(func(_ string, n *node.Before) error {
		open, err := n.Open(ctx)
		all = append(all, open...)
		return err
	})
	return all
}

// openAt is how much of it is at an address.
func (b *before) openAt(addr string) (n int) {
	for _, o := range b.open(context.Background()) {
		if o.Addr == addr {
			n += o.Open
		}
	}
	return n
}

// restEvery is how often it is looked what they have counted.
const restEvery = 250 * time.Millisecond

// run takes over what they count, until ctx ends or none is left.
func (b *before) run(ctx context.Context) error {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	for b.any() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			b.takeRest(ctx)
		}
	}
	return nil
}

// awaitEnd returns when all of them have ended, or after a while.
func (b *before) awaitEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endsIn)
	defer cancel()
	_ = b.run(ctx)
}

// endsIn is how long those that leave may take once nothing is served any more.
const endsIn = 5 * time.Second

func (b *before) any() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.nodes) > 0
}

package daemon

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// leaving is a node's end when the next one takes over: the sockets are the next one's
// already, and so is supervising, but until that one accepts this one does.
type leaving struct {
	m     *machine
	once  sync.Once
	begun atomic.Bool   // the sockets were handed over
	met   atomic.Bool   // the next one knows of this one
	read  atomic.Uint64 // cursor of the last window that it has
}

// leavingSocket is where the next node finds this process: a name no longer than that of
// nodeSocket, because a socket's path has little room.
func (f folder) leavingSocket() string {
	return f.at("node", strconv.FormatInt(int64(os.Getpid()), 36)+".old")
}

func (l *leaving) Relieve() { l.met.Store(true); l.m.gateway.Relieve() }

// Follow goes on with its own functions as they were: those of the next node cannot be
// called from here, and these end with this one.
func (l *leaving) Follow(w world.Wanted) {
	l.met.Store(true)
	was := l.had()
	w.Workloads = slices.DeleteFunc(slices.Clone(w.Workloads), func(one world.Workload) bool {
		_, ok := was[one.Key]
		return !ok && isFunction(one)
	})
	for i, one := range w.Workloads {
		if isFunction(one) {
			w.Workloads[i] = was[one.Key]
		}
	}
	_ = l.m.gateway.Apply(gateway.TableOf(w)) // a stale one is behind what is served
}

// had is the workloads of the last world that this node took.
func (l *leaving) had() map[rollout.Key]world.Workload {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	was := map[rollout.Key]world.Workload{}
	for _, one := range l.m.wanted.Workloads {
		was[one.Key] = one
	}
	return was
}

func isFunction(w world.Workload) bool {
	return slices.ContainsFunc(w.Fleets, func(f world.Fleet) bool { return f.Function != nil })
}

func (l *leaving) SetReady(r node.Ready) {
	l.met.Store(true)
	if isFunction(l.had()[r.Key]) {
		return
	}
	var ready []gateway.Endpoint
	for id, addr := range r.Instances {
		ready = append(ready, gateway.Endpoint{ID: id, Addr: addr})
	}
	l.m.gateway.SetInstances(r.Key, r.Version, ready)
}

func (l *leaving) Open() []node.OpenAt {
	l.met.Store(true)
	var out []node.OpenAt
	for _, o := range l.m.gateway.OpenAll() {
		out = append(out, node.OpenAt{Key: o.Key, Version: o.Version, Addr: o.Addr, Open: o.Open})
	}
	return out
}

func (l *leaving) Rest(after uint64) []world.VersionWindow {
	l.met.Store(true)
	l.read.Store(after)
	return l.after(after)
}

func (l *leaving) after(cursor uint64) []world.VersionWindow {
	now, cancel := context.WithCancel(context.Background())
	cancel() // what has closed, without waiting for more
	return l.m.gateway.Windows(now, cursor)
}

// restIn is how long a node that has nothing more to do waits for the next one to fetch
// what it counted last.
const restIn = 3 * time.Second

// awaitRead returns when the next node has all that was counted, or does not come for it.
func (l *leaving) awaitRead() {
	over := time.NewTimer(restIn)
	defer over.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for l.begun.Load() && len(l.after(l.read.Load())) > 0 {
		select {
		case <-over.C:
			return
		case <-tick.C:
		}
	}
}

// unmetIn is how long a node that serves may take to relieve this one, where it has never
// asked it anything: a program of before this protocol does not know how.
const unmetIn = time.Second

// watch relieves the gateway where nobody else will, and ends everything by leave when
// nothing is up any more that would.
func (l *leaving) watch(ctx context.Context, dir folder, next *node.Client, leave func()) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var answers time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Stat(dir.running()); os.IsNotExist(err) && !keeper.Held(string(dir)) {
			leave()
			return
		}
		if closed(l.m.gateway.Closed()) {
			tick.Reset(time.Second)
			continue
		}
		if l.met.Load() {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, time.Second)
		_, err := next.Served(asking)
		cancel()
		switch {
		case err != nil:
			answers = time.Time{}
		case answers.IsZero():
			answers = time.Now()
		case time.Since(answers) > unmetIn:
			l.m.gateway.Relieve()
		}
	}
}

// closed reports whether a channel that is only ever closed is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// settle lets functions end when nothing calls them any more, which may be long before the
// last stream has ended.
func (l *leaving) settle(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !l.m.gateway.Settled() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	l.m.nothingDrawn()
}

// begin gives all but the gateway to the next node. A node that does not serve yet leaves
// as a whole.
func (l *leaving) begin(ctx context.Context, parts *parts, dir folder, token string, handOver, leave func()) {
	if !closed(l.m.gateway.Serving()) {
		leave()
		return
	}
	l.once.Do(func() {
		// Before the next one can look for it, which waits for this one's lock.
		on, err := listenUnix(ctx, dir.leavingSocket())
		if err != nil {
			l.m.log.Error("the next node cannot be waited for", slog.Any("error", err))
			leave()
			return
		}
		l.begun.Store(true)
		l.m.taking.Lock()
		l.m.handedOver = true
		l.m.taking.Unlock()
		parts.start(ctx, "word to the next node", func(ctx context.Context) error {
			return serveHTTP(ctx, on, node.NewLeavingHandler(l, token))
		})
		parts.start(ctx, "relief by the next node", func(ctx context.Context) error {
			l.watch(ctx, dir, node.NewClient(dir.nodeSocket(), token), leave)
			return nil
		})
		parts.start(ctx, "functions' end", func(ctx context.Context) error {
			l.settle(ctx)
			return nil
		})
		handOver()
	})
}

package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

// intake turns accepted pushes into releases, one of an app after the other.
type intake struct {
	arrived chan struct{}

	mu      sync.Mutex
	running map[string]bool   // by app
	courses map[int64]*course // by push
}

// course is a push under way, with those who want to hear how it gets on.
type course struct {
	lines lines
	done  chan struct{} // closed when got and err are there
	got   Delivered
	err   error
}

func newIntake() *intake {
	return &intake{arrived: make(chan struct{}, 1), running: map[string]bool{}, courses: map[int64]*course{}}
}

// course returns the course of a push, made if it is not there.
func (i *intake) course(id int64) *course {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.courses[id] == nil {
		i.courses[id] = &course{done: make(chan struct{})}
	}
	return i.courses[id]
}

func (i *intake) forget(id int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.courses, id)
}

// Push accepts a push: once it is stored it will be built and delivered, even if
// the server dies on the way. Lines for the person who pushed go to progress as
// they come. When ctx ends the push goes on without its listener. A push that is
// under way already is joined, not begun again, unless it has become urgent.
func (c *Controller) Push(ctx context.Context, p rollout.Push, progress io.Writer) (Delivered, error) {
	if c.Builder == nil {
		return Delivered{}, problem(Unavailable, "", "this server builds nothing")
	}
	course, err := c.accept(ctx, p)
	if err != nil {
		return Delivered{}, err
	}
	defer course.lines.attach(progress)()
	wake(c.intake.arrived)
	select {
	case <-course.done:
		return course.got, course.err
	case <-ctx.Done():
		return Delivered{}, fmt.Errorf("the push goes on: %w", ctx.Err())
	}
}

// accept stores a push and returns its course. Who accepts has to wake the intake.
func (c *Controller) accept(ctx context.Context, p rollout.Push) (*course, error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	for _, open := range c.memory.pushes {
		if open.App == p.App && open.Repo == p.Repo && open.Commit == p.Commit && open.Branch == p.Branch && slices.Equal(open.Envs, p.Envs) && (open.Urgent || !p.Urgent) {
			return c.intake.course(open.ID), nil
		}
	}
	p.ID, p.At, p.Stage = c.memory.push+1, c.now(), rollout.PushAccepted
	if err := c.commit(ctx, pushed(p)); err != nil {
		return nil, fmt.Errorf("store the push: %w", err)
	}
	return c.intake.course(p.ID), nil
}

// pushed is the change that stores how far a push has come.
func pushed(p rollout.Push) rollout.Change {
	at := p.At
	if !p.Ended.IsZero() {
		at = p.Ended
	}
	short := p
	short.Manifest = nil
	return rollout.Change{At: at, Pushes: []rollout.Push{p}, Events: []rollout.Event{{
		At: at, Kind: rollout.EventPush, App: p.App, Release: p.Release, Data: encode(short),
	}}}
}

// intakeLoop works on accepted pushes, those of an earlier life first.
func (c *Controller) intakeLoop(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	ended := make(chan string)
	for {
		for _, p := range c.due() {
			workers.Go(func() {
				c.process(ctx, p)
				select {
				case ended <- p.App:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.intake.arrived:
		case app := <-ended:
			c.intake.mu.Lock()
			delete(c.intake.running, app)
			c.intake.mu.Unlock()
		}
	}
}

// due returns the oldest push of each app that has none under way, and marks them.
func (c *Controller) due() []rollout.Push {
	c.mu.RLock()
	pushes := slices.Clone(c.memory.pushes)
	c.mu.RUnlock()
	c.intake.mu.Lock()
	defer c.intake.mu.Unlock()
	return slices.DeleteFunc(pushes, func(p rollout.Push) bool {
		taken := c.Builder == nil || c.intake.running[p.App]
		c.intake.running[p.App] = c.intake.running[p.App] || !taken
		return taken
	})
}

// process builds and delivers one push, and stores how it ended.
func (c *Controller) process(ctx context.Context, p rollout.Push) {
	course := c.intake.course(p.ID)
	got, err := c.deliver(ctx, &p, &course.lines)
	if err != nil && ctx.Err() != nil {
		return // the server ends: the push is taken up again at the next start
	}
	p.Ended, p.Stage, p.Release = c.now(), rollout.PushDelivered, got.Release
	if err != nil {
		p.Stage, p.Problem = rollout.PushFailed, err.Error()
		c.Log.Warn("a push moved nothing", slog.String("app", p.App), slog.String("commit", p.Commit), slog.Any("error", err))
	}
	if c.keep(ctx, p, &course.lines) != nil {
		return // as above
	}
	c.intake.forget(p.ID)
	course.got, course.err = got, err
	close(course.done)
}

// The back-off of a push whose course cannot be stored.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// keep stores how far a push has come. It tries until it can or ctx ends, and no
// other push of the app is taken up meanwhile: one that is not known to have ended
// would be built and delivered again.
func (c *Controller) keep(ctx context.Context, p rollout.Push, progress io.Writer) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := c.store(ctx, pushed(p))
		if err == nil {
			return nil
		}
		if final(err) {
			return err // another controller is in charge: it knows the push
		}
		if ctx.Err() == nil {
			c.Log.Error("the course of a push is not stored", slog.Int64("push", p.ID), slog.String("app", p.App), slog.Any("error", err))
		}
		if wait == firstRetry {
			fmt.Fprintf(progress, "note    this cannot be stored, and is tried again: %v\n", err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

func (c *Controller) store(ctx context.Context, ch rollout.Change) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	return c.commit(ctx, ch)
}

// deliver takes a push through its stages.
func (c *Controller) deliver(ctx context.Context, p *rollout.Push, progress io.Writer) (Delivered, error) {
	d, base, err := c.gather(ctx, *p)
	if err != nil {
		return Delivered{}, err
	}
	envs, err := d.building()
	if err != nil {
		return Delivered{}, err
	}
	logins, err := c.logins(ctx, d.App, envs)
	if err != nil {
		return Delivered{}, err
	}
	p.Stage = rollout.PushBuilding
	if err := c.keep(ctx, *p, progress); err != nil {
		return Delivered{}, fmt.Errorf("store the push: %w", err)
	}
	parts := d.parts(services(envs), base)
	for _, w := range parts.waiting {
		fmt.Fprintf(progress, "note    %s waits for its repository: git push …/git/%s.git\n", w.Name, repoOf(d.App.Name, w))
		d.App = without(d.App, w.Name)
	}
	d.Artifact = parts.kept
	for _, repo := range sortedKeys(parts.build) {
		built, err := c.Builder.Build(ctx, BuildRequest{
			App: d.App.Name, Repo: repo, Commit: d.commitOf(repo), Push: p.ID, Services: parts.build[repo], Logins: logins, Progress: progress,
		})
		switch {
		case errors.Is(err, ErrBuild):
			return Delivered{}, &Problem{Kind: BuildFailed, Message: err.Error(), Hint: "titrate logs --build " + d.App.Name}
		case err != nil:
			return Delivered{}, fmt.Errorf("build %s: %w", d.commitOf(repo), err)
		}
		maps.Copy(d.Artifact, built)
	}
	if err := c.accessoryImages(ctx, *p, d, envs, logins, progress); err != nil {
		return Delivered{}, err
	}
	return c.Deliver(ctx, d)
}

// building returns the environments that have to be built for: those that take the
// delivery, or the manual ones when it only makes a release for them.
func (d Delivery) building() ([]manifest.Environment, error) {
	envs, err := d.environments()
	if err != nil {
		return nil, err
	}
	if len(envs) == 0 {
		for _, e := range d.App.Environments {
			if e.Deploy.Manual && d.Default {
				envs = append(envs, e)
			}
		}
	}
	if len(envs) == 0 {
		return nil, problem(Invalid, "deploy: "+d.Branch+" under an environment in titrate.yaml", "no environment of %s takes branch %s", d.App.Name, d.Branch)
	}
	return envs, nil
}

// services returns what has to be built for environments.
func services(envs []manifest.Environment) []manifest.Service {
	var services []manifest.Service
	named := map[string]bool{}
	for _, e := range envs {
		for _, s := range e.Services {
			if !named[s.Name] {
				named[s.Name] = true
				services = append(services, s)
			}
		}
	}
	return services
}

// lines passes what is written on to all who listen, until they leave.
type lines struct {
	mu sync.Mutex
	to []*listener
}

type listener struct{ io.Writer }

// attach adds a listener, and returns what makes it leave.
func (l *lines) attach(w io.Writer) (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := &listener{w}
	l.to = append(l.to, mine)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.to = slices.DeleteFunc(l.to, func(o *listener) bool { return o == mine })
	}
}

// Write never fails: a listener who is gone must not end a build.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.to {
		_, _ = w.Write(b)
	}
	return len(b), nil
}

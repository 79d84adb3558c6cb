package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) statusCommand() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "status [APP[/WORKLOAD][@r42|@v17]]", Short: "what runs where, at which weight, and why", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				if err := s.status(cmd.Context(), c, args, watch); err != nil || !watch {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return exit(exitInterrupt)
				case <-tick.C:
				}
				if s.live(s.Out) && !s.forPrograms() {
					fmt.Fprint(s.Out, "\x1b[H\x1b[2J")
				}
			}
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "again every second")
	return c
}

func (s *session) status(ctx context.Context, c *client.Client, args []string, again bool) error {
	apps, err := s.shown(ctx, c, args)
	if err != nil {
		return err
	}
	server, err := c.Server(ctx)
	if err != nil {
		return err
	}
	if again && s.forPrograms() {
		return s.emitLine(apps)
	}
	return s.emit(apps, func(w io.Writer) {
		if server.Node != "up" {
			fmt.Fprintln(w, "✖ the node does not answer: it has the gateway, so requests wait for it, and nothing is measured; titrate server doctor says why")
		}
		drawEngine(w, "", server.Engine)
		for _, line := range server.Confinement {
			fmt.Fprintf(w, "▲ %s\n", line)
		}
		if len(apps) == 0 {
			fmt.Fprintln(w, s.typed("No app yet. titrate init in your app's folder, then git push titrate HEAD; or titrate demo to see one."))
		}
		for _, a := range apps {
			drawApp(w, a, s.wide())
		}
	})
}

// shown are the apps that args and --env mean, with what they mean of them.
func (s *session) shown(ctx context.Context, c *client.Client, args []string) ([]client.App, error) {
	if len(args) == 0 && s.app == "" {
		all, err := c.Apps(ctx)
		if err != nil || s.env == "" {
			return all, err
		}
		var names []string
		apps := []client.App{}
		for _, a := range all {
			names = append(names, environments(a)...)
			if slices.Contains(environments(a), s.env) {
				apps = append(apps, part(a, s.env, target{}))
			}
		}
		if len(apps) == 0 {
			slices.Sort(names)
			return nil, usage("no app has an environment %s\n  saw     %s", s.env, listed(slices.Compact(names)))
		}
		return apps, nil
	}
	t, err := s.target(ctx, c, args)
	switch {
	case err != nil:
		return nil, err
	case t.rollout != 0:
		return nil, usage("status is of an app\n  help    titrate rollout status %d shows a rollout", t.rollout)
	}
	if err := s.known(ctx, c, t); err != nil {
		return nil, err
	}
	a, err := c.App(ctx, t.app)
	return []client.App{part(a, s.env, t)}, err
}

// part is of an app what is in env and what t names of it; empty names are all.
func part(a client.App, env string, t target) client.App {
	envs := a.Environments
	a.Environments = []client.Environment{}
	for _, e := range envs {
		if env != "" && e.Name != env {
			continue
		}
		of := client.Environment{Name: e.Name, Workloads: []client.Workload{}}
		if t.workload == "" {
			of.Accessories = e.Accessories
		}
		for _, w := range e.Workloads {
			if t.workload == "" || w.Name == t.workload {
				w.Versions = slices.DeleteFunc(slices.Clone(w.Versions), func(v client.Version) bool {
					return t.version != 0 && v.Version != t.version || t.release != 0 && v.Release != t.release
				})
				of.Workloads = append(of.Workloads, w)
			}
		}
		a.Environments = append(a.Environments, of)
	}
	return a
}

func drawApp(w io.Writer, a client.App, wide bool) {
	for _, p := range a.Pushes {
		switch p.Stage {
		case "failed":
			fmt.Fprintf(w, "%s  push %.7s failed %s ago: %s\n", a.Name, p.Commit, span(time.Since(p.At)), firstLine(p.Problem))
		default:
			fmt.Fprintf(w, "%s  push %.7s  %s for %s\n", a.Name, p.Commit, p.Stage, span(time.Since(p.At)))
		}
	}
	for _, e := range a.Environments {
		fmt.Fprintf(w, "%s  %s  r%d %.7s\n", a.Name, e.Name, a.Release, a.Commit)
		for _, same := range fold(e.Workloads, alike) {
			if len(same) > 1 && !wide {
				drawAlike(w, e.Name, same)
				continue
			}
			for _, wl := range same {
				drawWorkload(w, e.Name, wl)
				if wide {
					drawInstances(w, wl)
				}
			}
		}
		for _, x := range e.Accessories {
			drawAccessory(w, x)
		}
	}
	if len(a.Environments) == 0 {
		fmt.Fprintf(w, "%s  nothing runs yet\n", a.Name)
	}
}

func drawWorkload(w io.Writer, env string, wl client.Workload) {
	facts := []string{glyph(wl.Health) + " " + wl.Health}
	if wl.Outcome != "" {
		facts = append(facts, glyph(wl.Outcome)+" "+wl.Outcome)
	}
	facts = append(facts, wl.Sync)
	fmt.Fprintf(w, "├─ %s  %s  %s\n", wl.Name, strings.Join(facts, " · "), strings.Join(wl.URLs, " "))
	if wl.Why != "" {
		fmt.Fprintf(w, "│  %s %s\n", glyph(wl.Health), wl.Why)
	}
	for _, v := range wl.Versions {
		version := "v" + strconv.Itoa(v.Version)
		if v.Version == 0 {
			version = "each" // of workloads that are told of as one
		}
		fmt.Fprintf(w, "│  %-5s r%-3d %.7s  %-9s %7s  %d/%d ready", version, v.Release, v.Commit, v.Role, percent(v.Served), v.Ready, v.Wanted)
		if v.Served != v.Asked {
			fmt.Fprintf(w, "  (asked %s)", percent(v.Asked))
		}
		if v.Restarts > 0 {
			fmt.Fprintf(w, "  %d %s", v.Restarts, plural("restart", v.Restarts))
		}
		if v.RPS > 0 {
			fmt.Fprintf(w, "  %.1f rps  %.2f %% errors  p99 %.0f ms", v.RPS, v.Errors, v.P99)
		}
		drawShield(w, v)
		fmt.Fprintln(w)
	}
	for _, i := range wl.Instances {
		if i.Why == "" && i.Last != "" {
			fmt.Fprintf(w, "│  %s %s was started again (%d %s): it %s\n", glyph(i.State), i.ID, i.Restarts, plural("restart", i.Restarts), i.Last)
		}
		if i.Why != "" {
			fmt.Fprintf(w, "│  %s %s %s: %s\n", glyph(i.State), i.ID, i.State, strings.ReplaceAll(i.Why, "\n", "\n│      "))
		}
	}
	if wl.Orphaned != 0 {
		fmt.Fprintf(w, "│  ▲ to end it: titrate deploy --remove %s --env %s\n", wl.Name, env)
	}
	if r := wl.Rollout; r != nil && !r.Over() {
		fmt.Fprintf(w, "│  ▸ #%d %s  %s\n", r.ID, percent(r.Weight), progress(*r, time.Now()))
	}
}

// drawInstances lists every instance, not those alone that something is the matter with.
func drawInstances(w io.Writer, wl client.Workload) {
	rows := [][]string{{"│  instance", "version", "state", "since", "restarts", "pid", "address"}}
	for _, i := range wl.Instances {
		pid := ""
		if i.PID != 0 {
			pid = strconv.Itoa(i.PID)
		}
		rows = append(rows, []string{"│  " + i.ID, "v" + strconv.Itoa(i.Version), i.State, span(time.Since(i.Since)), strconv.Itoa(i.Restarts), pid, i.Addr})
	}
	if len(wl.Instances) > 0 {
		table(w, rows)
	}
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

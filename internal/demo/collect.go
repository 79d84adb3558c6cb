package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/client"
	"titrate/examples/collect"
	"titrate/examples/collect/load"
)

// Collect is the name of the app of functions, for `titrate demo --app`.
const Collect = "collect"

const (
	collectHost = "collect.localhost"
	collectRate = 20 // requests a second: each pickup becomes about fifteen events
	// patience is how long pickups may take to come to their ends once the load is over:
	// a message whose call was cut off comes back after its visibility timeout.
	patience = 2 * time.Minute
	// collectLimit is how long the demo may take.
	collectLimit = 10 * time.Minute
)

// CollectResult is what was measured of the functions.
type CollectResult struct {
	App       string       `json:"app"`
	OK        bool         `json:"ok"`
	Problems  []string     `json:"problems,omitempty"` // what was not as it must be
	Functions int          `json:"functions"`
	Acts      []ActResult  `json:"releases"`
	Back      int          `json:"back"` // functions that have all their events at the good version after the bad release
	Load      *load.Report `json:"-"`
	Requests  int          `json:"requests"`
	Failed    int          `json:"failed"`
	P50       float64      `json:"p50_ms"`
	P99       float64      `json:"p99_ms"`
	Ledger    load.Verdict `json:"ledger"`
	Took      float64      `json:"seconds"`
}

// collectAct is one push of the story of the functions.
type collectAct struct {
	variant collect.Variant
	title   string
	expect  string // promoted, or rolled-back
}

// collectActs are the story: a good release of all functions, and a bad one undone.
func collectActs() []collectAct {
	return []collectAct{
		{collect.V1, "the service begins", "promoted"},
		{collect.V2, "takes pianos: all functions change", "promoted"},
		{collect.V3, "one leaks memory, one hangs, one throws", "rolled-back"},
	}
}

// RunCollect plays the story of the functions. The error says that it could not be played;
// how it went is in the result.
func RunCollect(ctx context.Context, cfg Config) (*CollectResult, error) {
	if !hasTool(cfg.Env, "go") {
		return nil, fmt.Errorf("play the functions: they are compiled, and there is no go in PATH\n  help    install Go, or play the services: titrate demo")
	}
	c := &collectDemo{
		Config: cfg, say: teller{out: cfg.Out, live: cfg.Live}, res: &CollectResult{App: Collect},
		options: collect.Options{Quick: true, Node: hasTool(cfg.Env, "node"), Python: hasTool(cfg.Env, "python3")},
	}
	if c.Rate == 0 {
		c.Rate = collectRate
	}
	c.say.line("Titrate demo: sixty-four functions are released as one, and a bad release goes back as one.")
	c.say.line("A bulky-item collection service under %g requests/s; %d releases.", c.Rate, len(collectActs()))
	began := time.Now()
	err := stage(ctx, cfg, Collect, collectLimit, func(within context.Context, p *Platform) error {
		c.platform, c.client = p, p.Client
		if err := c.play(within); err != nil {
			return err
		}
		c.res.Took = time.Since(began).Seconds()
		c.conclude()
		if cfg.Stay != nil {
			cfg.Stay(ctx, &Result{Acts: c.res.Acts, URL: p.API, Data: p.Data()})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.res, nil
}

// collectDemo is one run.
type collectDemo struct {
	Config
	platform *Platform
	client   *client.Client
	say      teller
	res      *CollectResult
	options  collect.Options
	good     map[string]int // version of each function after the good release
	stop     func() (*load.Report, error)
}

func (c *collectDemo) problem(format string, args ...any) {
	if len(c.res.Problems) < 20 {
		c.res.Problems = append(c.res.Problems, fmt.Sprintf(format, args...))
	}
}

// play does the acts one after the other under load, and has everything added up.
func (c *collectDemo) play(ctx context.Context) error {
	if err := c.platform.Repository(ctx); err != nil {
		return err
	}
	for i, act := range collectActs() {
		if err := c.act(ctx, i+1, act); err != nil {
			return err
		}
		if i == 0 {
			if len(c.res.Problems) > 0 {
				return fmt.Errorf("the first release: %s", c.res.Problems[0])
			}
			c.stop = c.startLoad(ctx)
		}
	}
	if err := c.earlier(ctx); err != nil {
		return err
	}
	if err := c.back(ctx); err != nil {
		return err
	}
	return c.settle(ctx)
}

// act pushes a variant and follows it until it is over, or has all events and bakes: of
// functions that are seldom called that may last for a week (R11), which the next push
// ends (R3).
func (c *collectDemo) act(ctx context.Context, n int, act collectAct) error {
	c.say.line("▸ git push titrate   r%d   %s", n, act.title)
	began := time.Now()
	if err := collect.Write(c.platform.Work(), act.variant, c.options); err != nil {
		return err
	}
	commit, err := c.platform.Commit(ctx, act.variant.Subject())
	if err != nil {
		return err
	}
	said, err := c.platform.Push(ctx)
	if err != nil {
		return err
	}
	c.built(said)
	out := ActResult{Release: n, Commit: commit, Title: act.title, Push: time.Since(began).Seconds()}
	r, err := c.follow(ctx, n)
	if err != nil {
		return err
	}
	out.Rollout, out.Outcome, out.Why, out.Version = r.ID, r.Outcome, r.Why, candidate(r)
	out.Seconds = r.Since.Sub(r.Opened).Seconds()
	if r.Evidence != nil {
		out.Alarm = r.Evidence.Name
		back, err := BreachToZero(ctx, c.client, r)
		if err != nil {
			return err
		}
		out.BreachToZero = back.Seconds()
	}
	if !r.Over() {
		out.Outcome = "promoted" // so far: earlier looks again
	}
	c.res.Acts = append(c.res.Acts, out)
	c.expect(act, out, r)
	if out.Outcome == "promoted" {
		c.good, err = c.live(ctx)
	}
	return err
}

// built says how many builds there were, and how long the longest took: sixty-four lines
// would say the same.
func (c *collectDemo) built(said []string) {
	n, longest := 0, 0.0
	for _, line := range said {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "build" {
			continue
		}
		n++
		var more int
		if i := strings.Index(line, "and "); i > 0 {
			if _, err := fmt.Sscanf(line[i:], "and %d more", &more); err == nil {
				n += more
			}
		}
		if s, err := strconv.ParseFloat(f[2], 64); err == nil {
			longest = max(longest, s)
		}
	}
	c.say.line("  build  %d workloads, %.1f s", n, longest)
}

func (c *collectDemo) expect(act collectAct, got ActResult, r client.Rollout) {
	switch {
	case got.Outcome != act.expect:
		c.problem("r%d ended %s, not %s: %s", got.Release, got.Outcome, act.expect, got.Why)
	case got.Outcome == "rolled-back" && got.Alarm == "":
		c.problem("r%d was rolled back by no alarm: %s", got.Release, got.Why)
	case got.Outcome == "rolled-back" && !slices.Contains([]string{"on-quote", "on-hold", "notify-email"}, r.Evidence.Workload):
		c.problem("r%d was rolled back by an alarm of %s, which it does not break: %s", got.Release, r.Evidence.Workload, got.Why)
	case got.Outcome == "rolled-back" && got.BreachToZero > 5:
		c.problem("r%d: %.1f s from the breach to 0 %%, more than 5 s", got.Release, got.BreachToZero)
	}
	switch {
	case !r.Over():
		c.say.line("  ✔ r%d has all events after %.1f s; %s\n", got.Release, got.Seconds, r.Wait.For)
	case got.Outcome == "promoted":
		c.say.line("  ✔ r%d promoted after %.1f s: %d workloads\n", got.Release, got.Seconds, len(r.Members))
	case r.Evidence != nil:
		c.say.line("  ✖ alarm %s of %s: %s", r.Evidence.Name, r.Evidence.Workload, r.Evidence.Text)
		c.say.line("  ↩ %d candidates → 0 %% after %.2f s. The release is refused.\n", len(r.Members), got.BreachToZero)
	default:
		c.say.line("  ✖ r%d %s: %s\n", got.Release, got.Outcome, firstLines(got.Why, 6))
	}
}

// follow shows the rollout of the group until it is over, or bakes at 100 %.
func (c *collectDemo) follow(ctx context.Context, release int) (client.Rollout, error) {
	var group client.Rollout
	err := poll(ctx, lookEvery, func() (bool, error) {
		rs, err := c.client.Rollouts(ctx, client.RolloutQuery{App: Collect, Release: release})
		if err != nil || len(rs) == 0 {
			return false, err
		}
		group = slices.MaxFunc(rs, func(a, b client.Rollout) int { return len(a.Members) - len(b.Members) })
		c.say.rollout(group, nil)
		over := !slices.ContainsFunc(rs, func(r client.Rollout) bool { return !r.Over() })
		return over || group.Phase == "baking" && group.Weight == 100, nil
	})
	if err != nil {
		return group, fmt.Errorf("follow r%d (%s at %g %%: %s): %w", release, group.Phase, group.Weight, group.Why, err)
	}
	c.say.end()
	return group, nil
}

// earlier looks again at the rollouts that were not over when the next one was pushed.
func (c *collectDemo) earlier(ctx context.Context) error {
	for i, a := range c.res.Acts {
		r, err := c.client.Rollout(ctx, a.Rollout)
		if err != nil {
			return fmt.Errorf("look at r%d again: %w", a.Release, err)
		}
		c.res.Acts[i].Outcome = r.Outcome
		if want := collectActs()[i].expect; r.Outcome != want && a.Outcome == want {
			c.problem("r%d ended %s, not %s: %s", a.Release, r.Outcome, want, r.Why)
		}
	}
	return nil
}

// live is the version that has all events of each function.
func (c *collectDemo) live(ctx context.Context) (map[string]int, error) {
	fs, err := c.client.Functions(ctx, Collect, "production")
	if err != nil {
		return nil, fmt.Errorf("list the functions: %w", err)
	}
	c.res.Functions = len(fs)
	live := map[string]int{}
	for _, f := range fs {
		for _, v := range f.Versions {
			if v.Weight >= 100 {
				live[f.Name] = v.Version
			}
		}
	}
	return live, nil
}

// back counts the functions that are at the good version again.
func (c *collectDemo) back(ctx context.Context) error {
	now, err := c.live(ctx)
	if err != nil {
		return err
	}
	for name, version := range c.good {
		if now[name] == version {
			c.res.Back++
		} else {
			c.problem("%s is at v%d after the rollback, not at v%d", name, now[name], version)
		}
	}
	if c.res.Functions != 64 || c.res.Back != 64 {
		c.problem("%d functions, %d of them back: not 64", c.res.Functions, c.res.Back)
	}
	return nil
}

// startLoad plays the customers until the function that it returns is called.
func (c *collectDemo) startLoad(ctx context.Context) func() (*load.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	var report *load.Report
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		report, err = load.Run(ctx, load.Config{URL: c.platform.Gateway, Host: collectHost, Rate: c.Rate})
	}()
	return func() (*load.Report, error) {
		cancel()
		<-done
		return report, err
	}
}

// settle ends the load, waits for every pickup's end, and goes through the book.
func (c *collectDemo) settle(ctx context.Context) error {
	report, err := c.stop()
	if err != nil {
		return fmt.Errorf("the load: %w", err)
	}
	r := c.res
	r.Load, r.Requests, r.Failed = report, report.Sent, report.Failed
	r.P50, r.P99 = float64(report.P50)/1e6, float64(report.P99)/1e6
	for _, f := range report.Failures {
		c.problem("%s failed with %d %s%s by %q at %s", f.Step, f.Status, f.Err, f.Body, f.Version, f.At.Format("15:04:05.000"))
	}
	if r.Ledger, err = load.Check(ctx, report, load.CheckConfig{URL: c.platform.Gateway, Host: collectHost, Fresh: true, Patience: patience}); err != nil {
		return fmt.Errorf("check the book: %w", err)
	}
	for _, p := range r.Ledger.Problems {
		c.problem("%s", p)
	}
	return nil
}

// conclude says what it all came to.
func (c *collectDemo) conclude() {
	r := c.res
	r.OK = len(r.Problems) == 0
	c.say.line("%d requests, p50 %.0f ms, p99 %.0f ms; %d failed.", r.Requests, r.P50, r.P99, r.Failed)
	l := r.Ledger
	c.say.line("Book: %d pickups: %d collected, %d failed, %d cancelled, %d open; %d entries, each of another request; %d came again.",
		l.Pickups, l.Collected, l.Failed, l.Cancelled, l.Open, l.Entries, l.Repeated)
	c.say.line("Money: quoted %d = captured %d + refunded %d + lapsed %d fils.", l.Quoted, l.Captured, l.Refunded, l.Lapsed)
	if r.OK {
		c.say.line("\nPassed: sixty-four functions reached 100 %% as one, and went back as one.")
		return
	}
	c.say.line("\nNot passed:")
	for _, p := range r.Problems {
		c.say.line("  ✖ %s", p)
	}
}

// hasTool reports whether programs with the environment env find a command.
func hasTool(env []string, name string) bool {
	for _, kv := range env {
		list, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return true
			}
		}
	}
	return false
}

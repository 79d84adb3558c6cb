// Package demo runs the whole product on the example app: real pushes, real
// builds, real processes, real load, in a temporary folder. What it prints it has
// measured; with Check it is the acceptance test.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"titrate/client"
	"titrate/examples/cofe"
	"titrate/examples/cofe/builtin"
	"titrate/examples/cofe/load"
	"titrate/internal/daemon"
)

// Config says how to run.
type Config struct {
	Program  string // path of the titrate binary
	Scenario Scenario
	Rate     float64 // requests a second; 0: 200
	Out      io.Writer
	Live     bool // Out is a terminal that may be redrawn
	Env      []string
	Stay     func(ctx context.Context, r *Result) // called at the end, before everything is removed; may be nil
}

// Result is what was measured.
type Result struct {
	Scenario string       `json:"scenario"`
	OK       bool         `json:"ok"`
	Problems []string     `json:"problems,omitempty"` // what was not as it must be
	Acts     []ActResult  `json:"releases"`
	Load     *load.Report `json:"-"`
	Requests int          `json:"requests"`
	Failed   int          `json:"failed"`        // answered badly, or not at all
	ByBad    int          `json:"failed_by_bad"` // of these: answers of a version that was refused
	Dropped  int          `json:"dropped"`       // of these: their request id is in no service's log
	P50      float64      `json:"p50_ms"`
	P99      float64      `json:"p99_ms"`
	Ledger   load.Verdict `json:"ledger"`
	Took     float64      `json:"seconds"`
	URL      string       `json:"-"`
	Data     string       `json:"-"`
}

// ActResult is what one push led to.
type ActResult struct {
	Release int     `json:"release"`
	Commit  string  `json:"commit"`
	Title   string  `json:"title"`
	Rollout int64   `json:"rollout"`
	Outcome string  `json:"outcome"`
	Why     string  `json:"why"`
	Alarm   string  `json:"alarm,omitempty"`
	Push    float64 `json:"push_seconds"`    // git push, with the build
	Seconds float64 `json:"rollout_seconds"` // from opened to its outcome
	// BreachToZero is from the end of the window that broke the alarm until the
	// gateway had acknowledged 0 %, in seconds.
	BreachToZero float64 `json:"breach_to_zero_seconds,omitempty"`
	Version      int     `json:"version"`
}

const defaultRate = 200

// limit is how long the demo may take; it says so when it takes longer.
const limit = 6 * time.Minute

// Run plays a scenario. The error says that it could not be played; how it went
// is in the result.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	d := &demo{Config: cfg, say: teller{out: cfg.Out, live: cfg.Live}, res: &Result{Scenario: cfg.Scenario.Name}, builtin: !hasTool(cfg.Env, "go")}
	if d.Rate == 0 {
		d.Rate = defaultRate
	}
	if cfg.Scenario.Rate != 0 {
		d.Rate = cfg.Scenario.Rate
	}
	d.say.line("Titrate demo: %s.", cfg.Scenario.About)
	d.say.line("A coffee marketplace of seven services under %g requests/s; %d releases.", d.Rate, len(cfg.Scenario.Acts))
	if d.builtin {
		d.say.line("There is no Go here, so nothing is compiled: the services are this program itself (titrate demo-app).")
	}
	began := time.Now()
	err := stage(ctx, cfg, app, limit, func(within context.Context, p *Platform) error {
		d.platform, d.client = p, p.Client
		if err := d.play(within); err != nil {
			return err
		}
		d.res.Took = time.Since(began).Seconds()
		d.judge()
		if cfg.Stay != nil {
			d.res.URL, d.res.Data = p.API, p.Data()
			cfg.Stay(ctx, d.res)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d.res, nil
}

// stage has a story played on a Titrate of its own, in a temporary folder that is removed
// at the end.
func stage(ctx context.Context, cfg Config, app string, limit time.Duration, play func(context.Context, *Platform) error) error {
	runtime.LockOSThread() // see up
	defer runtime.UnlockOSThread()
	defer daemon.OneSignal()()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "titrate-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer RemoveAll(dir)
	say := teller{out: cfg.Out, live: cfg.Live}
	say.line("Everything lives in a temporary folder and is removed on exit.\n")
	p := &Platform{Program: cfg.Program, Dir: dir, App: app, Env: cfg.Env}
	if err := p.Up(ctx); err != nil {
		return err
	}
	defer p.Down()
	say.line("  ✔ server   %s\n  ✔ gateway  %s\n", p.API, p.Gateway)
	return play(ctx, p)
}

// demo is one run.
type demo struct {
	Config
	platform *Platform
	client   *client.Client
	say      teller
	res      *Result
	load     *traffic
	killed   time.Time
	builtin  bool // the services are in the program itself
}

// play does the acts one after the other; the load begins when the first release
// serves.
func (d *demo) play(ctx context.Context) error {
	if err := d.platform.Repository(ctx); err != nil {
		return err
	}
	for i, act := range d.Scenario.Acts {
		if err := d.act(ctx, i+1, act); err != nil {
			return err
		}
		if i == 0 {
			d.load = d.startLoad(ctx)
		}
	}
	return d.settle(ctx)
}

// act pushes a variant and follows its rollout to the end.
func (d *demo) act(ctx context.Context, n int, act Act) error {
	d.say.line("▸ git push titrate   r%d   %s", n, act.Title)
	began := time.Now()
	commit, err := d.push(ctx, act.Variant)
	if err != nil {
		return err
	}
	out := ActResult{Release: n, Commit: commit, Title: act.Title, Push: time.Since(began).Seconds()}
	r, err := d.follow(ctx, n, act)
	if err != nil {
		return err
	}
	out.Rollout, out.Outcome, out.Why, out.Version = r.ID, r.Outcome, r.Why, candidate(r)
	out.Seconds = r.Since.Sub(r.Opened).Seconds()
	if r.Evidence != nil {
		out.Alarm = r.Evidence.Name
		back, err := BreachToZero(ctx, d.client, r)
		if err != nil {
			return err
		}
		out.BreachToZero = back.Seconds()
	}
	if r.Outcome == "" {
		out.Outcome = "held"
	}
	d.res.Acts = append(d.res.Acts, out)
	d.expect(act, out)
	d.sum(ctx, r, out)
	return nil
}

// expect notes what was not as the scenario says.
func (d *demo) expect(act Act, got ActResult) {
	if got.Outcome != act.Expect {
		d.problem("r%d ended %s, not %s: %s", got.Release, got.Outcome, act.Expect, got.Why)
		return
	}
	if act.Alarm != "" && got.Alarm != act.Alarm {
		d.problem("r%d was rolled back by %q, not by its alarm %s: %s", got.Release, got.Alarm, act.Alarm, got.Why)
	}
	if act.Alarm != "" && got.BreachToZero > 5 {
		d.problem("r%d: %.1f s from the breach to 0 %%, more than 5 s", got.Release, got.BreachToZero)
	}
}

func (d *demo) problem(format string, args ...any) {
	d.res.Problems = append(d.res.Problems, fmt.Sprintf(format, args...))
}

// BreachToZero reads from the stored history how long it took from the end of the
// window that broke the alarm until the gateway had acknowledged 0 %.
func BreachToZero(ctx context.Context, c *client.Client, r client.Rollout) (time.Duration, error) {
	looks, err := c.History(ctx, r.ID)
	if err != nil {
		return 0, err
	}
	if r.Evidence != nil {
		for _, l := range looks {
			if l.From == "returning" && l.To != "returning" {
				return l.At.Sub(r.Evidence.Closed), nil
			}
		}
	}
	return 0, fmt.Errorf("rollout %d was not taken back by an alarm", r.ID)
}

// settle ends the load and has everything added up.
func (d *demo) settle(ctx context.Context) error {
	report, err := d.load.stop()
	if err != nil {
		return fmt.Errorf("the load: %w", err)
	}
	r := d.res
	r.Load, r.Requests, r.Failed = report, report.Sent, report.Failed
	r.P50, r.P99 = float64(report.P50)/1e6, float64(report.P99)/1e6
	excused := d.excused()
	r.Ledger, err = load.Check(ctx, report, load.CheckConfig{
		URLs: load.AllAt(d.platform.Gateway), Host: host, Fresh: true, InLog: func(id string) bool { return excused[id] || d.logged(ctx, id) },
	})
	if err != nil {
		return fmt.Errorf("check the books: %w", err)
	}
	return nil
}

// excused are the failed requests that no service need have logged: those under
// way in a node, or in a process of a refused version, when it died.
func (d *demo) excused() map[string]bool {
	ids, refused := map[string]bool{}, d.refusedVersions()
	for _, f := range d.res.Load.Failures {
		ids[f.ID] = refused[f.Version] || d.inFlight(f)
	}
	return ids
}

// refusedVersions are the store's versions that were taken back.
func (d *demo) refusedVersions() map[string]bool {
	bad := map[string]bool{}
	for _, a := range d.res.Acts {
		if a.Outcome == "rolled-back" || a.Outcome == "failed" {
			bad[fmt.Sprintf("v%d", a.Version)] = true
		}
	}
	return bad
}

// logged reports whether any service's log has a request id.
func (d *demo) logged(ctx context.Context, id string) bool {
	found := false
	err := d.client.Logs(ctx, app, client.LogQuery{Contains: id, Last: 1}, func(client.LogLine) bool {
		found = true
		return false
	})
	return err == nil && found
}

// judge compares the load's report with what may have failed: only answers of
// versions that were refused, and in a killed node what was in flight.
func (d *demo) judge() {
	r := d.res
	bad := d.refusedVersions()
	r.Dropped = len(r.Ledger.Lost)
	inFlight := 0
	for _, f := range r.Load.Failures {
		switch {
		case bad[f.Version]:
			r.ByBad++
		case d.inFlight(f):
			inFlight++
		default:
			if len(r.Problems) < 20 {
				d.problem("%s failed with %d %s%s by %q at %s", f.Step, f.Status, f.Err, f.Body, f.Version, f.At.Format("15:04:05.000"))
			}
		}
	}
	for _, p := range r.Ledger.Problems {
		d.problem("%s", p)
	}
	r.OK = len(r.Problems) == 0
	d.conclude(inFlight)
}

// inFlight reports whether a failure is one of those that a killed node may
// cause: under way when it died.
func (d *demo) inFlight(f load.Failure) bool {
	const window = 500 * time.Millisecond
	return !d.killed.IsZero() && f.Status == 0 && f.At.After(d.killed.Add(-window)) && f.At.Before(d.killed.Add(window))
}

// app is the example's name, and host where it answers.
const (
	app  = "cofe"
	host = "cofe.localhost"
)

// traffic is the load under way.
type traffic struct {
	cancel context.CancelFunc
	done   chan struct{}
	report *load.Report
	err    error
}

func (d *demo) startLoad(ctx context.Context) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.report, t.err = load.Run(ctx, load.Config{URL: d.platform.Gateway, Host: host, Rate: d.Rate})
	}()
	return t
}

func (t *traffic) stop() (*load.Report, error) {
	if t == nil {
		return nil, errors.New("it never began")
	}
	t.cancel()
	<-t.done
	return t.report, t.err
}

func candidate(r client.Rollout) int {
	if len(r.Members) == 0 {
		return 0
	}
	return r.Members[0].Candidate
}

// push commits a variant and pushes it, showing what the server says of builds.
func (d *demo) push(ctx context.Context, v cofe.Variant) (string, error) {
	if err := d.write(v); err != nil {
		return "", err
	}
	commit, err := d.platform.Commit(ctx, v.Subject())
	if err != nil {
		return "", err
	}
	said, err := d.platform.Push(ctx)
	if err != nil {
		return "", err
	}
	for _, line := range said {
		if strings.HasPrefix(line, "build") {
			d.say.line("  %s", line)
		}
	}
	return commit, nil
}

func (d *demo) write(v cofe.Variant) error {
	if d.builtin {
		return builtin.Write(d.platform.Work(), v, d.Program)
	}
	return cofe.Write(d.platform.Work(), v)
}

// kill ends a process of Titrate's as a crash would.
func (d *demo) kill(name string) error {
	if name == "node" {
		d.killed = time.Now()
	}
	d.say.line("  ✖ kill -9 of the %s", name)
	return d.platform.Kill(name)
}

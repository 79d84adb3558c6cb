package rollout_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// A script is the story of one rollout: a plan, then one look a line,
//
//	when: what happens -> where the rollout then stands
//
// What happens (readiness, served shares, restarts … stay until said otherwise;
// verdicts and hooks' ends are of one look):
//
//	ready        as many candidates are ready as are wished; also ready=2, orders.ready=2
//	served       the gateway serves the wished shares; also served=?, served=10%
//	stableReady=1 restarts=2 invoked=20 open=3 idle=12m failure=oom unready=404 refused=r42 stable=v7 (v0: none)
//	exclusive    two versions may not write to the candidate's volumes; free: at this
//	             look no instance of the workload lives
//	same         stable is the candidate's artifact and config under another number
//	errors=pass  a verdict of the alarm: pass fail inconclusive no-data down abstain;
//	             latency/pause=fail is another alarm with that reaction;
//	             errors=fail@90s is of a window that closed then; errors=2of6@90s is
//	             inconclusive, 2 of the 6 data points of 10 s that must breach do
//	preTraffic=0 how a hook ends: an exit code, lost, timeout, running; carts.preTraffic=1
//	ada:promote  a command; ada:pause/30m/lunch, ada:set-weight/30%, ada:retry/2 (a step)
//	ahead alone  another rollout is first, or not any more
//	newer=r43,next,covers,urgent   waits behind; newer=none
//	unseen       nothing is observed at this look; unwatched=30s: nor was it since then
//
// Where it stands: its phase and the weight of its wish, then any of: an outcome,
// paused running held refused obeyed unmeasured noBaseline, step=2 attempt=2
// command=3, cand=4 stable=0 weight=100% (each also of a member: carts.cand=2),
// hooks=1 (wished), notices=1, wait=5m (until the wait ends, from now), asks (a person is
// waited for), and "words" that a person must be told.
type script struct {
	t       *testing.T
	where   string // file:line
	plan    rollout.Plan
	state   rollout.State
	members []rollout.MemberSeen
	seen    rollout.Seen
	command int64
	start   time.Time
	moves   map[string]bool
}

func TestScripts(t *testing.T) {
	t.Parallel()
	for _, file := range scriptFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			runScript(t, file)
		})
	}
}

func scriptFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/R*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	return files
}

// runScript plays a script and returns the moves between phases that it made.
func runScript(t *testing.T, file string) map[string]bool {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &script{t: t, start: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), moves: map[string]bool{}}
	r.plan = rollout.Plan{
		Rollout: 7, App: "cofe", Env: "production", Release: 42, Kind: rollout.Forward, Attempt: 1, Overlap: rollout.OverlapNext,
		Bake: 10 * time.Minute, Drain: 30 * time.Second, StartTimeout: 2 * time.Minute, NoDataTimeout: 30 * time.Minute,
		HookTimeout: 5 * time.Minute, MaxRestarts: 3,
	}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		r.where = fmt.Sprintf("%s:%d", filepath.Base(file), n)
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		when, rest, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("%s: no colon", r.where)
		}
		if when == "plan" {
			r.planLine(rest)
			continue
		}
		r.lookLine(when, rest)
	}
	return r.moves
}

func (r *script) fail(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%s: %s", r.where, fmt.Sprintf(format, args...))
}

func (r *script) duration(s string) time.Duration {
	r.t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		r.t.Fatalf("%s: %v", r.where, err)
	}
	return d
}

func (r *script) number(s string) int {
	r.t.Helper()
	n, err := strconv.Atoi(strings.TrimLeft(s, "vr"))
	if err != nil {
		r.t.Fatalf("%s: %v", r.where, err)
	}
	return n
}

func (r *script) percent(s string) rollout.Weight {
	r.t.Helper()
	p, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !strings.HasSuffix(s, "%") {
		r.t.Fatalf("%s: no percentage: %q", r.where, s)
	}
	return rollout.Percent(p)
}

// planLine reads `orders=4 carts=2/worker nightly=1/function steps=10%/1m,50%/approve,100% bake=1m …`.
// A service has an alarm on errors; orders=2/cpu on its CPU alone, orders=2/bare none.
// ran=3: each release hook exited 3 in an attempt before this rollout.
func (r *script) planLine(line string) {
	p := &r.plan
	for word := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "steps":
			for s := range strings.SplitSeq(value, ",") {
				p.Steps = append(p.Steps, r.step(s))
			}
		case "damage":
			p.Damage.Requests = uint64(r.number(value))
		case "waves":
			p.Waves = r.number(value)
		case "bake":
			p.Bake = r.duration(value)
		case "keep":
			p.Keep = r.duration(value)
		case "noDataTimeout":
			p.NoDataTimeout = r.duration(value)
		case "rollback":
			p.Kind = rollout.Rollback
		case "full":
			p.FullCapacity = true
		case "gradual":
			p.Gradual = true
		case "noDataPasses":
			p.NoDataPasses = true
		case "sourceErrorRollback":
			p.SourceErrorRollback = true
		case "attempt":
			p.Attempt = r.number(value)
		case "ran":
			for i, m := range p.Members {
				p.Ran = append(p.Ran, rollout.HookRecord{
					Key: fmt.Sprintf("%s/%s/%s/%s/release", p.App, p.Env, p.Release, m.Workload), Kind: rollout.HookRelease,
					Member: i, Command: "./release", Attempt: 1, Asked: r.start, Done: true, Exit: r.number(value),
				})
			}
		case "from":
			p.From = r.number(value) - 1
		case "hooks":
			for hook := range strings.SplitSeq(value, ",") {
				for i := range p.Members {
					h := &p.Members[i].Hooks
					*map[string]*string{"release": &h.Release, "preTraffic": &h.PreTraffic, "postTraffic": &h.PostTraffic, "onRollback": &h.OnRollback}[hook] = "./" + hook
				}
			}
		default:
			count, kind, _ := strings.Cut(value, "/")
			m := rollout.Member{Workload: key, Candidate: 2, Instances: r.number(count), Worker: kind == "worker", Function: kind == "function"}
			switch kind {
			case "", "function":
				m.Alarms = []analysis.Alarm{{Name: "errors", Metric: analysis.Errors, Period: 10 * time.Second}}
			case "cpu":
				m.Alarms = []analysis.Alarm{{Name: "cpu", Metric: analysis.CPU}}
			}
			p.Members = append(p.Members, m)
			r.members = append(r.members, rollout.MemberSeen{Stable: 1, StableReady: m.Instances})
		}
	}
}

func (r *script) step(s string) rollout.Step {
	parts := strings.Split(s, "/")
	step := rollout.Step{Weight: r.percent(parts[0])}
	for _, part := range parts[1:] {
		switch part {
		case "approve":
			step.Approve = true
		case "hook":
			step.Hook = "./step"
		default:
			step.Hold = r.duration(part)
		}
	}
	return step
}

func (r *script) lookLine(when, rest string) {
	if r.state.Phase == "" {
		if err := r.plan.Validate(); err != nil {
			r.t.Fatalf("%s: %v", r.where, err)
		}
		r.state = rollout.New(r.plan, r.start)
	}
	happens, stands, ok := strings.Cut(rest, "->")
	if !ok {
		r.t.Fatalf("%s: no ->", r.where)
	}
	for i := range r.members {
		r.members[i].Readings, r.members[i].Free = nil, false
	}
	r.seen.Hooks, r.seen.Commands = nil, nil
	unseen, unwatched := false, time.Time{}
	for word := range strings.FieldsSeq(happens) {
		if word == "unseen" {
			unseen = true
			continue
		}
		if since, ok := strings.CutPrefix(word, "unwatched="); ok {
			unseen, unwatched = true, r.start.Add(r.duration(since))
			continue
		}
		r.happens(word)
	}
	seen := r.seen
	seen.Unwatched = unwatched
	if !unseen {
		seen.Members = append([]rollout.MemberSeen(nil), r.members...)
	}
	now := r.start.Add(r.duration(when))
	before := r.state
	var err error
	if r.state, err = next(r.plan, before, seen, now); err != nil {
		r.fail("%v", err)
	}
	if before.Phase != r.state.Phase {
		r.moves[string(before.Phase)+" --> "+string(r.state.Phase)] = true
	}
	r.stands(strings.TrimSpace(stands), rollout.Waiting(r.plan, r.state, seen, now), now)
}

// happens changes what is seen by one word.
func (r *script) happens(word string) {
	if by, what, ok := strings.Cut(word, ":"); ok {
		r.command++
		verb, arg, _ := strings.Cut(what, "/")
		c := rollout.Command{ID: r.command, By: by, Verb: rollout.Verb(verb)}
		switch {
		case arg == "":
		case c.Verb == rollout.PauseVerb:
			arg, c.Reason, _ = strings.Cut(arg, "/")
			c.For = r.duration(arg)
		case c.Verb == rollout.SetWeight:
			c.Weight = r.percent(arg)
		case c.Verb == rollout.Retry:
			c.Step = r.number(arg) - 1
		default:
			c.Reason = arg
		}
		r.seen.Commands = append(r.seen.Commands, c)
		return
	}
	key, value, given := strings.Cut(word, "=")
	switch key {
	case "cut":
		r.seen.Cut = &rollout.Cut{At: r.start, Served: uint64(r.number(value))}
		return
	case "ahead", "alone":
		r.seen.Ahead = key == "ahead"
		return
	case "newer":
		r.newer(value)
		return
	}
	for i := range r.members {
		name, mine := key, true
		if workload, rest, ok := strings.Cut(key, "."); ok {
			name, mine = rest, workload == r.plan.Members[i].Workload
		}
		if mine {
			r.member(i, name, value, given)
		}
	}
}

func (r *script) newer(value string) {
	if value == "none" {
		r.seen.Newer = nil
		return
	}
	r.seen.Newer = &rollout.Newer{}
	for n, part := range strings.Split(value, ",") {
		switch {
		case n == 0:
			r.seen.Newer.Release = rollout.Release(r.number(part))
		case part == "covers":
			r.seen.Newer.Covers = true
		case part == "urgent":
			r.seen.Newer.Urgent = true
		default:
			r.seen.Newer.Overlap = rollout.Overlap(part)
		}
	}
}

func (r *script) member(i int, name, value string, given bool) {
	m := &r.members[i]
	wish := rollout.MemberWish{}
	if w := r.state.Wish(r.plan); w.Members != nil {
		wish = w.Members[i]
	}
	kinds := []rollout.HookKind{rollout.HookRelease, rollout.HookPreTraffic, rollout.HookStep, rollout.HookPostTraffic, rollout.HookOnRollback}
	for _, kind := range kinds {
		if name == string(kind) {
			r.hookEnds(i, kind, value)
			return
		}
	}
	switch name {
	case "ready":
		m.Ready = wish.CandidateInstances
		if given {
			m.Ready = r.number(value)
		}
	case "served":
		switch {
		case value == "?":
			m.Served = -1
		case given:
			m.Served = r.percent(value)
		default:
			m.Served = wish.Weight
		}
	case "stable":
		m.Stable = rollout.Version(r.number(value))
		if m.Stable == 0 {
			m.StableReady = 0
		}
	case "same":
		m.Same = true
	case "exclusive":
		m.Exclusive = true
	case "free":
		m.Free = true
	case "stableReady":
		m.StableReady = r.number(value)
	case "restarts":
		m.Restarts = r.number(value)
	case "invoked":
		m.Invoked = uint64(r.number(value))
	case "open":
		m.Open = r.number(value)
	case "idle":
		m.Idle = r.duration(value)
	case "failure":
		m.Failure = value
	case "unready":
		m.Unready = value
	case "refused":
		m.Refused = value
	default:
		if !given {
			r.t.Fatalf("%s: nothing is called %q", r.where, name)
		}
		alarm, reaction, _ := strings.Cut(name, "/")
		if reaction == "" {
			reaction = string(analysis.ReactRollback)
		}
		value, closed, dated := strings.Cut(value, "@")
		reading := analysis.Reading{
			Alarm: alarm, Reaction: analysis.Reaction(reaction), Verdict: analysis.Verdict(value),
			Min: 20, Requests: 4, Text: alarm + " was " + value,
		}
		if dated {
			reading.Closed = r.start.Add(r.duration(closed))
		}
		if n, of, ok := strings.Cut(value, "of"); ok {
			reading.Verdict, reading.Breaching, reading.M, reading.N = analysis.Inconclusive, r.number(n), r.number(of), r.number(of)
		}
		switch value {
		case "none":
			reading.Verdict = ""
		case "down":
			reading.Verdict, reading.Err = "", "connection refused"
		case "abstain":
			reading.Verdict, reading.Abstains = analysis.NoData, true
		}
		m.Readings = append(m.Readings, reading)
	}
}

func (r *script) hookEnds(member int, kind rollout.HookKind, how string) {
	found := false
	for _, h := range r.state.Hooks {
		if h.Member != member || h.Kind != kind || h.Done {
			continue
		}
		found = true
		result := rollout.HookResult{Log: "first\nlast line of " + string(kind) + "\n"}
		switch how {
		case "lost":
			result.Lost = true
		case "timeout":
			result.TimedOut = true
		case "running":
			result.Running = true
		default:
			result.Exit = r.number(how)
		}
		if r.seen.Hooks == nil {
			r.seen.Hooks = map[string]rollout.HookResult{}
		}
		r.seen.Hooks[h.Key] = result
	}
	if !found {
		r.fail("no %s hook of %s is awaited", kind, r.plan.Members[member].Workload)
	}
}

var expected = regexp.MustCompile(`"[^"]*"|\S+`)

// stands compares where the rollout stands with what the script says.
func (r *script) stands(want string, wait rollout.Wait, now time.Time) {
	r.t.Helper()
	words := expected.FindAllString(want, -1)
	s, wish := r.state, r.state.Wish(r.plan)
	got := string(s.Phase) + " " + strings.ReplaceAll(s.Weight.String(), " ", "")
	if len(words) < 2 || words[0]+" "+words[1] != got {
		r.fail("stands at %s (%s), want %s", got, s.Why, want)
		return
	}
	outcome, pausedKnown := "", false
	for _, word := range words[2:] {
		key, value, given := strings.Cut(word, "=")
		ok, is := true, any(nil)
		switch {
		case word[0] == '"':
			told := append([]string{s.Why, s.Refused, wait.For, wait.Then}, s.Notices...)
			if s.Pause != nil {
				told = append(told, s.Pause.Reason, s.Pause.Owner)
			}
			is = told
			ok = strings.Contains(strings.Join(told, "\n"), strings.Trim(word, `"`))
		case !given:
			switch word {
			case "paused", "running":
				ok, is, pausedKnown = (s.Pause != nil) == (word == "paused"), s.Pause, true
			case "held":
				ok = s.Held
			case "refused":
				ok, is = s.Refused != "", s.Refused
			case "obeyed":
				ok, is = s.Refused == "" && s.Command == r.command, s.Refused
			case "unmeasured":
				ok = s.Unmeasured
			case "noBaseline":
				ok = s.NoBaseline
			case "asks":
				ok, is = wait.Person, wait
			default:
				outcome = word
			}
		default:
			ok, is = r.figure(key, value, wish, wait, now)
		}
		if !ok {
			r.fail("not %s, but %v (%s)", word, is, s.Why)
		}
	}
	if string(s.Outcome) != outcome {
		r.fail("outcome %q, want %q", s.Outcome, outcome)
	}
	if !pausedKnown && s.Pause != nil {
		r.fail("is paused: %+v", *s.Pause)
	}
}

// figure compares one number.
func (r *script) figure(key, value string, wish rollout.Wish, wait rollout.Wait, now time.Time) (bool, any) {
	switch key {
	case "step":
		return r.state.Step == r.number(value)-1, r.state.Step + 1
	case "attempt":
		return r.state.Attempt == r.number(value), r.state.Attempt
	case "command":
		return r.state.Command == int64(r.number(value)), r.state.Command
	case "hooks":
		return len(wish.Hooks) == r.number(value), wish.Hooks
	case "notices":
		return len(r.state.Notices) == r.number(value), r.state.Notices
	case "wait":
		return !wait.Until.IsZero() && wait.Until.Sub(now) == r.duration(value), wait
	}
	workload, name, one := strings.Cut(key, ".")
	if !one {
		name = key
	}
	for i, m := range wish.Members {
		if one && r.plan.Members[i].Workload != workload {
			continue
		}
		got := map[string]string{
			"cand": strconv.Itoa(m.CandidateInstances), "stable": strconv.Itoa(m.StableInstances),
			"weight": strings.ReplaceAll(m.Weight.String(), " ", ""),
		}[name]
		if got != value {
			return false, m
		}
	}
	return len(wish.Members) > 0, wish
}

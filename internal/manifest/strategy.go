package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/internal/rollout"
)

// Strategy is how traffic moves: the steps that a user's spelling stands for.
type Strategy struct {
	Text      string // as written; empty when the steps were written one by one
	Steps     []rollout.Step
	BlueGreen *BlueGreen // nil unless it is blue-green
}

// DefaultStrategy is what moves traffic when the manifest names nothing.
const DefaultStrategy = "Linear10PercentEvery1Minute"

// maxSteps bounds a strategy: Linear1Percent… has 100.
const maxSteps = 100

// maxHold bounds the wait at one step.
const maxHold = 7 * day

// The names that CodeDeploy documents for Lambda and for ECS, without
// CodeDeployDefault, Lambda and ECS; see "Working with deployment configurations
// in CodeDeploy". Its ECS names have a plural s after 1 where its Lambda names
// have none; both are read.
var codeDeployNames = map[string][]string{
	"Lambda": {
		"AllAtOnce", "Canary10Percent5Minutes", "Canary10Percent10Minutes", "Canary10Percent15Minutes", "Canary10Percent30Minutes",
		"Linear10PercentEvery1Minute", "Linear10PercentEvery2Minutes", "Linear10PercentEvery3Minutes", "Linear10PercentEvery10Minutes",
	},
	"ECS": {"AllAtOnce", "Canary10Percent5Minutes", "Canary10Percent15Minutes", "Linear10PercentEvery1Minutes", "Linear10PercentEvery3Minutes"},
}

// StrategyNames are the common spellings, for completion and for finding the
// nearest to one that cannot be read.
func StrategyNames() []string {
	names := []string{"AllAtOnce", "blueGreen"}
	names = append(names, codeDeployNames["Lambda"][1:]...)
	for _, family := range []string{"Lambda", "ECS"} {
		for _, n := range codeDeployNames[family] {
			names = append(names, "CodeDeployDefault."+family+n)
		}
	}
	return names
}

var (
	linearPattern = regexp.MustCompile(`^Linear(\d+(?:\.\d{1,2})?)PercentEvery(\d+)(Minute|Second)s?$`)
	canaryPattern = regexp.MustCompile(`^Canary(\d+(?:\.\d{1,2})?)Percent(\d+)(Minute|Second)s?$`)
)

// ParseStrategy reads the name of a strategy. A named one does what CodeDeploy
// documents: Canary shifts P, waits N, and shifts all the rest; Linear shifts P
// more each N. The error says which spelling is nearest.
func ParseStrategy(name string) (Strategy, error) {
	plain, err := withoutCodeDeploy(name)
	if err != nil {
		return Strategy{}, err
	}
	s := Strategy{Text: name}
	if plain == "blueGreen" {
		return blueGreen(name, 0, false, 0), nil
	}
	if plain == "AllAtOnce" {
		s.Steps = []rollout.Step{{Weight: rollout.Full}}
		return s, nil
	}
	if m := linearPattern.FindStringSubmatch(plain); m != nil {
		share, wait, err := shareAndWait(m[1], m[2], m[3])
		if err != nil {
			return Strategy{}, err
		}
		if int(rollout.Full) > maxSteps*int(share) {
			return Strategy{}, fmt.Errorf("has more than %d steps: begin with Linear1Percent", maxSteps)
		}
		for w := share; w < rollout.Full; w += share {
			s.Steps = append(s.Steps, rollout.Step{Weight: w, Hold: wait})
		}
		s.Steps = append(s.Steps, rollout.Step{Weight: rollout.Full})
		return s, nil
	}
	if m := canaryPattern.FindStringSubmatch(plain); m != nil {
		share, wait, err := shareAndWait(m[1], m[2], m[3])
		if err != nil {
			return Strategy{}, err
		}
		s.Steps = []rollout.Step{{Weight: share, Hold: wait}, {Weight: rollout.Full}}
		return s, nil
	}
	return Strategy{}, errors.New(strategyHint(name))
}

// withoutCodeDeploy normalises the names that CodeDeploy gives its own.
func withoutCodeDeploy(name string) (string, error) {
	const prefix = "CodeDeployDefault."
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return name, nil
	}
	for _, family := range []string{"Lambda", "ECS"} {
		plain, ok := strings.CutPrefix(rest, family)
		if !ok {
			continue
		}
		if slices.Contains(codeDeployNames[family], plain) || plain == "Linear10PercentEvery1Minute" {
			return plain, nil
		}
		if _, err := ParseStrategy(plain); err == nil {
			return "", fmt.Errorf("is not a name of CodeDeploy; write %s", plain)
		}
	}
	switch rest {
	case "AllAtOnce":
		return rest, nil
	case "HalfAtATime", "OneAtATime":
		return "", errors.New("replaces machines, not shares of traffic; write Linear10PercentEvery1Minute, say")
	}
	return "", errors.New(strategyHint(name))
}

func shareAndWait(percent, number, unit string) (rollout.Weight, time.Duration, error) {
	share, err := parseWeight(percent)
	if err != nil {
		return 0, 0, err
	}
	if share == rollout.Full {
		return 0, 0, errors.New("shifts everything at once; write AllAtOnce")
	}
	each := time.Minute
	if unit == "Second" {
		each = time.Second
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 1 || time.Duration(n) > maxHold/each {
		return 0, 0, fmt.Errorf("waits %s %ss; at least 1, at most 7 days", short(number), strings.ToLower(unit))
	}
	return share, time.Duration(n) * each, nil
}

// parseWeight reads a percentage above 0 and up to 100, exact to 0.01 (R15).
func parseWeight(s string) (rollout.Weight, error) {
	if !weightPattern.MatchString(s) {
		return 0, fmt.Errorf("%q is not a percentage with at most two decimals", short(s))
	}
	p, err := strconv.ParseFloat(s, 64)
	if err != nil || p <= 0 || p > 100 {
		return 0, fmt.Errorf("%s %% is not above 0 and up to 100", short(s))
	}
	return rollout.Percent(p), nil
}

var weightPattern = regexp.MustCompile(`^\d{1,3}(\.\d{1,2})?$`)

// blueGreen makes the strategy of R10: everything at 0 %, where it may wait and
// ask, then one switch.
func blueGreen(text string, hold time.Duration, approve bool, keep time.Duration) Strategy {
	s := Strategy{Text: text, BlueGreen: &BlueGreen{Keep: keep}}
	if hold > 0 || approve {
		s.Steps = append(s.Steps, rollout.Step{Hold: hold, Approve: approve})
	}
	s.Steps = append(s.Steps, rollout.Step{Weight: rollout.Full})
	return s
}

// strategyHint says what a strategy that cannot be read was probably meant to be.
func strategyHint(name string) string {
	if n := nearest(name, StrategyNames()); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "linear"):
		return "write Linear10PercentEvery1Minute, with your numbers"
	case strings.Contains(lower, "canary"):
		return "write Canary10Percent5Minutes, with your numbers"
	case strings.Contains(lower, "blue"):
		return "write blueGreen"
	case strings.Contains(lower, "rolling") || strings.Contains(lower, "once") || strings.Contains(lower, "recreate"):
		return "write AllAtOnce"
	}
	return "AllAtOnce, Linear10PercentEvery1Minute, Canary10Percent5Minutes, blueGreen and {steps: [...]} are read"
}

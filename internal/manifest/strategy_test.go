package manifest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"

	"github.com/google/go-cmp/cmp"
)

// brief writes steps briefly: "10/1m 20/1m 100".
func brief(steps []rollout.Step) string {
	var parts []string
	for _, s := range steps {
		p := strings.TrimSuffix(percent(s.Weight), "%")
		if s.Hold > 0 {
			p += "/" + FormatDuration(s.Hold)
		}
		if s.Approve {
			p += "?"
		}
		if s.Hook != "" {
			p += "!"
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, " ")
}

// The names are those of "Working with deployment configurations in CodeDeploy"
// (AWS CodeDeploy user guide), with what it says that they do.
func TestStrategiesAsCodeDeployDocumentsThem(t *testing.T) {
	t.Parallel()
	linear := func(hold string) string {
		var parts []string
		for _, p := range []string{"10", "20", "30", "40", "50", "60", "70", "80", "90"} {
			parts = append(parts, p+"/"+hold)
		}
		return strings.Join(append(parts, "100"), " ")
	}
	for name, want := range map[string]string{
		"CodeDeployDefault.LambdaCanary10Percent5Minutes":       "10/5m 100",
		"CodeDeployDefault.LambdaCanary10Percent10Minutes":      "10/10m 100",
		"CodeDeployDefault.LambdaCanary10Percent15Minutes":      "10/15m 100",
		"CodeDeployDefault.LambdaCanary10Percent30Minutes":      "10/30m 100",
		"CodeDeployDefault.LambdaLinear10PercentEvery1Minute":   linear("1m"),
		"CodeDeployDefault.LambdaLinear10PercentEvery2Minutes":  linear("2m"),
		"CodeDeployDefault.LambdaLinear10PercentEvery3Minutes":  linear("3m"),
		"CodeDeployDefault.LambdaLinear10PercentEvery10Minutes": linear("10m"),
		"CodeDeployDefault.LambdaAllAtOnce":                     "100",
		"CodeDeployDefault.ECSLinear10PercentEvery1Minutes":     linear("1m"),
		"CodeDeployDefault.ECSLinear10PercentEvery3Minutes":     linear("3m"),
		"CodeDeployDefault.ECSCanary10Percent5Minutes":          "10/5m 100",
		"CodeDeployDefault.ECSCanary10Percent15Minutes":         "10/15m 100",
		"CodeDeployDefault.ECSAllAtOnce":                        "100",
		"CodeDeployDefault.AllAtOnce":                           "100",
		"AllAtOnce":                                             "100",
		"Linear10PercentEvery1Minute":                           linear("1m"),
		"Linear10PercentEvery1Minutes":                          linear("1m"),
		"Linear30PercentEvery5Seconds":                          "30/5s 60/5s 90/5s 100",
		"Linear12.5PercentEvery1Minute":                         "12.5/1m 25/1m 37.5/1m 50/1m 62.5/1m 75/1m 87.5/1m 100",
		"Linear50PercentEvery90Seconds":                         "50/1m30s 100",
		"Linear99.99PercentEvery1Second":                        "99.99/1s 100",
		"Canary0.5Percent1Minute":                               "0.5/1m 100",
		"Canary33.33Percent45Seconds":                           "33.33/45s 100",
		"blueGreen":                                             "100",
	} {
		s, err := ParseStrategy(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := brief(s.Steps); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if (s.BlueGreen != nil) != (name == "blueGreen") || s.Text != name {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, name := range StrategyNames() {
		if _, err := ParseStrategy(name); err != nil {
			t.Errorf("%s is offered and cannot be read: %v", name, err)
		}
	}
}

func TestStrategyErrorsNameTheNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"AllAtOne":                                       `did you mean "AllAtOnce"?`,
		"linear10percentevery1minute":                    `did you mean "Linear10PercentEvery1Minute"?`,
		"Linear10PercentEvery1Hour":                      "", // near enough to several: any hint will do
		"CodeDeployDefault.LambdaCanary5Percent7Minutes": "is not a name of CodeDeploy; write Canary5Percent7Minutes",
		"Canary0Percent5Minutes":                         "0 % is not above 0 and up to 100",
		"Canary101Percent5Minutes":                       "101 % is not above 0 and up to 100",
		"Linear10PercentEvery99999Minutes":               "waits 99999 minutes; at least 1, at most 7 days",
		"Linear10PercentEvery99999999999Minutes":         "waits 99999999999 minutes; at least 1, at most 7 days",
		"":                                               "AllAtOnce, Linear10PercentEvery1Minute, Canary10Percent5Minutes, blueGreen and {steps: [...]} are read",
		"blue/green":                                     `did you mean "blueGreen"?`,
	} {
		_, err := ParseStrategy(name)
		if err == nil || want != "" && err.Error() != want {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestRolloutForms(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]string{
		"{ steps: [1% for 5m, 5% for 5m, 50% until approved, 100%] }": "1/5m 5/5m 50? 100",
		"{ steps: [100%] }": "100",
		"{ steps: [12.5 % for 1d, 12.5%, 100% for 5m] }":                                           "12.5/1d 12.5 100/5m",
		"{ steps: [25% for 5m until approved, { hook: ./smoke }, 100%] }":                          "25/5m? 25! 100",
		"{ steps: [25% until approved for 5m, 100%] }":                                             "", // for comes first
		"{ steps: [{ weight: 10, hold: 5m }, { weight: 50.5%, approve: true, hook: ./x }, 100%] }": "10/5m 50.5?! 100",
		"{ blueGreen: { hold: 10m, approve: true, keep: 1h } }":                                    "0/10m? 100",
		"{ blueGreen: }":              "100",
		"{ blueGreen: { keep: 1h } }": "100",
	} {
		app, problems := Parse([]byte("titrate: 1\napp: shop\ndefaults:\n  rollout: "+form+"\n"), File)
		if want == "" {
			if app != nil {
				t.Errorf("%s: accepted", form)
			}
			continue
		}
		if app == nil {
			t.Errorf("%s: %s", form, problems)
			continue
		}
		if got := brief(service(t, app, "production", "shop").Steps); got != want {
			t.Errorf("%s: %s, want %s", form, got, want)
		}
	}
	bg := service(t, good(t, "titrate: 1\napp: shop\ndefaults:\n  rollout: { blueGreen: { keep: 1h } }\n"), "production", "shop")
	if bg.BlueGreen == nil || bg.BlueGreen.Keep != time.Hour {
		t.Errorf("%+v", bg.BlueGreen)
	}
}

func TestStepErrorsPointAtTheWord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "",
		"10":                     "10",
		"for 5m":                 "for",
		"10% fro 5m":             "fro",
		"10% for":                "for",
		"10%  for  5x":           "5x",
		"10% until noon":         "noon",
		"10% until approved now": "now",
		"0%":                     "0%",
		"100.01%":                "100.01%",
		"-5%":                    "-5%",
		"1e1%":                   "1e1%",
		"10% for 0s":             "0s",
		"10% for 8d":             "8d",
	} {
		_, err := ParseStep(text)
		var bad *StepError
		if !errors.As(err, &bad) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := text[bad.Offset : bad.Offset+bad.Length]; got != want {
			t.Errorf("%q: points at %q, want %q (%s)", text, got, want, bad)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour,
		"500ms": 500 * time.Millisecond, "1.5h": 90 * time.Minute, "365d": maxDuration, "0d": 0,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"300":                   "has no unit: 300s or 300m?",
		"5 min":                 "is not a duration: write 5m",
		"90 Seconds":            "is not a duration: write 90s",
		"2 weeks":               "is not a duration: write 14d",
		"3 days":                "is not a duration: write 3d",
		"20millis":              "is not a duration: write 20ms",
		"-5m":                   "is negative",
		"366d":                  "is longer than 365 days",
		"364d25h":               "is longer than 365 days",
		"99999999d":             "is longer than 365 days",
		"99999999999999999999d": "is longer than 365 days",
		"1.5d":                  "is not a duration: 30s, 5m, 1h30m and 2d are",
		"soon":                  "is not a duration: 30s, 5m, 1h30m and 2d are",
		"":                      "is not a duration: 30s, 5m, 1h30m and 2d are",
		"+5m":                   "is not a duration: 30s, 5m, 1h30m and 2d are",
		"5m1d":                  "is not a duration: 30s, 5m, 1h30m and 2d are",
	} {
		if d, err := ParseDuration(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v, want %q", text, d, err, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", time.Minute: "1m", 90 * time.Minute: "1h30m", 48 * time.Hour: "2d", 36 * time.Hour: "1d12h", 10 * time.Hour: "10h",
		20 * time.Minute: "20m", 1500 * time.Millisecond: "1.5s", time.Hour + time.Second: "1h0m1s",
	} {
		if diff := cmp.Diff(want, FormatDuration(d)); diff != "" {
			t.Error(diff)
		}
	}
}

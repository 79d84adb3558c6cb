package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// Expand writes an app out in full: every default, every short form in its long
// one, and each function by its folder. [Parse] reads the result as an equal app. What
// a workload has in every environment stands under services and functions, the rest
// under environments.
func Expand(app *App) string {
	var b strings.Builder
	fmt.Fprintf(&b, "titrate: %d\napp: %s\n", Format, app.Name)
	common := map[string]bool{} // by workload and key: the same in every environment
	for _, section := range sectionNames {
		head := "\n" + section + ":\n"
		for i, s := range app.Environments[0].Services {
			if s.section() != section {
				continue
			}
			fmt.Fprintf(&b, "%s  %s:\n", head, s.key())
			head = ""
			var others [][]string
			for _, e := range app.Environments[1:] {
				others = append(others, e.Services[i].blocks())
			}
			for j, block := range s.blocks() {
				differs := slices.ContainsFunc(others, func(o []string) bool { return o[j] != block })
				if common[s.Name+"/"+strconv.Itoa(j)] = !differs; !differs {
					b.WriteString(indent(block, 4))
				}
			}
		}
	}
	b.WriteString(queuesBlock(app.Queues))
	if len(app.Together) > 0 {
		b.WriteString("\ntogether:\n")
		for _, g := range app.Together {
			fmt.Fprintf(&b, "  - [%s]\n", strings.Join(g, ", "))
		}
	}
	if waves := app.Environments[0].Waves; waves > 0 {
		fmt.Fprintf(&b, "\nwaves: %d\n", waves)
	}
	if len(app.Registries) > 0 {
		b.WriteString("\nregistries:\n")
		for _, host := range slices.Sorted(maps.Keys(app.Registries)) {
			r := app.Registries[host]
			fmt.Fprintf(&b, "  %s: %s\n", scalar(host), flow(field{"username", scalar(r.Username)}, field{"password", r.Password}))
		}
	}
	b.WriteString(accessoriesBlock(app.Accessories))
	b.WriteString("\nenvironments:\n")
	for _, e := range app.Environments {
		fmt.Fprintf(&b, "  %s:\n", e.Name)
		switch {
		case e.Deploy.Manual:
			b.WriteString("    deploy: manual\n")
		case e.Deploy.Branch != "":
			fmt.Fprintf(&b, "    deploy: %s\n", scalar(e.Deploy.Branch))
		default:
			b.WriteString("    # deploy: the repository's default branch\n")
		}
		fmt.Fprintf(&b, "    overlap: %s\n", e.Overlap)
		for _, section := range sectionNames {
			head := "    " + section + ":\n"
			for _, s := range e.Services {
				if s.section() != section {
					continue
				}
				fmt.Fprintf(&b, "%s      %s:\n", head, s.key())
				head = ""
				for j, block := range s.blocks() {
					if !common[s.Name+"/"+strconv.Itoa(j)] {
						b.WriteString(indent(block, 8))
					}
				}
				b.WriteString(indent(s.outside(), 8))
			}
		}
	}
	return b.String()
}

// sectionNames are the sections of workloads, in the order of an environment's.
var sectionNames = []string{"services", "functions"}

// section is the one that a workload stands in.
func (s Service) section() string { return sectionNames[either(s.Function != nil, 1, 0)] }

// key is what it is called there.
func (s Service) key() string {
	if s.Function != nil {
		return scalar(s.Function.Path)
	}
	return s.Name
}

// blocks are the settings of a service but host and route, one key each; the
// same number, in the same order, for every service.
func (s Service) blocks() []string {
	if s.Function != nil {
		return s.functionBlocks()
	}
	return append([]string{
		line("repo", optional(s.Repo)),
		s.buildLine(),
		line("image", optional(s.Image)),
		s.runLine(),
		line("worker", strconv.FormatBool(s.Worker)),
		line("port", nonzero(s.Port)),
		s.healthLine(),
		s.envBlock(),
		s.secretsLine(),
		line("scale", strconv.Itoa(s.Scale)),
		s.limitsLine(),
		line("readOnly", strconv.FormatBool(s.ReadOnly)),
		s.volumesBlock(),
	}, s.rolloutBlocks()...)
}

// buildLine is how it is built; nothing of an image.
func (s Service) buildLine() string {
	b := s.Build
	if s.Image != "" {
		return ""
	}
	return line("build", flow(field{"dir", scalar(b.Dir)}, field{"with", optional(b.With)}, field{"dockerfile", optional(b.Dockerfile)}, field{"target", optional(b.Target)}, field{"args", writeArgs(b.Args)},
		field{"fetch", optional(b.Fetch)}, field{"command", optional(b.Command)},
		field{"test", optional(b.Test)}, field{"network", either(b.Network, "true", "")}, field{"output", optional(b.Output)}, field{"run", optional(b.Run)}, field{"fallback", optional(b.Fallback)}))
}

// rolloutBlocks are the settings of how it moves.
func (s Service) rolloutBlocks() []string {
	return []string{
		s.rolloutBlock(),
		s.alarmsBlock(),
		s.hooksLine(),
		line("bake", FormatDuration(s.Bake)),
		line("drain", FormatDuration(s.Drain)),
		line("connections", "drain"),
		line("startTimeout", FormatDuration(s.StartTimeout)),
		line("noDataTimeout", FormatDuration(s.NoDataTimeout)),
		line("noData", either(s.NoDataPasses, "pass", "hold")),
		line("onSourceError", either(s.SourceErrorRollback, "rollback", "hold")),
		line("damage", writeDamage(s.Damage)),
		line("shield", either(s.Shield500, "errors", "unavailable")),
		line("rollback", either(s.Gradual, "gradual", "atOnce")),
		s.matchBlock(),
		line("maintenance", writeMaintenance(s.Maintenance)),
	}
}

// outside is where the service is reached from outside.
func (s Service) outside() string {
	if s.Worker {
		return ""
	}
	if s.Host == "" {
		return line("host", none)
	}
	if s.Function != nil {
		return line("host", scalar(s.Host))
	}
	route := none
	if s.Route != "" {
		route = scalar(s.Route)
	}
	return line("host", scalar(s.Host)) + line("route", route) + s.routesBlock()
}

func (s Service) runLine() string {
	if len(s.Run.Args) == 0 {
		return line("run", optional(s.Run.Line))
	}
	var args []string
	for _, a := range s.Run.Args {
		args = append(args, scalar(a))
	}
	return line("run", "["+strings.Join(args, ", ")+"]")
}

func (s Service) healthLine() string {
	if s.Worker {
		return ""
	}
	if s.Health == "" {
		return line("health", none)
	}
	return line("health", scalar(s.Health))
}

func (s Service) envBlock() string {
	if len(s.Env)+len(s.Addresses) == 0 {
		return ""
	}
	values := map[string]string{}
	for k, v := range s.Env {
		values[k] = scalar(v)
	}
	for k, a := range s.Addresses {
		values[k] = writeAddress(a)
	}
	var b strings.Builder
	b.WriteString("env:\n")
	for _, k := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "  %s: %s\n", k, values[k])
	}
	return b.String()
}

func (s Service) secretsLine() string {
	if len(s.Secrets) == 0 {
		return ""
	}
	return line("secrets", "["+strings.Join(s.Secrets, ", ")+"]")
}

func (s Service) rolloutBlock() string {
	if s.BlueGreen != nil {
		var before rollout.Step
		if len(s.Steps) > 1 {
			before = s.Steps[0]
		}
		return line("rollout", flow(field{"blueGreen", flow(field{"hold", FormatDuration(before.Hold)},
			field{"approve", strconv.FormatBool(before.Approve)}, field{"keep", FormatDuration(s.BlueGreen.Keep)})}))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rollout: # %s\n  steps:\n", s.Strategy)
	for _, step := range s.Steps {
		fmt.Fprintf(&b, "    - %s\n", FormatStep(step))
	}
	return b.String()
}

func (s Service) alarmsBlock() string {
	if len(s.Alarms) == 0 {
		return line("alarms", none)
	}
	var b strings.Builder
	b.WriteString("alarms:\n")
	for _, a := range s.Alarms {
		fmt.Fprintf(&b, "  %s: %s\n", scalar(a.Name), longForm(a))
	}
	return b.String()
}

func longForm(a analysis.Alarm) string {
	l := a.Expand()
	return flow(field{"metric", scalar(l.Metric)}, field{"above", optional(l.Above)}, field{"below", optional(l.Below)},
		field{"for", optional(l.For)}, field{"of", optional(l.Of)}, field{"min", l.Min}, field{"missing", l.Missing}, field{"react", l.React})
}

func (s Service) hooksLine() string {
	h := s.Hooks
	if h == (rollout.Hooks{}) {
		return ""
	}
	return line("hooks", flow(field{"release", optional(h.Release)}, field{"preTraffic", optional(h.PreTraffic)},
		field{"postTraffic", optional(h.PostTraffic)}, field{"onRollback", optional(h.OnRollback)}))
}

// line is "key: value", or nothing without a value.
func line(key, value string) string {
	if value == "" {
		return ""
	}
	return key + ": " + value + "\n"
}

func optional(s string) string {
	if s == "" {
		return ""
	}
	return scalar(s)
}

func nonzero(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func either[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// indent moves every line of a block n spaces in.
func indent(block string, n int) string {
	var b strings.Builder
	for l := range strings.Lines(block) {
		b.WriteString(strings.Repeat(" ", n) + l)
	}
	return b.String()
}

package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// tellPlan writes what was found, and what follows from it, into the first log of a
// build, and a line of it to whoever pushed.
func (r *run) tellPlan(ctx context.Context, w Workload, p plan) error {
	log, err := r.openLog(w.Name, StepDetect)
	if err != nil {
		return err
	}
	defer log.close() //nolint:errcheck // a log that is cut short is still a log
	text := p.text(w)
	log.say("%s", strings.Join(text, "\n"))
	for _, missing := range r.sandbox.confinement(ctx) {
		log.say("%s", missing)
	}
	fmt.Fprintf(r.job.Progress, "plan    %-16s %s\n", w.Name, strings.Join(text, "; "))
	for _, warning := range p.warns {
		log.say("warning: %s", warning)
		fmt.Fprintf(r.job.Progress, "note    %s: %s\n", w.Name, warning)
	}
	return nil
}

// text says what a plan does, a line for each step.
func (p plan) text(w Workload) []string {
	out := []string{cmp.Or(p.toolchain(), "files, served as they are")}
	step := func(name, line, from string) {
		if line == "" {
			return
		}
		if from != "" {
			line += ", by " + from
		}
		out = append(out, name+": "+line)
	}
	step("fetch", cmp.Or(p.told, plain(p.fetch)), p.by)
	step("build", plain(p.build), "")
	step("test", w.Build.Test, "")
	switch {
	case w.Function != nil:
	case p.site && p.serves != "":
		out = append(out, "start: titrate serves the files; "+p.serves+" answers for paths that name none")
	case p.site:
		out = append(out, "start: titrate serves the files")
	case !w.Run.Silent():
		step("start", cmp.Or(w.Run.Line, strings.Join(w.Run.Args, " ")), "run of titrate.yaml")
	default:
		step("start", strings.TrimPrefix(p.run, "exec "), p.from)
	}
	return out
}

// plain is a line of a plan as a person would type it.
func plain(line string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.TrimPrefix(line, awayPrefix), "\n") {
		part = strings.TrimSpace(part)
		if m := elsewhere.FindStringSubmatch(part); m != nil {
			if part = m[2]; m[1] != "" {
				part += " in " + m[1]
			}
		}
		if part == `cd "$SRC"` {
			continue
		}
		part = strings.TrimPrefix(part, `cd "$SRC" && `)
		if i := strings.Index(part, "&& pnpm rebuild"); i >= 0 {
			part = part[i+3:]
		}
		part, _, _ = strings.Cut(part, " || echo ")
		if part = strings.TrimSpace(flags.ReplaceAllString(part, "")); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " && ")
}

// elsewhere is a line that runs in another folder of the source.
var elsewhere = regexp.MustCompile(`^\(cd "\$SRC/?([^"]*)" && (.*)\)$`)

// flags are how a step is kept quiet and in its place: of no interest to a reader.
var flags = regexp.MustCompile(` +--(?:cache|cache-dir|store-dir|cache-folder|target) "[^"]*"| +--?(?:ignore-scripts|include=dev|no-audit|no-fund|non-interactive|no-compile|no-input|no-warn-script-location|prefer-binary|prefer-offline|offline|production=false|prod=false|package-import-method copy|B|ntp)\b`)

var procLine = regexp.MustCompile(`(?m)^([A-Za-z0-9_-]+):[ \t]*(\S.*?)[ \t\r]*$`)

// procfile returns how a Procfile starts a workload: by the line of its name, or
// else as web.
func procfile(tree fs.FS, dir, name string) (line, from string) {
	text, err := readStart(tree, path.Join(dir, "Procfile"))
	if err != nil {
		return "", ""
	}
	lines := map[string]string{}
	for _, m := range procLine.FindAllStringSubmatch(string(text), -1) {
		lines[m[1]] = m[2]
	}
	for _, n := range []string{name, "web"} {
		if lines[n] != "" {
			return lines[n], n + " of Procfile"
		}
	}
	return "", ""
}

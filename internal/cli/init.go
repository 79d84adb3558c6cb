package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"titrate/client"
	"titrate/internal/manifest"
	"titrate/internal/pipeline"
)

func (s *session) initCommand() *cobra.Command {
	var route string
	c := &cobra.Command{
		Use: "init", Short: "detect the app, write titrate.yaml, add the git remote", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			seen, err := pipeline.Detect(os.DirFS(s.Dir))
			if err != nil {
				return &exitError{exitUsage, err}
			}
			name := s.app
			if seen.Manifest {
				app, path, err := s.manifest()
				if err != nil {
					return err
				}
				fmt.Fprintf(s.told(), "✔ %s is there: %s\n", filepath.Base(path), describeApp(app))
				return s.addRemote(cmd.Context(), app.Name)
			}
			if name == "" {
				name = appName(filepath.Base(s.Dir))
			}
			text := draft(name, route, seen)
			if _, problems := manifest.Parse([]byte(text), manifest.File); problems.Err() != nil {
				return problems.Err()
			}
			s.showDetection(name, seen, text)
			if ok, err := s.ask(fmt.Sprintf("Write %s (%d lines) and add the git remote \"titrate\"? [Y/n] ", manifest.File, strings.Count(text, "\n"))); err != nil || !ok {
				return err
			}
			if err := os.WriteFile(filepath.Join(s.Dir, manifest.File), []byte(text), 0o644); err != nil { //nolint:gosec // a file to commit, for everybody to read
				return fmt.Errorf("write the manifest: %w", err)
			}
			return s.addRemote(cmd.Context(), name)
		},
	}
	c.Flags().StringVar(&route, "host", "", "host name of the service (default: APP.localhost)")
	return c
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// appName makes a name out of a folder's.
func appName(folder string) string {
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(folder), "-"), "-")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "app-" + name
	}
	return strings.TrimRight(name[:min(len(name), 40)], "-")
}

// draft is the manifest for what was detected.
func draft(name, host string, seen pipeline.Detection) string {
	var b strings.Builder
	fmt.Fprintf(&b, "titrate: 1\napp: %s\n\nservices:\n", name)
	first := true
	for _, svc := range seen.Services {
		parts := []string{"build: " + svc.Dir}
		switch {
		case svc.Worker:
			parts = append(parts, "worker: true")
		default:
			if svc.Port != 0 {
				parts = append(parts, fmt.Sprintf("port: %d", svc.Port))
			}
			if svc.Health != "" {
				parts = append(parts, "health: "+svc.Health)
			}
			at := svc.Name + "." + name + ".localhost"
			if first {
				at = name + ".localhost"
				if host != "" {
					at = host
				}
			}
			first = false
			parts = append(parts, "host: "+at)
		}
		if len(seen.Secrets) > 0 && len(seen.Services) == 1 {
			var names []string
			for _, x := range seen.Secrets {
				names = append(names, x.Name)
			}
			parts = append(parts, "secrets: ["+strings.Join(names, ", ")+"]")
		}
		fmt.Fprintf(&b, "  %s: { %s }\n", svc.Name, strings.Join(parts, ", "))
	}
	return b.String()
}

// showDetection says what was guessed, and from what.
func (s *session) showDetection(name string, seen pipeline.Detection, text string) {
	w := s.told()
	fmt.Fprintf(w, "Looked at: %s\n", strings.Join(seen.Looked, ", "))
	rows := [][]string{{"  app", name, "from the folder's name, or --app"}}
	for _, svc := range seen.Services {
		rows = append(rows, []string{"  service", svc.Name, svc.From})
		switch {
		case svc.Worker:
			rows = append(rows, []string{"  worker", "yes", "it does not seem to listen"})
		case svc.Port != 0:
			rows = append(rows, []string{"  port", fmt.Sprint(svc.Port), svc.PortFrom})
		default:
			rows = append(rows, []string{"  port", "$PORT", svc.PortFrom})
		}
		if svc.Health != "" {
			rows = append(rows, []string{"  health", svc.Health, svc.HealthFrom})
		}
	}
	for _, x := range seen.Secrets {
		rows = append(rows, []string{"  secret", x.Name, x.From + "; values are not read"})
	}
	rows = append(rows, []string{"  rollout", "Linear10PercentEvery1Minute", "default"})
	table(w, rows)
	for _, n := range seen.Notes {
		fmt.Fprintln(w, "  note:", n)
	}
	fmt.Fprintf(w, "\n%s\n", text)
	for _, x := range seen.Secrets {
		fmt.Fprintf(w, "Before the first push: titrate secret set %s\n", x.Name)
	}
}

// ask asks a yes-or-no question; yes is the default, and the answer of --yes.
func (s *session) ask(question string) (bool, error) {
	if s.yes {
		return true, nil
	}
	if s.noInput || !s.live(s.Out) {
		return false, usage("an answer is needed: %s\n  help    --yes", strings.TrimSpace(question))
	}
	fmt.Fprint(s.Out, question)
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "" || answer == "y" || answer == "yes", nil
}

// addRemote adds the git remote and the credential helper that answers for it, so
// that no token stands in a URL.
func (s *session) addRemote(ctx context.Context, app string) error {
	c, err := s.connect()
	if err != nil {
		var e *exitError
		if errors.As(err, &e) {
			fmt.Fprintf(s.Err, "No git remote was added: no server is up.\n  help    titrate up, then titrate init again\n")
			return s.emit(initAnswer{App: app}, nothing)
		}
		return err
	}
	if err := s.git(ctx, "rev-parse", "--git-dir"); err != nil {
		if err := s.git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
			return err
		}
	}
	return s.setRemote(ctx, c, app)
}

func (s *session) setRemote(ctx context.Context, c *client.Client, app string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	server := strings.TrimSuffix(c.URL, "/")
	url := server + "/git/" + app + ".git"
	if err := s.git(ctx, "remote", "get-url", "titrate"); err == nil {
		err = s.git(ctx, "remote", "set-url", "titrate", url)
		if err != nil {
			return err
		}
	} else if err := s.git(ctx, "remote", "add", "titrate", url); err != nil {
		return err
	}
	dir, err := s.dataDir()
	if err != nil {
		return err
	}
	helper := "!" + quote(program) + " __credential --data " + quote(dir)
	if s.server != "" {
		helper += " --server " + quote(s.server)
	}
	key := "credential." + server
	// The empty value first: helpers set elsewhere are not asked about this server.
	for _, args := range [][]string{{"config", "--replace-all", key + ".helper", ""}, {"config", "--add", key + ".helper", helper}} {
		if err := s.git(ctx, args...); err != nil {
			return err
		}
	}
	return s.emit(initAnswer{app, url}, func(w io.Writer) {
		fmt.Fprintf(w, "✔ git remote titrate → %s\n\nNext: git push titrate HEAD\n", url)
	})
}

// initAnswer is what `titrate init` left behind.
type initAnswer struct {
	App    string `json:"app"`
	Remote string `json:"remote,omitempty"`
}

// told is where what was found is told: on stdout, unless that is for data.
func (s *session) told() io.Writer {
	if s.output == "json" {
		return s.Err
	}
	return s.Out
}

// quote makes one shell word, since git runs helpers by a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func (s *session) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = s.Dir, s.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

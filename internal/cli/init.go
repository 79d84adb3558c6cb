package cli

import (
	"bytes"
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
	"titrate/internal/importer"
	"titrate/internal/manifest"
)

func (s *session) initCommand() *cobra.Command {
	var further string
	var wish wish
	c := &cobra.Command{
		Use: "init", Short: "detect the app, write titrate.yaml, add the git remote", Args: between(0, 0),
		Long: "Look at the repository and say what was found, and where; print the titrate.yaml that follows, and ask whether to write it. " +
			"A compose file, Kamal's config/deploy.yml, a fly.toml or a Procfile says more than the code: they are read as titrate import does. " +
			"With several of them, and code, it asks which is meant; --from says it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			here, err := filepath.Abs(s.Dir)
			if err != nil {
				return fmt.Errorf("find the working folder: %w", err)
			}
			repository, err := s.atRoot(cmd.Context())
			if err != nil {
				return err
			}
			if further != "" {
				return s.addFurther(cmd.Context(), further, repository)
			}
			if _, err := os.Stat(filepath.Join(s.Dir, manifest.File)); err == nil {
				app, path, err := s.manifest()
				if err != nil {
					return err
				}
				fmt.Fprintf(s.told(), "✔ %s is there: %s\n", filepath.Base(path), describeApp(app))
				return s.addRemote(cmd.Context(), app.Name, repository)
			}
			if s.app != "" && s.app != appName(s.app) { // there is no file yet whose line could be wrong
				return usage("--app %s is no name for an app\n  help    titrate init --app %s", s.app, appName(s.app))
			}
			p, err := s.propose(cmd.Context(), here, wish)
			if err != nil {
				return err
			}
			return s.settle(cmd.Context(), p, repository)
		},
	}
	c.Flags().StringVar(&further, "repo", "", "APP/NAME: this is a further repository of an app, whose titrate.yaml says repo: NAME; adds the git remote only")
	c.Flags().StringVar(&wish.host, "host", "", "host name of the service (default: APP.localhost)")
	c.Flags().StringVar(&wish.from, "from", "", "the file to go by, such as compose.yaml; or code: look at the code itself")
	c.Flags().StringSliceVar(&wish.profiles, "profile", nil, "take services of this profile of compose too")
	return c
}

// settle shows a proposal, and makes it the manifest when the person agrees.
func (s *session) settle(ctx context.Context, p proposal, repository bool) error {
	p.show(s.told())
	if err := s.remoteIsFree(ctx, p.app); err != nil {
		return err
	}
	also := ""
	if !repository {
		also = ", make a git repository"
	}
	for _, f := range p.also {
		s.also = append(s.also, f.Name)
	}
	names := strings.Join(append([]string{manifest.File}, s.also...), ", ")
	if ok, err := s.ask(ctx, fmt.Sprintf("Write %s (%d lines)%s and add the git remote \"titrate\"? [Y/n] ", names, strings.Count(p.text, "\n"), also)); err != nil || !ok {
		return err
	}
	for _, f := range append([]importer.File{{Name: manifest.File, Text: p.text}}, p.also...) {
		if err := os.WriteFile(filepath.Join(s.Dir, filepath.FromSlash(f.Name)), []byte(f.Text), 0o644); err != nil { //nolint:gosec // a file to commit, for everybody to read
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	return s.addRemote(ctx, p.app, repository)
}

// atRoot goes to the root of the repository around the working folder, where a push
// is looked for its manifest. There may be none yet.
func (s *session) atRoot(ctx context.Context) (repository bool, err error) {
	root, err := s.gitSays(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return false, nil //nolint:nilerr // no repository is no error: one is made
	}
	here, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		return false, fmt.Errorf("look at the working folder: %w", err)
	}
	if root != here {
		fmt.Fprintf(s.told(), "The repository's root is %s: %s stands there.\n", root, manifest.File)
		s.Dir = root
	}
	return true, nil
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

// addRemote adds the git remote and the credential helper that answers for it, so
// that no token stands in a URL. Without a repository it makes one.
func (s *session) addRemote(ctx context.Context, app string, repository bool) error {
	c, err := s.connect()
	if err != nil {
		var e *exitError
		if errors.As(err, &e) {
			fmt.Fprintln(s.Err, s.typed("No git remote was added: "+e.Error()+"\n          then titrate init again"))
			return s.emit(initAnswer{App: app}, nothing)
		}
		return err
	}
	if err := s.remoteIsFree(ctx, app); err != nil {
		return err
	}
	if !repository {
		if _, err := s.gitSays(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
			return err
		}
		fmt.Fprintf(s.told(), "✔ git repository made in %s, with branch main\n", s.Dir)
	}
	return s.setRemote(ctx, c, app)
}

// repoName is a further repository of an app.
var repoName = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?/[a-z]([a-z0-9-]*[a-z0-9])?$`)

// addFurther adds the remote of a further repository of an app.
func (s *session) addFurther(ctx context.Context, repo string, repository bool) error {
	if !repoName.MatchString(repo) {
		return usage("--repo is the app and the name that its %s has for this repository\n  saw     %s\n  help    titrate init --repo shop/orders", manifest.File, repo)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, manifest.File)); err == nil {
		return usage("this repository has a %s: it is an app's own, not a further one of %s\n  help    titrate init", manifest.File, repo)
	}
	return s.addRemote(ctx, repo, repository)
}

// remoteURL is where an app is pushed.
func remoteURL(c *client.Client, app string) string {
	url := strings.TrimSuffix(c.URL, "/")
	if strings.HasPrefix(url, "https://") {
		return url + "/" + app + ".git"
	}
	return url + "/git/" + app + ".git"
}

// remoteIsFree is an error when a remote titrate leads elsewhere: somebody may push
// there. Without a server no remote is added, so that any may be there.
func (s *session) remoteIsFree(ctx context.Context, app string) error {
	c, err := s.connect()
	if err != nil {
		return nil //nolint:nilerr // addRemote says so
	}
	now, err := s.gitSays(ctx, "remote", "get-url", "titrate")
	if url := remoteURL(c, app); err == nil && now != url {
		return usage("the git remote titrate leads elsewhere already\n  saw     %s\n  help    git remote set-url titrate %s\n"+
			"          or keep it by another name: git remote rename titrate old; then titrate init", now, url)
	}
	return nil
}

func (s *session) setRemote(ctx context.Context, c *client.Client, app string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	url := remoteURL(c, app)
	if _, err := s.gitSays(ctx, "remote", "get-url", "titrate"); err != nil {
		if _, err := s.gitSays(ctx, "remote", "add", "titrate", url); err != nil {
			return err
		}
	}
	if a, err := s.access(); err != nil {
		return err
	} else if a.login { // titrate login has told git whom to ask
		return s.remoteSet(ctx, app, url)
	}
	dir, err := s.dataDir()
	if err != nil {
		return err
	}
	helper := "!" + quote(program) + " __credential --data " + quote(dir)
	if s.server != "" {
		helper += " --server " + quote(s.server)
	}
	key := "credential." + strings.TrimSuffix(c.URL, "/")
	// The empty value first: helpers set elsewhere are not asked about this server.
	for _, args := range [][]string{{"config", "--replace-all", key + ".helper", ""}, {"config", "--add", key + ".helper", helper}} {
		if _, err := s.gitSays(ctx, args...); err != nil {
			return err
		}
	}
	return s.remoteSet(ctx, app, url)
}

func (s *session) remoteSet(ctx context.Context, app, url string) error {
	return s.emit(initAnswer{app, url}, func(w io.Writer) {
		fmt.Fprintf(w, "✔ git remote titrate → %s\n\nNext: %s\n", url, s.toPush(ctx))
	})
}

// toPush is what is still to be typed until the app is pushed.
func (s *session) toPush(ctx context.Context) string {
	const push = "git push titrate HEAD"
	if _, err := s.gitSays(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil { // nothing is committed yet
		return `git add . && git commit -m "Titrate" && ` + push
	}
	if _, err := os.Stat(filepath.Join(s.Dir, manifest.File)); err != nil { // a further repository of an app
		return push
	}
	_, unknown := s.gitSays(ctx, "ls-files", "--error-unmatch", manifest.File)
	_, changed := s.gitSays(ctx, "diff", "--quiet", "HEAD", "--", manifest.File)
	if unknown != nil || changed != nil {
		return strings.Join(append([]string{"git add", manifest.File}, s.also...), " ") + ` && git commit -m "Titrate" && ` + push
	}
	return push
}

// initAnswer is what `titrate init` left behind.
type initAnswer struct {
	App    string `json:"app"`
	Remote string `json:"remote,omitempty"`
}

// told is where what was found is told: on stdout, unless that is for data.
func (s *session) told() io.Writer {
	if s.forPrograms() {
		return s.Err
	}
	return s.Out
}

// quote makes one shell word, since git runs helpers by a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// gitSays runs git here, and returns what it wrote without the last line's end.
func (s *session) gitSays(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = s.Dir, s.Env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w\n%s%s", strings.Join(args, " "), err, out.Bytes(), said.Bytes())
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

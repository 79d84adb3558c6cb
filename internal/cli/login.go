package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
	"titrate/internal/durable"
)

func (s *session) loginCommand() *cobra.Command {
	var ca string
	c := &cobra.Command{
		Use: "login URL", Short: "sign in to a server elsewhere, with a token from stdin or a prompt", Args: between(1, 1),
		Long: "The token is made there by `titrate token create NAME`. It is shown to the server before it is kept, in a file that\n" +
			"only you can read, and given to git for pushes to that server alone. Commands ask that server where none is up on this\n" +
			"machine; `--server URL` names one of several.",
		RunE: func(cmd *cobra.Command, args []string) error { return s.login(cmd.Context(), args[0], ca) },
	}
	c.Flags().StringVar(&ca, "ca", "", "file with who signs the server's certificate, where that is a CA of your own")
	return c
}

// loginAnswer is who somebody is, and where.
type loginAnswer struct {
	Name    string     `json:"name"`
	Role    string     `json:"role,omitempty"`
	URL     string     `json:"url"`
	Server  string     `json:"server"` // its version
	From    string     `json:"from,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

func (s *session) login(ctx context.Context, text, ca string) error {
	server, err := serverURL(text)
	if err != nil {
		return err
	}
	known, err := s.logins()
	if err != nil {
		return err
	}
	if ca != "" && !filepath.IsAbs(ca) {
		ca = filepath.Join(s.Dir, ca)
	}
	hc, err := trusting(ca)
	if err != nil {
		return err
	}
	token, err := s.readSecret(ctx, "token", "token for "+server+": ", "titrate token create NAME on the server makes one; pipe it in or paste it")
	if err != nil {
		return err
	}
	c := &client.Client{URL: server, Token: strings.TrimSpace(token), HTTP: hc, Patience: 15 * time.Second}
	who, err := s.introduce(ctx, c)
	if err != nil {
		return err
	}
	l := login{URL: server, Token: c.Token, Name: who.Name}
	if ca != "" {
		if l.CA, err = keepCA(known.path, server, ca); err != nil {
			return err
		}
	}
	if err := known.write(append([]login{l}, known.without(server)...)); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "✔ signed in to %s as %s%s\n", server, who.Name, until(who.Expires))
	if err := s.gitLogin(ctx, l); err != nil {
		fmt.Fprintf(s.Err, "▲ git is not set up for it: %v\n", err)
	}
	fmt.Fprintln(s.Err, "\nNext: titrate init in your app's folder, or titrate status")
	return s.emit(loginAnswer{Name: who.Name, Role: who.Role, URL: server, Server: who.Server, Expires: who.Expires}, nothing)
}

// introduce shows the token to the server, and makes sure that it is one that this
// program can talk to.
func (s *session) introduce(ctx context.Context, c *client.Client) (client.Identity, error) {
	who, err := c.Whoami(ctx)
	var p *client.Problem
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized && p.Code != "":
		return who, &exitError{exitSignIn, fmt.Errorf("error[%s]: %s; nothing was kept\n  where   %s\n  help    titrate token create NAME on the server makes a new one", p.Code, p.Detail, c.URL)}
	case errors.As(err, &p) && p.Code != "" && p.Code != "T0802":
		return who, err
	case errors.As(err, &p), errors.As(err, &syntax), errors.Is(err, io.EOF):
		return who, fmt.Errorf("error[T0725]: what answers at %s is no titrate that this one knows\n  saw     %v\n  help    look at the URL; if it is a titrate, bring both to one version", c.URL, err) //nolint:errorlint // what it answered is no answer of ours
	case err != nil:
		return who, unreached(c.URL, err)
	case who.Protocol > client.Protocol:
		return who, fmt.Errorf("error[T0725]: the server is newer than this program\n  saw     titrate %s, which speaks version %d of the API; this program knows %d\n  help    install titrate %s here", who.Server, who.Protocol, client.Protocol, who.Server)
	}
	return who, nil
}

// keepCA copies who signs a server's certificate beside the logins, where git finds
// it too, and returns the file.
func keepCA(beside, server, ca string) (string, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return "", fmt.Errorf("read who signs the server's certificate: %w", err)
	}
	dir := filepath.Dir(beside)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keep who signs the server's certificate: %w", err)
	}
	_, host, _ := strings.Cut(server, "://")
	path := filepath.Join(dir, url.PathEscape(host)+".pem")
	return path, durable.WriteFile(path, text)
}

// gitLogin has git ask this program for the credential of one server.
func (s *session) gitLogin(ctx context.Context, l login) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	key := "credential." + l.URL + ".helper"
	// The empty value first: helpers set elsewhere are not asked about this server.
	steps := [][]string{{"--replace-all", key, ""}, {"--add", key, "!" + quote(program) + " git-credential"}}
	if l.CA != "" {
		steps = append(steps, []string{"--replace-all", "http." + l.URL + ".sslCAInfo", l.CA})
	}
	for _, args := range steps {
		if _, err := s.gitSays(ctx, append([]string{"config", "--global"}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout [URL]", Short: "forget the token for a server, here and in git's settings", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			known, err := s.logins()
			if err != nil {
				return err
			}
			l, err := known.one(args)
			if err != nil {
				return err
			}
			if err := known.write(known.without(l.URL)); err != nil {
				return err
			}
			for _, key := range []string{"credential." + l.URL + ".helper", "http." + l.URL + ".sslCAInfo"} {
				_, _ = s.gitSays(cmd.Context(), "config", "--global", "--unset-all", key) // it may not be there
			}
			if l.CA != "" {
				os.Remove(l.CA)
			}
			fmt.Fprintf(s.Err, "Signed out of %s. The token %s is still good there: titrate token revoke %s ends it.\n", l.URL, l.Name, l.Name)
			return s.emit(loginAnswer{Name: l.Name, URL: l.URL}, nothing)
		},
	}
}

// one is the login that is named, or the only one.
func (l *logins) one(args []string) (login, error) {
	if len(args) > 0 {
		server, err := serverURL(args[0])
		if err != nil {
			return login{}, err
		}
		if found, ok := l.of(server); ok {
			return found, nil
		}
		return login{}, usage("you are not signed in to %s\n  saw     %s", server, l)
	}
	if len(l.list) == 1 {
		return l.list[0], nil
	}
	if len(l.list) == 0 {
		return login{}, usage("you are not signed in anywhere\n  help    titrate login URL")
	}
	return login{}, usage("you are signed in to several servers\n  saw     %s\n  help    name one", l)
}

// String lists the servers.
func (l *logins) String() string {
	if len(l.list) == 0 {
		return "no login"
	}
	var urls []string
	for _, x := range l.list {
		urls = append(urls, x.URL)
	}
	return strings.Join(urls, ", ")
}

func (s *session) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "which server is asked, with whose token, and where that is from", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := s.access()
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			who, err := c.Whoami(cmd.Context())
			if err != nil {
				return unreached(c.URL, err)
			}
			answer := loginAnswer{Name: who.Name, Role: who.Role, URL: c.URL, Server: who.Server, From: a.from, Expires: who.Expires}
			return s.emit(answer, func(w io.Writer) {
				role := ""
				if who.Role != "" { // a server from before roles tells of none
					role = "\n    role     " + who.Role
				}
				fmt.Fprintf(w, "%s at %s%s%s\n    server   titrate %s\n    from     %s\n", who.Name, c.URL, until(who.Expires), role, who.Server, a.from)
			})
		},
	}
}

// until says when a token ends; nothing where it does not.
func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return ", until " + t.Local().Format("2006-01-02 15:04")
}

// gitCredentialCommand is a git credential helper, gitcredentials(7), for the servers
// that one has signed in to and for no other. What git would have it store or erase
// is titrate login's to keep.
func (s *session) gitCredentialCommand() *cobra.Command {
	return &cobra.Command{
		Use: "git-credential get|store|erase", Short: "what git asks for the token of a server; titrate login sets it up", Args: between(1, 1), Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			asked, err := s.gitAsks()
			if err != nil {
				return err
			}
			known, err := s.logins()
			if err != nil {
				return err
			}
			l, ok := known.of(asked)
			switch {
			case !ok: // git asks its next helper
			case args[0] == "get":
				fmt.Fprintf(s.Out, "username=titrate\npassword=%s\n", l.Token)
			case args[0] == "erase":
				fmt.Fprintf(s.Err, "titrate: %s does not take the token %s any more: titrate login %s\n", l.URL, l.Name, l.URL)
			}
			return nil
		},
	}
}

// gitAsks reads which server git asks about.
func (s *session) gitAsks() (string, error) {
	asked, err := io.ReadAll(io.LimitReader(s.In, 64<<10))
	if err != nil {
		return "", fmt.Errorf("read what git asks: %w", err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(asked)) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		want[name] = value
	}
	return want["protocol"] + "://" + want["host"], nil
}

// Package cli is the command line: what a person types, and the words and exit
// codes that come back. It knows the server by the HTTP API only.
//
// House rules: stdout is data, stderr is messages. `-o json` never changes shape
// within a major version. A wait says for what and until when. Ctrl-C detaches
// and never aborts a rollout. Secrets' values are read from stdin or a prompt,
// never from a flag.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"titrate/internal/daemon"
	"titrate/internal/target/local"
)

// Terminal is what a command line has around it.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	Dir      string   // the working folder
	Env      []string // KEY=VALUE
}

// session is one call of the command line.
type session struct {
	Terminal
	form
	app, env, server, data string
	yes, noInput           bool
	also                   []string // files that this call wrote beside the manifest
}

// Main runs the command line args (without the program's name) and returns the
// exit code.
func Main(ctx context.Context, args []string, t Terminal) int {
	if len(args) > 0 && args[0] == local.LaunchCommand {
		// Each start of a workload passes here: nothing is parsed, and the variables
		// are the workload's and not ours.
		return exitCode(ctx, local.Launch())
	}
	out := &output{Writer: t.Out}
	s := &session{Terminal: t}
	s.Out = out
	root := s.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("write the output: %w", out.err)
	}
	code := exitCode(ctx, err)
	var quiet *exitError
	if err != nil && (!errors.As(err, &quiet) || quiet.err != nil) {
		s.complain(err, s.json() || jsonAsked.MatchString(strings.Join(args, " ")))
	}
	return code
}

// jsonAsked finds -o json where the flags could not be read to their end.
var jsonAsked = regexp.MustCompile(`(^| )(-o[ =]?|--output[ =])json( |$)`)

// output is stdout, and remembers the first write that failed: a full disk must not
// pass for success, and no command has to look at every line it writes.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// screen is the terminal that w is, if it is one.
func screen(w io.Writer) (*os.File, bool) {
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "titrate",
		Short:         "git push becomes a release that takes itself back when an alarm trips",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.Version = daemon.Version()
	root.SetVersionTemplate("titrate {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVarP(&s.app, "app", "a", "", "the app (default: that of titrate.yaml here, or the only one)")
	f.StringVarP(&s.env, "env", "e", "", "the environment (default: the only one, or production)")
	f.StringVarP(&s.output, "output", "o", formText, "text, wide (text with more in it), json or yaml")
	f.StringVar(&s.jq, "jq", "", "what to write of the JSON, as an expression of jq")
	f.StringVar(&s.template, "template", "", "what to write of the JSON, as a template of Go")
	f.StringVar(&s.server, "server", "", "URL of the server (default: TITRATE_SERVER, the one up on this machine, or the last login)")
	f.StringVar(&s.data, "data", "", "data folder of the server on this machine (default: TITRATE_DATA, or "+defaultDataHint+")")
	f.BoolVarP(&s.yes, "yes", "y", false, "ask nothing")
	f.BoolVar(&s.noInput, "no-input", false, "ask nothing, and fail where an answer is needed")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return s.read(c) }
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%v\n  help    %s --help", err, c.CommandPath())
	})
	root.AddCommand(
		s.demoCommand(), s.upCommand(), s.downCommand(), s.initCommand(), s.importCommand(), s.devCommand(), s.deployCommand(),
		s.statusCommand(), s.openCommand(), s.logsCommand(), s.diffCommand(), s.historyCommand(), s.rollbackCommand(),
		s.rolloutCommand(), s.secretCommand(), s.accessoryCommand(), s.fnCommand(), s.queueCommand(), s.certificateCommand(), s.loginCommand(), s.logoutCommand(), s.whoamiCommand(), s.tokenCommand(),
		s.gitCredentialCommand(), s.validateCommand(), s.configCommand(), s.explainCommand(), s.schemaCommand(), s.simulateCommand(), s.serverCommand(), s.versionCommand(),
	)
	root.AddCommand(s.processCommands()...)
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = unknownCommand, func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	return root
}

// unknownCommand refuses a first word that is no command, with the nearest.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := c.CommandPath() + " --help lists the commands"
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	return usage("unknown command %q\n  help    %s", args[0], hint)
}

// variable returns the value of an environment variable of the call.
func (s *session) variable(name string) string {
	for _, kv := range s.Env {
		if len(kv) > len(name) && kv[len(name)] == '=' && kv[:len(name)] == name {
			return kv[len(name)+1:]
		}
	}
	return ""
}

// live reports whether w is a terminal that may be drawn on.
func (s *session) live(w io.Writer) bool {
	_, ok := screen(w)
	return ok && s.variable("TERM") != "dumb"
}

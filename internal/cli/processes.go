package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"titrate/examples/cofe/builtin"
	"titrate/internal/cgroup"
	"titrate/internal/daemon"
	"titrate/internal/keeper"
	"titrate/internal/pipeline"
	"titrate/internal/source"
	"titrate/internal/static"
)

// processCommands are the words with which this program starts itself: they are
// hidden, and no interface.
func (s *session) processCommands() []*cobra.Command {
	hidden := func(use string, run func(cmd *cobra.Command, args []string) error) *cobra.Command {
		return &cobra.Command{Use: use, Hidden: true, RunE: run}
	}
	raw := func(use string, run func(args []string) int) *cobra.Command {
		return &cobra.Command{Use: use, Hidden: true, DisableFlagParsing: true, RunE: func(_ *cobra.Command, args []string) error { return result(run(args)) }}
	}
	return []*cobra.Command{
		hidden("__server", func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			return daemon.Server(cmd.Context(), daemon.ServerConfig{
				Dir: s.data, Sockets: s.variable(keeper.SocketsVar), Program: program, Log: s.processLog("server"),
				Network: s.variable(daemon.NetworkVar) != "", Engine: s.variable(daemon.EngineVar),
			})
		}),
		hidden("__node", func(cmd *cobra.Command, _ []string) error {
			return daemon.Node(cmd.Context(), daemon.NodeConfig{
				Dir: s.data, Engine: s.variable(daemon.EngineVar), Sockets: s.variable(keeper.SocketsVar), Log: s.processLog("node"),
				Access:  s.variable(daemon.AccessLogVar),
				Proxies: daemon.Proxies{At: s.variable(daemon.ProxiesVar), Protocol: s.variable(daemon.ProxyProtocolVar) != ""},
				Unit:    cgroup.Unit{Undivides: s.variable(daemon.UndividesVar) != ""},
			})
		}),
		hidden("__undivide", func(*cobra.Command, []string) error { return cgroup.Undivide() }),
		hidden("__git-hook", func(_ *cobra.Command, args []string) error {
			return result(source.Hook(strings.Join(args, " "), s.In, s.Out, s.Env))
		}),
		raw("__sandbox", func(args []string) int { return pipeline.Sandbox(args) }),
		raw("__gocache", func(args []string) int { return pipeline.GoCache(args, s.In, s.Out) }),
		raw("__static", func(args []string) int { return static.Main(args, s.variable("PORT"), s.Err) }),
		raw("demo-app SERVICE", func(args []string) int {
			if len(args) != 1 {
				return exitUsage
			}
			return builtin.Main(args[0])
		}),
		hidden("__credential", func(cmd *cobra.Command, args []string) error { return s.credential(cmd.Context(), args) }),
	}
}

func (s *session) processLog(name string) *slog.Logger {
	level := slog.LevelInfo
	if strings.EqualFold(s.variable("TITRATE_LOG"), "debug") {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: level})).With(slog.String("process", name))
}

// credential is a git credential helper, gitcredentials(7): it answers "get" with
// the token of the server on this machine, for that server only, so that no token
// stands in a URL or a file of the repository.
func (s *session) credential(_ context.Context, args []string) error {
	if len(args) == 0 || args[len(args)-1] != "get" {
		return nil // what git would have us store or erase is ours to keep
	}
	asked, err := s.gitAsks()
	if err != nil {
		return err
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	if asked != strings.TrimSuffix(c.URL, "/") {
		return errors.New("git asks for another server's credential")
	}
	_, err = fmt.Fprintf(s.Out, "username=titrate\npassword=%s\n", c.Token)
	return err
}

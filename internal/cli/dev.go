package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"titrate/client"
	"titrate/internal/daemon"
	"titrate/internal/dev"
	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

func (s *session) devCommand() *cobra.Command {
	cfg := dev.Config{}
	var split string
	var faults, only, logs, repos []string
	c := &cobra.Command{
		Use: "dev", Short: "run every service of this folder here; reload on save", Args: between(0, 0),
		Long: "Builds what is saved, in the sandbox that a push is built in, and runs it behind a real gateway on one local address. A new\n" +
			"version takes over once it is ready; while it does not build or come up, the one before goes on. `.env` is read: its values are\n" +
			"the services' variables and secrets. The manifest's alarms judge what runs, and say what a rollout would do.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, path, err := s.manifest()
			if err != nil {
				return err
			}
			cfg.Root, cfg.Env, cfg.Only, cfg.Logs = filepath.Dir(path), s.env, only, logs
			if _, ok := m.Environment(cfg.Env); cfg.Env != "" && !ok {
				return noEnvironment(m.Name, cfg.Env, environmentNames(m))
			}
			if cfg.Split, err = parseSplit(split); err != nil {
				return err
			}
			for _, text := range faults {
				f, err := dev.ParseFault(text)
				if err != nil {
					return &exitError{exitUsage, err}
				}
				cfg.Faults = append(cfg.Faults, f)
			}
			if cfg.Repos, err = s.repoFolders(repos); err != nil {
				return err
			}
			for _, file := range []*string{&cfg.Record, &cfg.Replay} {
				if *file != "" && !filepath.IsAbs(*file) {
					*file = filepath.Join(s.Dir, *file)
				}
			}
			if cfg.Dir, err = s.devDir(m.Name, cfg.Root); err != nil {
				return err
			}
			cfg.Vars, cfg.Out = s.Env, s.Out
			cfg.Colour = s.live(s.Out) && s.variable("NO_COLOR") == ""
			cfg.Log = slog.New(slog.DiscardHandler)
			if strings.EqualFold(s.variable("TITRATE_LOG"), "debug") {
				cfg.Log = s.processLog("dev")
			}
			defer daemon.OneSignal()() // a second Ctrl-C would leave processes behind
			return dev.Run(cmd.Context(), cfg)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&only, "only", nil, "services to run, by name: checkout,payments (default: all)")
	f.StringArrayVar(&repos, "repo", nil, "NAME=FOLDER: where a further repository of the app is, as in orders=../orders (default: a git checkout of that name beside this one)")
	f.StringSliceVar(&logs, "logs", nil, "show what services write whose names begin so (default: all)")
	f.StringVar(&cfg.Gateway, "gateway", "127.0.0.1:7090", "the one address; port 0 takes a free one")
	f.StringVar(&split, "split", "", "run the committed version beside the edited one: 90/10 gives the edited one 10 % of the requests")
	f.StringArrayVar(&faults, "fault", nil, "break answers on purpose: 5xx=5%, drop=1%, latency=300ms:20%; orders/5xx=5% of one service; with --split those of the edited version")
	f.StringVar(&cfg.Record, "record", "", "file to write a load profile to: what is asked, and when")
	f.StringVar(&cfg.Replay, "replay", "", "load profile to send again and again")
	return c
}

const devHelp = "of the titrate dev that runs for this folder"

// inDev is inEnvironment, or the same of the titrate dev that runs for the manifest here.
func (s *session) inDev(ctx context.Context, asked bool, do func(c *client.Client, app, env string) error) error {
	if !asked {
		return s.inEnvironment(ctx, do)
	}
	m, path, err := s.manifest()
	if err != nil {
		return err
	}
	if s.app != "" && s.app != m.Name || s.env != "" && s.env != dev.Env {
		return usage("--dev is of %s, the app of this folder, in the one environment that titrate dev has\n  help    leave --app and --env out, or --dev", m.Name)
	}
	dir, err := s.devDir(m.Name, filepath.Dir(path))
	if err != nil {
		return err
	}
	door, err := dev.FindDoor(ctx, dir)
	if err != nil {
		return err
	}
	return do(&client.Client{URL: door.URL, Token: door.Token}, m.Name, dev.Env)
}

// parseSplit reads COMMITTED/EDITED, and returns the share of the edited version.
func parseSplit(text string) (rollout.Weight, error) {
	if text == "" {
		return 0, nil
	}
	committed, edited, ok := strings.Cut(text, "/")
	a, err := strconv.ParseFloat(committed, 64)
	b, err2 := strconv.ParseFloat(edited, 64)
	if w := rollout.Weight(b / 100 * float64(rollout.Full)); ok && err == nil && err2 == nil && a+b == 100 && w > 0 && w < rollout.Full {
		return w, nil
	}
	return 0, usage("--split %s: two shares that make 100, as in 90/10", text)
}

// repoFolders reads NAME=FOLDER: where further repositories of the app are.
func (s *session) repoFolders(texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range texts {
		name, dir, ok := strings.Cut(text, "=")
		if !ok || name == "" || dir == "" {
			return nil, usage("--repo %s: a repository, as repo: has it in %s, and its folder, as in --repo orders=../orders", text, manifest.File)
		}
		if other, twice := out[name]; twice {
			return nil, usage("--repo %s: %s is at %s already", text, name, other)
		}
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(s.Dir, dir)
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, usage("--repo %s: there is no folder %s", text, dir)
		}
		out[name] = filepath.Clean(dir)
	}
	return out, nil
}

// devDir is where builds, logs and the state of services of a folder are kept from one
// titrate dev to the next.
func (s *session) devDir(app, root string) (string, error) {
	base := s.variable("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) {
		home := s.variable("HOME")
		if home == "" {
			return "", usage("HOME is not set\n  help    set it, or XDG_CACHE_HOME")
		}
		base = filepath.Join(home, ".cache")
	}
	sum := sha256.Sum256([]byte(root))
	return filepath.Join(base, "titrate", "dev", app+"-"+hex.EncodeToString(sum[:4])), nil
}

func environmentNames(m *manifest.App) (names []string) {
	for _, e := range m.Environments {
		names = append(names, e.Name)
	}
	return names
}

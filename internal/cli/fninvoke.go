package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"titrate/client"
)

// maxEvent is how large an event may be.
const maxEvent = 6 << 20

const eventHelp = "a file, - for stdin, or JSON as it is (default: {})"

func (s *session) fnInvoke() *cobra.Command {
	var req client.InvokeRequest
	var event string
	var async, dry, dev bool
	c := &cobra.Command{
		Use: "invoke NAME", Short: "call a function and write its answer", Args: between(1, 1),
		Long: "Without --version the version is drawn by weight, as for every event. Ends with 3 when the function failed, and says with what and its last lines.",
		Example: "  titrate fn invoke api/pickups/get --event '{\"id\": 7}'\n  titrate fn invoke nightly-report --version v3 --tail\n" +
			"  titrate fn invoke on-order-paid --event order.json --async",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if req.Stable && req.Version != 0 {
				return usage("--version and --stable at once\n  help    keep one of them")
			}
			if async && dry {
				return usage("--async and --dry-run at once\n  help    keep one of them")
			}
			switch {
			case async:
				req.Kind = "event"
			case dry:
				req.Kind = "dry-run"
			}
			if req.Event, err = s.event(event); err != nil {
				return err
			}
			return s.inDev(cmd.Context(), dev, func(c *client.Client, app, env string) error {
				got, err := c.Invoke(cmd.Context(), app, env, args[0], req)
				if err != nil {
					return err
				}
				return s.invoked(args[0], got, req.Tail)
			})
		},
	}
	f := c.Flags()
	f.Var(version{count[int]{&req.Version}}, "version", "this version: v3 (default: drawn by weight)")
	f.BoolVar(&req.Stable, "stable", false, "the stable version")
	f.StringVar(&event, "event", "", eventHelp)
	f.BoolVar(&async, "async", false, "store the event and return: it is handled at least once")
	f.BoolVar(&dry, "dry-run", false, "see whether it could be called, and do not")
	f.BoolVar(&dev, "dev", false, devHelp)
	f.BoolVar(&req.Tail, "tail", false, "write the last lines that it logged to stderr")
	return c
}

// event reads what --event says.
func (s *session) event(given string) (json.RawMessage, error) {
	text := []byte(given)
	switch {
	case given == "":
		return nil, nil
	case given == "-":
		var err error
		if text, err = io.ReadAll(io.LimitReader(s.In, maxEvent+1)); err != nil {
			return nil, fmt.Errorf("read the event: %w", err)
		}
	case !json.Valid(text):
		path := given
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Dir, path)
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) || strings.ContainsRune(given, 0) {
			return nil, usage("--event %s: it is neither JSON nor a file\n  help    --event '{\"id\": 7}', --event FILE, or --event - for stdin", given)
		}
		if err != nil {
			return nil, fmt.Errorf("read the event: %w", err)
		}
		defer f.Close()
		if text, err = io.ReadAll(io.LimitReader(f, maxEvent+1)); err != nil {
			return nil, fmt.Errorf("read the event: %w", err)
		}
	}
	if len(text) > maxEvent {
		return nil, usage("the event has more than 6 MiB, which is the most that there may be")
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return nil, nil
	}
	if !json.Valid(text) {
		var v any
		return nil, usage("the event is no JSON: %v", json.Unmarshal(text, &v))
	}
	return text, nil
}

// invoked writes what came of a call.
func (s *session) invoked(name string, got client.Invoked, tail bool) error {
	if err := s.emit(got, func(w io.Writer) {
		if len(got.Answer) > 0 && got.Failure == "" {
			fmt.Fprintf(w, "%s\n", got.Answer)
		}
	}); err != nil {
		return err
	}
	if got.Failure != "" {
		return callFailed(name, got)
	}
	switch got.Status {
	case 202:
		fmt.Fprintf(s.Err, "The event is stored: %s will be called with it.\n", name)
	case 204:
		fmt.Fprintf(s.Err, "%s could be called.\n", name)
	}
	if tail && got.Tail != "" {
		fmt.Fprintln(s.Err, strings.TrimRight(got.Tail, "\n"))
	}
	return nil
}

// callFailed is what a call ended with that the function failed, or that did not reach it.
func callFailed(name string, got client.Invoked) error {
	of := name
	if got.Version != 0 {
		of += fmt.Sprintf(" v%d", got.Version)
	}
	what := got.Failure
	if got.Type != "" {
		what = got.Type
	}
	if got.Message != "" {
		what += ": " + got.Message
	}
	switch got.Failure {
	case "throttled":
		return fmt.Errorf("error[T0865]: %s was not reached: all instances that it may have are at work\n  saw     %s\n  help    try again; scale: {max: …} of titrate.yaml gives it more", of, what)
	case "stopped", "canceled":
		return fmt.Errorf("error[T0865]: %s was not reached\n  saw     %s\n  help    titrate fn ls", of, what)
	}
	text := fmt.Sprintf("error[T0866]: %s failed\n  saw     %s", of, indented(what))
	if got.Tail != "" {
		text += "\n  wrote   " + indented(strings.TrimRight(got.Tail, "\n"))
	}
	return &exitError{exitRefused, errors.New(text + "\n  help    titrate fn logs " + name)}
}

// indented lets further lines go on below the first.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n          ") }

func (s *session) fnProbe() *cobra.Command {
	var event string
	c := &cobra.Command{
		Use: "probe NAME", Short: "call the version that waits at 0 %, and say whether it would pass", Args: between(1, 1),
		Long:    "Sends the version's own probe, or another event. It counts nowhere. Ends with 3 when the version failed it.",
		Example: "  titrate fn probe api/pickups/get\n  titrate fn probe nightly-report --event '{\"day\": \"2026-11-28\"}'",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := s.event(event)
			if err != nil {
				return err
			}
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				got, err := c.Probe(cmd.Context(), app, env, args[0], client.ProbeRequest{Event: text})
				if err != nil {
					return err
				}
				if err := s.invoked(args[0], got, false); err != nil {
					return err
				}
				fmt.Fprintf(s.Err, "✔ %s v%d passes.\n", args[0], got.Version)
				return nil
			})
		},
	}
	c.Flags().StringVar(&event, "event", "", "in place of its probe: a file, - for stdin, or JSON as it is")
	return c
}

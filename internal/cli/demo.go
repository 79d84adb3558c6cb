package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"titrate/internal/demo"
)

// maxRate is more than one machine sends.
const maxRate = 100_000

func (s *session) demoCommand() *cobra.Command {
	var check bool
	var app, scenario string
	var rate float64
	c := &cobra.Command{
		Use: "demo", Short: "the whole product on an example app: a good release, and a bad one undone", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("rate") && !(rate > 0 && rate <= maxRate) { // also no NaN
				return usage("--rate %g: above 0, and at most %d requests a second", rate, maxRate)
			}
			if app != "cofe" && app != demo.Collect {
				return usage("--app %s: cofe, seven services, or %s, sixty-four functions", app, demo.Collect)
			}
			if app == demo.Collect && scenario != "" {
				return usage("--scenario is of cofe: %s has one story", demo.Collect)
			}
			story, err := demo.Find(scenario)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			cfg := demo.Config{Program: program, Scenario: story, Rate: rate, Out: s.Out, Live: s.live(s.Out), Env: s.Env}
			if check || s.forPrograms() {
				cfg.Out, cfg.Live = s.Err, false
			} else if cfg.Live {
				cfg.Stay = s.stay
			}
			r, ok, err := play(cmd.Context(), app, cfg)
			if err != nil {
				return err
			}
			if check && !s.forPrograms() {
				s.output = formJSON
			}
			if err := s.emit(r, nothing); err != nil {
				return err
			}
			if !ok {
				return exit(exitFailed)
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&check, "check", false, "print JSON, and exit with 0 only if everything was as it must be")
	f.StringVar(&app, "app", "cofe", "what is released: cofe, seven services, or collect, sixty-four functions")
	f.StringVar(&scenario, "scenario", "", "errors, latency, crash, never-healthy, low-traffic, mid-push, kill-server or kill-node")
	f.Float64Var(&rate, "rate", 0, "requests a second (default 200, and 20 of collect)")
	return c
}

// play plays an app's story, and returns what was measured and whether all was well.
func play(ctx context.Context, app string, cfg demo.Config) (result any, ok bool, err error) {
	if app == demo.Collect {
		r, err := demo.RunCollect(ctx, cfg)
		return r, r != nil && r.OK, err
	}
	r, err := demo.Run(ctx, cfg)
	return r, r != nil && r.OK, err
}

// stay leaves the demo up for a look, until Ctrl-C.
func (s *session) stay(ctx context.Context, r *demo.Result) {
	last := r.Acts[len(r.Acts)-1]
	fmt.Fprintf(s.Out, "\n  titrate status --data %s\n  titrate rollout explain %d --data %s    why it went as it did\n  titrate init    your own app, in any folder\nPress Ctrl-C to stop and clean up.\n",
		r.Data, last.Rollout, r.Data)
	<-ctx.Done()
}

package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
	"titrate/internal/functions"
)

func (s *session) fnCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fn", Aliases: []string{"function"}, Short: "functions: list, call and probe them", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(s.fnList(), s.fnInvoke(), s.fnProbe(), s.fnLogs(), s.fnCredentials())
	return c
}

func (s *session) fnList() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "what there is, what calls it, and which versions live", Args: between(0, 0),
		Example: "  titrate fn ls\n  titrate fn ls --jq '.[] | select(.candidate) | .name'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				list, err := c.Functions(cmd.Context(), app, env)
				if err != nil {
					return err
				}
				return s.emit(list, func(w io.Writer) {
					if len(list) == 0 {
						fmt.Fprintf(w, "%s has no function in %s. titrate.yaml names them under functions:\n", app, env)
						return
					}
					table(w, functionRows(list, s.wide()))
				})
			})
		},
	}
}

func functionRows(list []client.Function, wide bool) [][]string {
	head := []string{"name", "triggers", "live", "candidate", "calls", "errors"}
	if wide {
		head = append(head, "p50", "p99", "invoked", "at work", "runtime", "handler", "timeout", "memory", "scale")
	}
	rows := [][]string{head}
	for _, f := range list {
		row := []string{f.Name, triggersText(f.Triggers, wide), liveText(f), candidateText(f)}
		rps, failed, p50, p99, invoked, atWork := 0.0, 0.0, 0.0, 0.0, uint64(0), 0
		for _, v := range f.Versions {
			rps += v.RPS
			failed += v.RPS * v.Errors
			p50, p99 = max(p50, v.P50), max(p99, v.P99)
			invoked += v.Invoked
			atWork += v.Concurrency
		}
		if rps > 0 {
			row = append(row, fmt.Sprintf("%.1f/s", rps), percent(failed/rps))
		} else {
			row = append(row, "0/s", "-")
		}
		if wide {
			row = append(row, fmt.Sprintf("%.1fms", p50), fmt.Sprintf("%.1fms", p99), strconv.FormatUint(invoked, 10), strconv.Itoa(atWork), orNone(f.Runtime), orNone(f.Handler),
				strconv.FormatFloat(f.Timeout, 'g', -1, 64)+"s", fmt.Sprintf("%dMB", f.Memory>>20), fmt.Sprintf("%d..%d", f.Min, f.Max))
		}
		rows = append(rows, row)
	}
	return rows
}

// orNone keeps a column from being empty.
func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// triggersText is the first of what calls a function, and how many there are beside it.
func triggersText(ts []string, all bool) string {
	switch {
	case len(ts) == 0:
		return "-"
	case all || len(ts) == 1:
		return strings.Join(ts, ", ")
	}
	return fmt.Sprintf("%s +%d", ts[0], len(ts)-1)
}

// liveText names the versions that get events: v3, or v3 90 %, v4 10 %.
func liveText(f client.Function) string {
	var parts []string
	for _, v := range f.Versions {
		if v.Weight >= 100 {
			return "v" + strconv.Itoa(v.Version)
		}
		if v.Weight > 0 {
			parts = append(parts, fmt.Sprintf("v%d %s", v.Version, percent(v.Weight)))
		}
	}
	return orNone(strings.Join(parts, ", "))
}

func candidateText(f client.Function) string {
	for _, v := range f.Versions {
		if v.Version == f.Candidate {
			return fmt.Sprintf("v%d at %s", v.Version, percent(v.Weight))
		}
	}
	if f.Candidate != 0 {
		return "v" + strconv.Itoa(f.Candidate)
	}
	return "-"
}

func (s *session) fnLogs() *cobra.Command {
	q := client.LogQuery{Last: 200}
	var since duration
	c := &cobra.Command{
		Use: "logs NAME", Short: "what a function wrote", Args: between(1, 1),
		Example: "  titrate fn logs api/pickups/get --since 10m\n  titrate fn logs nightly-report -f --version v3",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				list, err := c.Functions(cmd.Context(), app, env)
				if err != nil {
					return err
				}
				name, err := functionNamed(list, app, env, args[0])
				if err != nil {
					return err
				}
				q.Env, q.Workload = env, name
				if cmd.Flags().Changed("since") {
					q.Since = time.Duration(since)
				}
				return s.lines(cmd.Context(), func(yield func(client.LogLine) bool) error { return c.Logs(cmd.Context(), app, q, yield) })
			})
		},
	}
	f := c.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on as lines come")
	f.VarP(count[int]{&q.Last}, "last", "n", "so many lines of the past")
	f.Var(version{count[int]{&q.Version}}, "version", "of this version only: v17")
	f.StringVar(&q.Contains, "contains", "", "only lines with this text")
	f.Var(&since, "since", "of the last 10m, say")
	return c
}

// functionNamed is the workload's name of a function that is named by it or by its path.
func functionNamed(list []client.Function, app, env, name string) (string, error) {
	want := functions.Name(name)
	var names []string
	for _, f := range list {
		if f.Name == want {
			return f.Name, nil
		}
		names = append(names, f.Name)
	}
	return "", usage("%s has no function %s in %s\n  saw     %s\n  help    titrate fn ls", app, name, env, listed(names))
}

func (s *session) fnCredentials() *cobra.Command {
	return &cobra.Command{
		Use: "credentials", Short: "what AWS's tools sign with, in place of this login's token", Args: between(0, 0),
		Long:    "They stand for the token that this command comes in with: its role is theirs, and they end when it is revoked. titrate token create NAME --aws makes a token of its own.",
		Example: "  eval \"$(titrate fn credentials -a collect -e production)\"\n  aws lambda invoke --function-name api-pickups-get out.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.inEnvironment(cmd.Context(), func(c *client.Client, app, env string) error {
				k, err := c.Credentials(cmd.Context())
				if err != nil {
					return err
				}
				k.Endpoint += "/" + app + "/" + env
				return s.emit(k, func(w io.Writer) { exports(w, k) })
			})
		},
	}
}

// exports writes credentials as a shell reads them.
func exports(w io.Writer, k client.Credentials) {
	fmt.Fprintf(w, "export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nexport AWS_DEFAULT_REGION=local\nexport AWS_ENDPOINT_URL_LAMBDA=%s\n",
		k.AccessKeyID, k.SecretAccessKey, k.Endpoint)
}

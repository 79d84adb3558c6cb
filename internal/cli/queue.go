package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) queueCommand() *cobra.Command {
	var dev bool
	c := &cobra.Command{
		Use: "queue", Short: "queues whose messages call functions", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(s.queueList(&dev), s.queueSend(&dev), s.queueDead(&dev), s.queueRedrive(&dev), s.queuePurge(&dev))
	c.PersistentFlags().BoolVar(&dev, "dev", false, devHelp)
	return c
}

func (s *session) queueList(dev *bool) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "what waits in each, and whom it calls", Args: between(0, 0),
		Example: "  titrate queue ls\n  titrate queue ls --jq '.[] | select(.oldest > 60) | .name'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.inDev(cmd.Context(), *dev, func(c *client.Client, app, env string) error {
				list, err := c.Queues(cmd.Context(), app, env)
				if err != nil {
					return err
				}
				return s.emit(list, func(w io.Writer) {
					if len(list) == 0 {
						fmt.Fprintf(w, "%s has no queue in %s. A function with queue: in titrate.yaml makes one.\n", app, env)
						return
					}
					rows := [][]string{{"name", "waiting", "in flight", "delayed", "oldest", "calls", "dead letters"}}
					for _, q := range list {
						dead := orNone(q.DeadLetter)
						if len(q.DeadOf) > 0 {
							dead = "of " + strings.Join(q.DeadOf, ", ")
						}
						rows = append(rows, []string{
							q.Name, strconv.Itoa(q.Visible), strconv.Itoa(q.InFlight), strconv.Itoa(q.Delayed),
							age(q), orNone(strings.Join(q.Calls, ", ")), dead,
						})
					}
					table(w, rows)
				})
			})
		},
	}
}

func age(q client.Queue) string {
	if q.Visible+q.InFlight+q.Delayed == 0 {
		return "-"
	}
	return span(time.Duration(q.Oldest * float64(time.Second)))
}

func (s *session) queueSend(dev *bool) *cobra.Command {
	var req client.SendRequest
	var delay duration
	c := &cobra.Command{
		Use: "send QUEUE [BODY]", Short: "put a message into a queue; without a body, or with -, it is read from stdin", Args: between(1, 2),
		Example: "  titrate queue send orders '{\"id\": 7}'\n  titrate queue send orders --delay 30s < order.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && args[1] != "-" {
				req.Body = args[1]
			} else {
				text, err := io.ReadAll(io.LimitReader(s.In, maxMessage+1))
				if err != nil {
					return fmt.Errorf("read the message: %w", err)
				}
				req.Body = string(text)
			}
			if len(req.Body) > maxMessage {
				return usage("the message has more than 256 KiB, which is the most that there may be")
			}
			if time.Duration(delay) > mostDelay {
				return usage("--delay %s: a message waits 15m at the most", span(time.Duration(delay)))
			}
			req.Delay = time.Duration(delay).Seconds()
			return s.inDev(cmd.Context(), *dev, func(c *client.Client, app, env string) error {
				sent, err := c.Send(cmd.Context(), app, env, args[0], req)
				if err != nil {
					return err
				}
				return s.emit(sent, func(w io.Writer) { fmt.Fprintln(w, sent.ID) })
			})
		},
	}
	c.Flags().Var(&delay, "delay", "before it is given out, at most 15m (default: the queue's)")
	c.Flags().StringVar(&req.Dedup, "dedup", "", "a name for it: sent again within five minutes it adds nothing")
	c.Flags().StringToStringVar(&req.Attributes, "attribute", nil, "NAME=VALUE, beside the body")
	return c
}

const (
	maxMessage = 256 << 10
	mostDelay  = 15 * time.Minute
)

// letters is the queue that holds the dead letters of the one that is named: itself where
// it is a dead-letter queue.
func letters(ctx context.Context, c *client.Client, app, env, name string) (string, error) {
	list, err := c.Queues(ctx, app, env)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(q client.Queue) bool { return q.Name == name })
	switch {
	case i < 0:
		var names []string
		for _, q := range list {
			names = append(names, q.Name)
		}
		return "", usage("%s has no queue %s in %s\n  saw     %s\n  help    titrate queue ls", app, name, env, listed(names))
	case len(list[i].DeadOf) > 0:
		return name, nil
	case list[i].DeadLetter != "":
		return list[i].DeadLetter, nil
	}
	return "", usage("%s has no dead-letter queue: what fails is tried until it is older than the queue keeps it\n  help    queues: { %s: { deadLetter: %s-dead, maxReceive: 5 } } of titrate.yaml gives it one", name, name, name)
}

func (s *session) queueDead(dev *bool) *cobra.Command {
	limit := 10
	c := &cobra.Command{
		Use: "dead QUEUE", Short: "show the messages that were given up; they stay where they are", Args: between(1, 1),
		Example: "  titrate queue dead orders\n  titrate queue dead orders -n 100 --jq '.[].body'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.inDev(cmd.Context(), *dev, func(c *client.Client, app, env string) error {
				dead, err := letters(cmd.Context(), c, app, env, args[0])
				if err != nil {
					return err
				}
				list, err := c.Messages(cmd.Context(), app, env, dead, limit)
				if err != nil {
					return err
				}
				return s.emit(list, func(w io.Writer) {
					if len(list) == 0 {
						fmt.Fprintf(w, "%s is empty.\n", dead)
					}
					for _, m := range list {
						fmt.Fprintf(w, "%s  sent %s  received %d  %s\n", m.ID, m.Sent.Local().Format("2006-01-02 15:04:05"), m.Received, m.From)
						fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(m.Body, "\n", "\n  "))
					}
				})
			})
		},
	}
	c.Flags().VarP(count[int]{&limit}, "last", "n", "so many, at most 100")
	return c
}

func (s *session) queueRedrive(dev *bool) *cobra.Command {
	return &cobra.Command{
		Use: "redrive QUEUE", Short: "put the messages that were given up back where they came from", Args: between(1, 1),
		Example: "  titrate queue redrive orders",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.inDev(cmd.Context(), *dev, func(c *client.Client, app, env string) error {
				dead, err := letters(cmd.Context(), c, app, env, args[0])
				if err != nil {
					return err
				}
				moved, err := c.Redrive(cmd.Context(), app, env, dead)
				if err != nil {
					return err
				}
				fmt.Fprintf(s.Err, "%d %s of %s went back.\n", moved.Messages, plural("message", moved.Messages), dead)
				return s.emit(moved, nothing)
			})
		},
	}
}

func (s *session) queuePurge(dev *bool) *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use: "purge QUEUE", Short: "remove every message of a queue", Args: between(1, 1),
		Example: "  titrate queue purge orders-dead --confirm orders-dead",
		RunE: func(cmd *cobra.Command, args []string) error {
			if confirm != args[0] {
				return usage("the messages of %s would be gone\n  help    titrate queue purge %s --confirm %s", args[0], args[0], args[0])
			}
			return s.inDev(cmd.Context(), *dev, func(c *client.Client, app, env string) error {
				moved, err := c.Purge(cmd.Context(), app, env, args[0])
				if err != nil {
					return err
				}
				fmt.Fprintf(s.Err, "Removed %d %s of %s.\n", moved.Messages, plural("message", moved.Messages), args[0])
				return s.emit(moved, nothing)
			})
		},
	}
	c.Flags().StringVar(&confirm, "confirm", "", "its name again")
	return c
}

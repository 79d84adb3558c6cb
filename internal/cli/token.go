package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
)

func (s *session) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "tokens with which people and machines come in from elsewhere", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var expires duration
	var role string
	var aws bool
	create := &cobra.Command{
		Use: "create NAME", Short: "make a token; it is shown this once", Args: between(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			if roleText(role) == "" {
				return usage("--role %s: viewer, deployer, approver or admin\n  help    titrate explain T0809 tells what each may", role)
			}
			req := client.TokenRequest{Name: args[0], Role: role}
			if cmd.Flags().Changed("expires") {
				at := time.Now().Add(time.Duration(expires)).UTC().Truncate(time.Second)
				req.Expires = &at
			}
			t, err := c.CreateToken(cmd.Context(), req)
			if err != nil {
				return err
			}
			if aws {
				return s.awsToken(cmd.Context(), c, t)
			}
			where := c.URL
			if about, err := c.Server(cmd.Context()); err == nil && about.URL != "" {
				where = about.URL
			}
			fmt.Fprintf(s.Err, "The token %s is for %s%s. It is not shown again: titrate login %s\n", t.Name, roleText(t.Role), until(t.Expires), where)
			return s.emit(t, func(w io.Writer) { fmt.Fprintln(w, t.Secret) })
		},
	}
	create.Flags().StringVar(&role, "role", "deployer", "what it may: viewer, deployer, approver or admin")
	create.Flags().BoolVar(&aws, "aws", false, "also what AWS's tools sign with, in place of it; see titrate fn credentials")
	create.Flags().Var(&expires, "expires", "how long it is good, as in 90d (default: until it is revoked)")
	c.AddCommand(
		create,
		&cobra.Command{
			Use: "ls", Short: "the tokens by name, and when each was used last", Args: between(0, 0),
			RunE: func(cmd *cobra.Command, _ []string) error {
				c, err := s.connect()
				if err != nil {
					return err
				}
				list, err := c.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				return s.emit(list, func(w io.Writer) {
					if len(list) == 0 {
						fmt.Fprintln(w, "No token. The data folder's own is for this machine; titrate token create NAME makes one for elsewhere.")
						return
					}
					rows := [][]string{{"name", "role", "made", "by", "used", "expires"}}
					for _, t := range list {
						rows = append(rows, []string{t.Name, t.Role, day(&t.Made), t.By, day(t.Used), expiry(t)})
					}
					table(w, rows)
				})
			},
		},
		&cobra.Command{
			Use: "revoke NAME", Aliases: []string{"rm"}, Short: "end a token at once", Args: between(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				c, err := s.connect()
				if err != nil {
					return err
				}
				if err := c.RevokeToken(cmd.Context(), args[0]); err != nil {
					return err
				}
				fmt.Fprintf(s.Err, "The token %s is good no more.\n", args[0])
				return s.emit(struct {
					Name    string `json:"name"`
					Revoked bool   `json:"revoked"`
				}{args[0], true}, nothing)
			},
		},
	)
	return c
}

// awsToken shows a token that was made just now and the keys that stand for it.
func (s *session) awsToken(ctx context.Context, c *client.Client, t client.NewToken) error {
	itself := *c
	itself.Token = t.Secret
	k, err := itself.Credentials(ctx)
	if err != nil {
		return fmt.Errorf("the token %s is made, and its keys could not be asked for: %w\n  help    titrate token revoke %s, then make it again", t.Name, err, t.Name)
	}
	k.Endpoint += "/APP/ENV"
	fmt.Fprintf(s.Err, "The token %s and its keys are for %s%s. Neither is shown again. What is signed with them goes to the endpoint, with the app and its environment.\n", t.Name, roleText(t.Role), until(t.Expires))
	return s.emit(struct {
		client.NewToken
		Credentials client.Credentials `json:"credentials"`
	}{t, k}, func(w io.Writer) {
		fmt.Fprintf(w, "export TITRATE_TOKEN=%s\n", t.Secret)
		exports(w, k)
	})
}

func day(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func expiry(t client.Token) string {
	if t.Expired {
		return "✖ expired " + day(t.Expires)
	}
	return day(t.Expires)
}

// roleText says what a role is for; empty when there is none of that name.
func roleText(role string) string {
	switch role {
	case "viewer":
		return "looking"
	case "deployer":
		return "pushing, secrets, pausing and going back"
	case "approver":
		return "a deployer's, and for promoting, resuming, retrying and weights"
	case "admin":
		return "everything"
	}
	return ""
}

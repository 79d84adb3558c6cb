package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write golden files and docs/reference anew")

// TestReference_commandsAreFresh holds docs/reference/cli.md equal to the commands.
func TestReference_commandsAreFresh(t *testing.T) {
	t.Parallel()
	s := &session{Terminal: Terminal{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}}
	root := s.root()
	var b strings.Builder
	b.WriteString("<!-- DO NOT EDIT: made from internal/cli by: go test ./internal/cli -run TestReference -update -->\n\n# Commands\n\n" +
		"`titrate COMMAND --help` says the same. Exit codes have [a page of their own](exit-codes.md).\n\n" +
		"stdout is data, stderr is messages. [Output for programs](../output.md) tells of `-o`, `--jq` and `--template`, and what stays as it is.\n\n## Flags of all commands\n\n")
	flags(&b, root.PersistentFlags())
	commands(&b, root)
	golden(t, "../../docs/reference/cli.md", strings.TrimRight(b.String(), "\n")+"\n")
}

func commands(b *strings.Builder, c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
			continue
		}
		if sub.Runnable() && !sub.HasSubCommands() {
			fmt.Fprintf(b, "## %s\n\n%s.\n\n```sh\n%s\n```\n\n", sub.CommandPath(), sentenceCase(sub.Short), strings.TrimSuffix(sub.UseLine(), " [flags]"))
			if sub.Long != "" {
				fmt.Fprintf(b, "%s\n\n", sub.Long)
			}
			flags(b, sub.LocalNonPersistentFlags())
		}
		commands(b, sub)
	}
	if c.Name() == "titrate" {
		b.WriteString("## titrate completion\n\nWrites a script that completes commands and flags.\n\n```sh\ntitrate completion bash|zsh|fish|powershell\n```\n")
	}
}

func flags(b *strings.Builder, fs *pflag.FlagSet) {
	n := 0
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if n++; n == 1 {
			b.WriteString("| flag | |\n|---|---|\n")
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		text := f.Usage
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" && !strings.Contains(text, "default") {
			text += " (default: " + f.DefValue + ")"
		}
		fmt.Fprintf(b, "| %s | %s |\n", name, strings.ReplaceAll(text, "|", `\|`))
	})
	if n > 0 {
		b.WriteString("\n")
	}
}

func sentenceCase(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// golden holds a file equal to got, or writes it anew.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s is stale (%v); -update writes it anew. Now:\n%s", path, err, got)
	}
}

package test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commandUp runs titrate up on free ports and sets API, GATEWAY and their addresses.
func commandUp(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: up [FLAG...]")
	}
	ts.Check(ts.Exec("titrate", append([]string{"up", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0"}, args...)...))
	u := running(ts)
	ts.Setenv("API", u.API)
	ts.Setenv("GATEWAY", u.Gateway)
	ts.Setenv("API_ADDR", strings.TrimPrefix(u.API, "http://"))
	ts.Setenv("GATEWAY_ADDR", strings.TrimPrefix(u.Gateway, "http://"))
	if slices.Contains(args, "--https") {
		_, port, err := net.SplitHostPort(secureAddresses(ts).HTTPS)
		ts.Check(err)
		ts.Setenv("HTTPS_URL", "https://localhost:"+port)
	}
}

//go:embed testdata/app/main.go
var appSource []byte

// commandApp writes the program in folder app: how it behaves, and what it says.
func commandApp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: app good|bad|crash|never|elsewhere|slow|hog TEXT [FOLDER]")
	}
	dir := ts.MkAbs("app")
	if len(args) == 3 {
		dir = ts.MkAbs(args[2])
	}
	ts.Check(os.MkdirAll(dir, 0o755))
	for name, text := range map[string]string{
		"main.go":   string(appSource),
		"behave.go": fmt.Sprintf("package main\n\nconst mode, text = %q, %q\n", args[0], args[1]),
		"go.mod":    "module app\n\ngo 1.26\n",
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
}

// commandExits runs a program that is to end with an exit code.
func commandExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	exits(ts, "", args)
}

func exits(ts *testscript.TestScript, stdin string, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	out, said, code := run(ts, stdin, args[1:])
	fmt.Fprint(ts.Stdout(), out)
	fmt.Fprint(ts.Stderr(), said)
	if code != want {
		ts.Fatalf("%s: exit code %d, want %d\n[stdout]\n%s[stderr]\n%s", strings.Join(args[1:], " "), code, want, out, said)
	}
}

func run(ts *testscript.TestScript, stdin string, args []string) (stdout, stderr string, code int) {
	path := args[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if full := filepath.Join(dir, args[0]); !strings.Contains(args[0], "/") {
			if _, err := os.Stat(full); err == nil {
				path = full
				break
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.WaitDelay = time.Second
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		ts.Fatalf("%s took more than %s:\n%s%s", strings.Join(args, " "), 2*patience, out.String(), said.String())
	case err != nil && !errors.As(err, &failed):
		ts.Check(err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// environ is the script's environment, as far as programs here use it.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "USER", "LANG", "TITRATE_DATA", "TITRATE_ENGINE", "TITRATE_TOKEN", "TITRATE_SERVER", "GITHUB_ACTIONS", "GOTOOLCHAIN", "GOFLAGS", "GOCACHE", "GOMODCACHE", "GOPATH",
		"GIT_CONFIG_NOSYSTEM", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
		"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0",
	} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

const patience = 60 * time.Second

// commandAwait runs a program again and again until what it says matches.
func commandAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await REGEXP COMMAND...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	until(ts, func() (string, bool) {
		out, said, _ := run(ts, "", args[1:])
		if !want.MatchString(out + said) {
			return out + said, false
		}
		fmt.Fprint(ts.Stdout(), out)
		fmt.Fprint(ts.Stderr(), said)
		return "", true
	})
}

// until looks every 50 ms until look is content.
func until(ts *testscript.TestScript, look func() (saw string, ok bool)) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		saw, ok := look()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within %s; last seen:\n%s", patience, saw)
		}
		<-tick.C
	}
}

// commandIsJSON fails unless what was written to a file is JSON values and
// nothing else.
func commandIsJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: isjson stdout|FILE")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	n := 0
	for d.More() {
		var v any
		if err := d.Decode(&v); err != nil {
			ts.Fatalf("not JSON: %v\n%s", err, ts.ReadFile(args[0]))
		}
		n++
	}
	if n == 0 {
		ts.Fatalf("nothing was written")
	}
}

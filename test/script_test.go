package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// built holds the program that the scripts run, built once from this tree.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "titrate-built-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	args := []string{"build", "-o", filepath.Join(dir, "titrate")}
	// Static, as it is released: containers begin with it. In this way nothing else is
	// compiled than for the tests, of which a C library is part where there is a compiler.
	if cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err == nil && strings.TrimSpace(string(cgo)) == "1" {
		args = append(args, "-ldflags=-linkmode=external -extldflags=-static")
	}
	out, err := exec.Command("go", append(args, "titrate/cmd/titrate")...).CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("build titrate: %w\n%s", err, out)
	}
	return dir, nil
})

var builtIn string

// TestMain removes what was built once no test needs it.
func TestMain(m *testing.M) {
	// Most of them wait for a program most of the time, so that more run side by side
	// than there are processors, unless somebody says how many.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = f.Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// TestScripts runs testdata/script/*.txtar against the built program, each on a
// data folder of its own with ports of its own. Scripts that take more than a few
// seconds begin with `[!slow] skip`.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts(t, "testdata/script", func(*testscript.Env) {})
}

// scripts runs those of a folder. prepare comes last before each.
func scripts(t *testing.T, dir string, prepare func(*testscript.Env)) {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	goenv := goEnvironment(t)
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Condition: func(cond string) (bool, error) {
			if cond == "slow" {
				return os.Getenv("TITRATE_TEST_SLOW") != "", nil
			}
			if cond == "ric" {
				return os.Getenv("TITRATE_TEST_RIC") != "", nil
			}
			if cond == "node" {
				_, err := debianNode()
				return err == nil, nil
			}
			if cond == "npm-registry" {
				return exec.CommandContext(t.Context(), "npm", "view", "ms@2.1.3", "version").Run() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Setup: func(e *testscript.Env) error {
			err := setup(e, bin, goenv)
			prepare(e)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"engine":   commandEngine,
			"up":       commandUp,
			"app":      commandApp,
			"central":  commandCentral,
			"exits":    commandExits,
			"await":    commandAwait,
			"get":      commandGet,
			"certify":  commandCertify,
			"secure":   commandSecure,
			"load":     commandLoad,
			"image":    commandImage,
			"service":  commandService,
			"registry": commandRegistry,
			"room":     commandRoom,
			"controls": commandControls,
			"signin":   commandSignIn,
			"dev":      commandDev,
			"devsays":  commandDevSays,
			"devget":   commandDevGet,
			"devstop":  commandDevStop,
			"devkill":  commandDevKill,
			"nottoken": commandNotToken,
			"kill9":    commandKill9,
			"nopart":   commandNoPart,
			"isjson":   commandIsJSON,
		},
	})
}

// goEnvironment is where the go command of this test run keeps its caches: the
// scripts have a HOME of their own, and share these.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH"}
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		env = append(env, names[i]+"="+value)
	}
	return env
}

func setup(e *testscript.Env, bin string, goenv []string) error {
	home, data := filepath.Join(e.WorkDir, "home"), filepath.Join(e.WorkDir, "data")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	examples, err := filepath.Abs("../examples")
	if err != nil {
		return err
	}
	e.Vars = append(e.Vars, goenv...)
	e.Setenv("EXAMPLES", examples)
	e.Setenv("RIC", os.Getenv("TITRATE_TEST_RIC"))
	for name, value := range map[string]string{
		"PATH": bin + string(filepath.ListSeparator) + e.Getenv("PATH"), "HOME": home, "USER": "tester", "LANG": "C.UTF-8",
		"DATA": data, "TITRATE_DATA": data, "GOTOOLCHAIN": "local", "GOFLAGS": "",
		"TITRATE_ENGINE":      "none", // the machine's own is not for tests
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "tester", "GIT_AUTHOR_EMAIL": "tester@example.org",
		"GIT_COMMITTER_NAME": "tester", "GIT_COMMITTER_EMAIL": "tester@example.org",
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "init.defaultBranch", "GIT_CONFIG_VALUE_0": "main",
	} {
		e.Setenv(name, value)
	}
	// How this machine reaches registries.
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS", "npm_config_registry"} {
		if value, ok := os.LookupEnv(name); ok {
			e.Setenv(name, value)
		}
	}
	vars := e.Vars
	e.Defer(func() { takeDown(vars, bin, data) })
	return nil
}

// takeDown stops what is up on a data folder, whatever a script did to it.
func takeDown(env []string, bin, data string) {
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		return
	}
	down := exec.Command(filepath.Join(bin, "titrate"), "down", "--data", data)
	down.Env = env
	_ = down.Run() // where there is nothing to ask, the processes are ended below
	// What is started between two looks is ended by the second.
	for range 3 {
		for _, p := range processesOf(data) {
			_ = p.Kill() // it may have ended by itself
		}
	}
}

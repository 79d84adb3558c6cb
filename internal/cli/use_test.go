package cli

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What makes no sense is used wrongly: told at once, and never taken for something
// else.
func TestUse_valuesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	env := tiny(t)
	for line, want := range map[string]string{
		"rollout watch --until foo":                  "released or paused",
		"rollout watch --timeout -1s":                "negative",
		"rollout pause --for -5m":                    "negative",
		"rollout retry --from-step -1":               "from 1 on",
		"rollout set-weight NaN":                     "no weight",
		"rollout set-weight 12.345":                  "two decimals",
		"rollout set-weight 1e1":                     "no weight",
		"rollout set-weight 100.01":                  "no weight",
		"logs -n 0":                                  "from 1 on",
		"logs --last=-1":                             "from 1 on",
		"logs --since -5m":                           "negative",
		"logs --version x5":                          "from 1 on",
		"history -n 0":                               "from 1 on",
		"demo --rate -5":                             "above 0",
		"demo --rate NaN":                            "above 0",
		"simulate --looks 0":                         "from 1 on",
		"simulate --histories -1":                    "from 1 on",
		"completion foo":                             "unknown command",
		"status --server foo":                        "http://",
		"up --api foo":                               "no address",
		"up --gateway 127.0.0.1:99999":               "no address",
		"up --api 127.0.0.1:1 --gateway 127.0.0.1:1": "are both",
		"up --proxies balancer":                      "neither an address nor a network",
		"up --proxy-protocol":                        "none is",
		"up --engine tcp://127.0.0.1:2375":           "named by its socket",
		"up --engine docker":                         "named by its socket",
		"deploy /nope":                               "there is no folder /nope",
		"explain alarmz":                             "did you mean alarms?",
		"config explain helth":                       "did you mean health?",
		"config explain servces":                     "did you mean services?",
		"config explain services.web.port":           "did you mean port?",
		"config explain limits.memroy":               "did you mean memory?",
		"config explain health.x":                    "did you mean health?",
		"explain T0319x":                             "did you mean T03",
	} {
		out, said, code := call(t, "", env, strings.Fields(line)...)
		if code != exitUsage || !strings.Contains(said, want) || out != "" {
			t.Errorf("%s: exit code %d, %q on stdout\n%s", line, code, out, said)
		}
	}
	for _, line := range []string{"logs --version v5", "logs --version 5", "logs --since 2d", "rollout watch --timeout 1d", "--version", "completion bash"} {
		if _, said, code := call(t, "", env, strings.Fields(line)...); code != exitDone {
			t.Errorf("%s: exit code %d\n%s", line, code, said)
		}
	}
}

// With -o json every error is one object, also that of a flag that cannot be read.
func TestUse_errorsAreJSONWhereThatWasAskedFor(t *testing.T) {
	t.Parallel()
	env := tiny(t)
	for line, want := range map[string]struct{ code, message, help string }{
		"explain T9999 -o json":       {"", "there is no page about", "titrate explain lists"},
		"status nope -o json":         {"", "there is no app nope", "titrate status"},
		"--nope status --output json": {"", "unknown flag", "titrate"},
		"rollout status 99 -ojson":    {"T0802", "there is nothing at", ""},
		"--output=json up --api x":    {"", "no address", "--api 127.0.0.1:7070"},
		"secret ls -e nope -o=json":   {"", "tiny has no environment nope", ""},
	} {
		out, said, code := call(t, "", env, strings.Fields(line)...)
		var p struct{ Code, Message, Help string }
		if err := json.Unmarshal([]byte(said), &p); err != nil || code != exitUsage || out != "" {
			t.Errorf("%s: exit code %d, %v\n%s", line, code, err, said)
			continue
		}
		if p.Code != want.code || !strings.Contains(p.Message, want.message) || !strings.Contains(p.Help, want.help) || strings.Contains(p.Message, "help ") {
			t.Errorf("%s: %+v", line, p)
		}
	}
}

func TestUse_aFullDiskIsNoSuccess(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, line := range []string{"status", "explain", "history", "schema", "version", "rollout status"} {
		var said strings.Builder
		code := Main(t.Context(), strings.Fields(line), Terminal{In: strings.NewReader(""), Out: full, Err: &said, Dir: t.TempDir(), Env: tiny(t)})
		if code != exitFailed || !strings.Contains(said.String(), "no space left") {
			t.Errorf("%s: exit code %d: %s", line, code, said.String())
		}
	}
}

// Who names a data folder means another server than the next call would.
func TestUse_hintsNameTheDataFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, said, code := call(t, "", nil, "status", "--data", dir)
	if want := "titrate up --data " + dir; code != exitFailed || !strings.Contains(said, want) {
		t.Errorf("exit code %d, want %q in\n%s", code, want, said)
	}
	if err := os.WriteFile(filepath.Join(dir, "up.json"), []byte(`{"pid": 99, "api": "http://127.0.0.1:1", "gateway": "http://127.0.0.1:2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "token"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, said, _ = call(t, "", nil, "status", "--data", dir)
	if !strings.Contains(said, "error[T0708]") || !strings.Contains(said, "titrate up --data "+dir+" --replace") {
		t.Error(said)
	}
}

func TestTyped_namesTheDataFolderOnce(t *testing.T) {
	t.Parallel()
	s := &session{data: "it's/here"}
	for text, want := range map[string]string{
		"titrate down; or titrate rollout retry x":  `titrate down --data 'it'\''s/here'; or titrate rollout retry --data 'it'\''s/here' x`,
		"titrate up --data x writes it anew":        "titrate up --data x writes it anew",
		"titrate was killed, titrate explain T0706": "titrate was killed, titrate explain T0706",
	} {
		if got := s.typed(text); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestVersion_saysThatTheServerCannotBeReached(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody is there any more
	out, said, code := call(t, "", []string{"TITRATE_SERVER=http://" + l.Addr().String(), "TITRATE_TOKEN=t"}, "version")
	if code != exitDone || !strings.HasPrefix(out, "titrate ") || !strings.Contains(said, "reach the server") {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
}

func TestValidate_readsNoMoreThanAManifest(t *testing.T) {
	t.Parallel()
	if _, said, code := call(t, "", nil, "validate", "/dev/zero"); code != exitUsage || !strings.Contains(said, "longer than") {
		t.Errorf("exit code %d: %s", code, said)
	}
}

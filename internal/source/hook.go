package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// git runs two hooks inside a push. Each is this program again, as [Hook], which
// asks the server through a socket that it inherits: no address that another
// user could find, and no secret to keep.

const (
	preReceive  = "pre-receive"
	postReceive = "post-receive"
	hookFD      = 3
)

// asked is what a hook tells the server: which refs move, and where objects are
// that are not accepted yet.
type asked struct {
	Hook    string   `json:"hook"`
	Updates string   `json:"updates"`
	Objects string   `json:"objects,omitempty"`
	Options []string `json:"options,omitempty"`
}

// answer is a piece of text to show, or the end.
type answer struct {
	Text string `json:"text,omitempty"`
	End  bool   `json:"end,omitempty"`
	Exit int    `json:"exit,omitempty"`
}

// maxUpdates bounds the list of refs in one push.
const maxUpdates = 1 << 20

// Hook is the body of a git hook: the wiring runs it when git runs HookCommand.
// It returns the exit code of the hook.
func Hook(name string, stdin io.Reader, stdout io.Writer, environ []string) int {
	code, err := hook(name, stdin, stdout, environ)
	if err == nil {
		return code
	}
	if name == postReceive {
		fmt.Fprintf(stdout, "error[%s]: the server went away (%v)\nThe push is kept; work on it goes on when the server is back.\n", codeAway, err)
		return 0
	}
	fmt.Fprintf(stdout, "error[%s]: the server went away (%v)\nNothing has changed. Push again.\n", codeAway, err)
	return 1
}

func hook(name string, stdin io.Reader, stdout io.Writer, environ []string) (int, error) {
	env := map[string]string{}
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	updates, err := io.ReadAll(io.LimitReader(stdin, maxUpdates))
	if err != nil {
		return 0, err
	}
	file := os.NewFile(hookFD, "titrate")
	conn, err := net.FileConn(file)
	if err != nil {
		return 0, errors.New("no server is listening")
	}
	defer file.Close()
	defer conn.Close()
	ask := asked{Hook: name, Updates: string(updates), Objects: env["GIT_OBJECT_DIRECTORY"]}
	for i := 0; ; i++ {
		option, ok := env[fmt.Sprintf("GIT_PUSH_OPTION_%d", i)]
		if !ok {
			break
		}
		ask.Options = append(ask.Options, option)
	}
	if err := json.NewEncoder(conn).Encode(ask); err != nil {
		return 0, err
	}
	for in := json.NewDecoder(conn); ; {
		var a answer
		if err := in.Decode(&a); err != nil {
			return 0, err
		}
		if a.End {
			return a.Exit, nil
		}
		// Nobody listens any more when this fails; the work goes on.
		_, _ = io.WriteString(stdout, a.Text)
	}
}

// socketPair returns our end of a conversation and the end that git's hooks inherit.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket for hooks: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "hook"), os.NewFile(uintptr(fds[1]), "hook")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make a socket for hooks: %w", err)
	}
	return conn, theirs, nil
}

// update is one line of what git tells its hooks.
type update struct {
	old, new, ref string // old and new are empty for "no such ref"
}

// parseUpdates reads "OLD NEW REF" lines. See githooks(5), pre-receive.
func parseUpdates(text string) ([]update, error) {
	var out []update
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(f) != 3 || !isCommit(f[0]) || !isCommit(f[1]) || !strings.HasPrefix(f[2], "refs/") {
			return nil, fmt.Errorf("not a ref update: %q", line)
		}
		out = append(out, update{old: orNone(f[0]), new: orNone(f[1]), ref: f[2]})
	}
	return out, nil
}

// isCommit reports whether s is a full object name, of SHA-1 or SHA-256.
func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

func orNone(commit string) string {
	if strings.Trim(commit, "0") == "" {
		return ""
	}
	return commit
}

package runtimes

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// Runtime is an interpreter that was found and asked for its version, or Provided, which needs none.
type Runtime struct {
	Name    string // as it was written: nodejs22.x
	Family  Family
	Path    string  // of the interpreter; empty for Provided
	Version Version // that the interpreter itself told; zero for Provided
}

// Finder looks for interpreters.
type Finder struct {
	// Look finds a command, as exec.LookPath does.
	Look func(command string) (string, error)
}

// askFor is how long an interpreter may take to tell its version, on a machine under load.
const askFor = 20 * time.Second

// Find looks on this process's PATH for the interpreter that name asks for. Its error is an *Error.
func Find(ctx context.Context, name string) (Runtime, error) {
	return Finder{Look: exec.LookPath}.Find(ctx, name)
}

// Find prefers the command that carries the asked version (python3.12, node22) to the plain one (python3, node), and asks it what it
// really is. A newer interpreter than the one asked for will do; an older one is refused: the code may use what it lacks.
func (f Finder) Find(ctx context.Context, name string) (Runtime, error) {
	family, asked, err := Parse(name)
	if err != nil {
		return Runtime{}, err
	}
	r := Runtime{Name: name, Family: family}
	if family == Provided {
		return r, nil
	}
	need := asked
	if need.Less(family.minimum()) {
		need = family.minimum()
	}
	var last error
	for _, command := range family.commands(asked) {
		path, err := f.Look(command)
		if err != nil {
			continue
		}
		found, err := ask(ctx, path)
		if err != nil {
			last = &Error{
				Kind: InterpreterBroken, Runtime: name, What: command + " does not tell its version", Where: path, Why: err.Error(),
				Next: "run `" + path + " --version` and mend what it says", Err: err,
			}
			continue
		}
		if found.Less(need) {
			last = tooOld(name, family, path, found, need)
			continue
		}
		r.Path, r.Version = path, found
		return r, nil
	}
	if last != nil {
		return Runtime{}, last
	}
	return Runtime{}, &Error{
		Kind: InterpreterMissing, Runtime: name, What: family.program() + " is not installed", Where: "runtime " + name,
		Why:  "no `" + family.plain() + "` on PATH",
		Next: "install " + family.program() + " " + family.spell(need) + " or later on this machine, then release again",
	}
}

func tooOld(name string, family Family, path string, found, need Version) *Error {
	return &Error{
		Kind: InterpreterTooOld, Runtime: name, What: family.program() + " is too old for runtime " + name, Where: path,
		Why:  "it is version " + found.String() + " and " + family.spell(need) + " is needed",
		Next: "install " + family.program() + " " + family.spell(need) + " or later, or write the runtime that is installed: " + string(family) + family.spell(found),
	}
}

func (f Family) program() string {
	if f == Node {
		return "Node.js"
	}
	return "Python"
}

func (f Family) plain() string {
	if f == Node {
		return "node"
	}
	return "python3"
}

// spell writes v as the family's names do: 22, but 3.12.
func (f Family) spell(v Version) string {
	if f == Node {
		return strconv.Itoa(v.Major)
	}
	return v.String()
}

func (f Family) commands(asked Version) []string {
	switch {
	case f == Node && asked.Major > 0:
		return []string{"node" + strconv.Itoa(asked.Major), "node"}
	case f == Python && asked.Minor > 0:
		return []string{"python" + asked.String(), "python3"}
	default:
		return []string{f.plain()}
	}
}

// told matches `v20.20.2` and `Python 3.11.7`, and not a warning before them. Up to four digits a number, as in Parse.
var told = regexp.MustCompile(`(?m)^(?:v|Python )(\d{1,4})\.(\d{1,4})(?:\D|$)`)

func ask(ctx context.Context, path string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return Version{}, err
	}
	return readVersion(string(out))
}

func readVersion(out string) (Version, error) {
	m := told.FindStringSubmatch(out)
	if m == nil {
		return Version{}, fmt.Errorf("it said %q", out[:min(len(out), 100)])
	}
	v, _ := version(m[1] + "." + m[2])
	return v, nil
}

package runtimes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Handler is a function's code as a release has it.
type Handler struct {
	Clients string   // the folder that Write filled
	Folder  string   // the function's files
	Name    string   // src/orders.handler; not used by Provided
	Env     []string // of the function, as KEY=value: its code may read it while it is loaded
	Within  time.Duration
}

// DefaultWithin is how long Check waits for a handler to load where Handler.Within is 0: Lambda's own limit for the init phase.
// Source: "Understanding the Lambda execution environment lifecycle".
const DefaultWithin = 10 * time.Second

// tailSize is how much of the end of a loading handler's output an error may quote.
const tailSize = 2000

// outcome is what a client with --check writes to file descriptor 3.
type outcome struct {
	Loaded       bool     `json:"loaded"`
	ErrorType    string   `json:"errorType"`
	ErrorMessage string   `json:"errorMessage"`
	Trace        []string `json:"trace"`
	StackTrace   []string `json:"stackTrace"`
}

// Check proves that the handler can be called: it loads it, in a process of its own that ends at once or at the deadline with all its
// children that stayed in its process group, and does not call it. Code beside the handler runs, as it would at every start. For Provided it looks at the bootstrap and
// starts nothing. Its error is an *Error, or the cause of ctx where that ended first; what the code wrote while loading is quoted only when it failed. It needs no host.
func (r Runtime) Check(ctx context.Context, h Handler) error {
	if r.Family == Provided {
		return r.checkBootstrap(h.Folder)
	}
	if info, err := os.Stat(h.Folder); err != nil || !info.IsDir() {
		return &Error{
			Kind: FileMissing, Runtime: r.Name, What: "the function's folder is not there", Where: h.Folder,
			Next: "correct the function's path or build it first", Err: err,
		}
	}
	// The process starts in the function's folder: relative paths would mean something else there.
	var err error
	if h.Folder, err = filepath.Abs(h.Folder); err != nil {
		return err
	}
	if h.Clients, err = filepath.Abs(h.Clients); err != nil {
		return err
	}
	within := h.Within
	if within == 0 {
		within = DefaultWithin
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	got, said, err := r.load(limited, h)
	switch {
	case got.Loaded:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case got.ErrorType != "":
		return r.explain(h, got)
	case limited.Err() != nil:
		return &Error{
			Kind: LoadTimedOut, Runtime: r.Name, What: "handler " + h.Name + " was not loaded within " + within.String(), Where: h.Folder,
			Why: quote(said), Next: "move slow work out of the top of its file, into the handler", Err: limited.Err(),
		}
	default:
		return &Error{
			Kind: LoadFailed, Runtime: r.Name, What: "the process ended while it loaded handler " + h.Name, Where: h.Folder,
			Why: ended(err) + quote(said), Next: "find what ends the process at the top of the file; `" + r.Path + "` must get to its end", Err: err,
		}
	}
}

// load runs the client with --check and returns what it told, the end of what the code wrote, and how the process ended.
func (r Runtime) load(ctx context.Context, h Handler) (outcome, string, error) {
	result, write, err := os.Pipe()
	if err != nil {
		return outcome{}, "", err
	}
	defer result.Close()
	command := append(r.Command(h.Clients, h.Folder), "--check")
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	said := &tail{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.Folder, said, said
	// The folder is an immutable artifact: loading it must leave no bytecode there.
	cmd.Env = append(append([]string{}, h.Env...), "_HANDLER="+h.Name, "LAMBDA_TASK_ROOT="+h.Folder, "PYTHONDONTWRITEBYTECODE=1")
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		write.Close()
		return outcome{}, "", err
	}
	write.Close()
	read := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(result, 1<<20)) // a short read is an outcome that does not parse
		read <- b
	}()
	waited := cmd.Wait()
	// Children that the code started may outlive it and hold the pipe.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH when there are none
	// One that left the group may hold it still; what the client itself wrote is in the pipe by now.
	if err := result.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return outcome{}, said.String(), err
	}
	var got outcome
	if err := json.Unmarshal(<-read, &got); err != nil {
		return outcome{}, said.String(), waited
	}
	return got, said.String(), waited
}

// explain turns a client's outcome into an error for the person. The types are those of AWS's own runtimes.
func (r Runtime) explain(h Handler, got outcome) *Error {
	e := &Error{Runtime: r.Name, Where: h.Folder, Why: got.ErrorMessage, Trace: append(got.Trace, got.StackTrace...)}
	form := "file.export, as src/orders.handler"
	if r.Family == Python {
		form = "module.function, as src.orders.handler"
	}
	switch got.ErrorType {
	case "Runtime.MalformedHandlerName":
		e.Kind, e.What, e.Next = HandlerMalformed, "handler "+h.Name+" is not well named", "write it as "+form
	case "Runtime.ImportModuleError":
		e.Kind, e.What = FileMissing, "a file of handler "+h.Name+" is missing"
		e.Next = "correct the handler (" + form + ") or add the missing file or package to the folder"
	case "Runtime.HandlerNotFound":
		e.Kind, e.What = ExportMissing, "handler "+h.Name+" is not in its file"
		e.Next = "export a function of that name or correct the handler (" + form + ")"
	case "Runtime.UserCodeSyntaxError":
		e.Kind, e.What = LoadFailed, "handler "+h.Name+" has a syntax error"
		e.Next = "mend it, or write a newer runtime: this one is " + r.Family.program() + " " + r.Version.String()
	default:
		e.Kind, e.What = LoadFailed, "handler "+h.Name+" failed while it was loaded"
		e.Why, e.Next = got.ErrorType+": "+got.ErrorMessage, "mend the code at the top of its file, or set the environment it needs"
	}
	return e
}

func ended(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "it left with exit code 0"
	case errors.As(err, &exit):
		return exit.Error()
	default:
		return err.Error()
	}
}

func quote(said string) string {
	if said = strings.TrimSpace(said); said == "" {
		return ""
	}
	return " and wrote last: " + said
}

// tail keeps the end of what is written to it. exec.Cmd writes from one goroutine where stdout and stderr are the same writer.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(t.kept), "?") }

package pipeline

import (
	"fmt"
	"strings"
)

// The codes of what can go wrong with a build. Once given, a code keeps its meaning.
const (
	CodeFailed      = "T0510" // the compiler or command said no
	CodeDocker      = "T0511" // a Dockerfile, and no container engine to build it
	CodeNoGo        = "T0512" // no Go toolchain
	CodeModule      = "T0513" // a module is not in the module cache, and there is no network
	CodeGoVersion   = "T0514" // the code asks for a newer Go
	CodeNothing     = "T0515" // there is nothing that can be built without a command
	CodeOutput      = "T0516" // the build did not leave what the manifest says
	CodeLimit       = "T0517" // time, output, disk or processes
	CodeNoSpace     = "T0518" // the disk of the data folder is full
	CodeCorrupt     = "T0519" // a stored artifact is not what was stored
	CodeImage       = "T0530" // an image cannot be had or run
	CodeTool        = "T0540" // a language's tool is not on this machine
	CodeVersion     = "T0541" // a tool has another version than the code asks for
	CodeLock        = "T0542" // a lock file does not fit
	CodeUnreachable = "T0543" // something could not be downloaded
	CodeTest        = "T0544" // the build's test failed

	CodeDockerfile = "T0550" // a Dockerfile cannot be built
	CodeEngine     = "T0551" // the container engine went away, or cannot do what it was asked
	CodePlatform   = "T0552" // an image was built for another machine
	CodeLack       = "T0560" // this machine cannot run images

	CodeFunction  = "T0581" // a function cannot be called on this machine
	CodeBootstrap = "T0582" // a bootstrap cannot be run
	CodePackage   = "T0583" // a function's zip cannot be unpacked
	CodeHandler   = "T0584" // there is nothing that a function's handler could be
	CodeLayer     = "T0585" // a function's layer cannot be laid under it
)

// The steps of a build.
const (
	StepDetect  = "detect"
	StepFetch   = "fetch"
	StepCompile = "compile"
	StepTest    = "test"
	StepKeep    = "keep"
	StepPull    = "pull"
)

// BuildError says that a workload could not be built, for a reason that lies in
// the pushed code. Nothing has moved.
type BuildError struct {
	Code     string
	Workload string
	Step     string
	Where    string   // what was built: "services.orders.build = services/orders"
	Saw      string   // what happened, one line
	Tail     []string // the last lines that were printed
	Exit     int      // exit code of the step; 0: it did not end by itself
	Help     string   // what to type or write next
	Log      string   // the file with everything that was printed; empty: nothing was
}

// Error renders the error: what, where, what was seen, what to do.
func (e *BuildError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "error[%s]: %s was not built; nothing has moved", e.Code, e.Workload)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "\n  %-7s %s", key, strings.ReplaceAll(value, "\n", "\n          "))
		}
	}
	line("where", e.Where)
	line("saw", e.Saw)
	line("last", strings.Join(e.Tail, "\n"))
	line("help", e.Help)
	line("log", e.Log)
	return b.String()
}

// LackError says what this machine lacks for running images, or what a function lacks
// for being called.
type LackError struct {
	Saw  string
	Help string
}

// Error is what was seen.
func (e *LackError) Error() string { return e.Saw }

// where names the build as the manifest has it.
func where(w Workload) string {
	if w.Accessory {
		return fmt.Sprintf("accessories.%s.image = %s", w.Name, w.Image)
	}
	if w.Image != "" {
		return fmt.Sprintf("services.%s.image = %s", w.Name, w.Image)
	}
	if w.Function != nil {
		return fmt.Sprintf("functions.%s.build = %s", w.Name, w.Build.Dir)
	}
	return fmt.Sprintf("services.%s.build = %s", w.Name, w.Build.Dir)
}

// fault starts the error of a workload.
func fault(w Workload, code, step, saw, help string) *BuildError {
	return &BuildError{Code: code, Workload: w.Name, Step: step, Where: where(w), Saw: saw, Help: help}
}

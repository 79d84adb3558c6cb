package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// processesOf finds the processes that belong to a data folder: its path is in
// their arguments or their environment, or they write to it.
func processesOf(data string) []*os.Process {
	var found []*os.Process
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		out, _ := os.Readlink(filepath.Join("/proc", e.Name(), "fd/1"))
		if !bytes.Contains(args, []byte(data)) && !bytes.Contains(env, []byte(data)) && !strings.HasPrefix(out, data+"/") {
			continue
		}
		if p, err := os.FindProcess(pid); err == nil {
			found = append(found, p)
		}
	}
	return found
}

// commandKill9 ends the keeper (up) or its children (server, node) as the kernel
// would, without a word, in the order they are named: a child that is ended before
// its keeper may be back already.
func commandKill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: kill9 up|server|node...")
	}
	keeper := running(ts).PID
	pids := make([]int, len(args))
	for i, who := range args {
		if pids[i] = keeper; who != "up" {
			pids[i] = child(ts, keeper, "__"+who)
		}
	}
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		ts.Check(err)
		if err := p.Kill(); !errors.Is(err, os.ErrProcessDone) {
			ts.Check(err)
		}
		until(ts, func() (string, bool) { return "it lives", !alive(pid) })
	}
}

// alive reports whether a process has not ended; one that nobody has waited for
// has.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	if !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X") {
		return true
	}
	// Its first thread has ended: as long as another has not, its files are open.
	threads, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	return len(threads) > 1
}

func child(ts *testscript.TestScript, parent int, word string) int {
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(parent) + "/task/*/children")
	ts.Check(err)
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		ts.Check(err)
		for pid := range strings.FieldsSeq(string(b)) {
			args, err := os.ReadFile("/proc/" + pid + "/cmdline")
			if err == nil && bytes.Contains(args, []byte(word)) {
				n, err := strconv.Atoi(pid)
				ts.Check(err)
				return n
			}
		}
	}
	ts.Fatalf("process %d has no child %s", parent, word)
	return 0
}

// up is what up.json says.
type up struct {
	PID          int
	API, Gateway string
}

func running(ts *testscript.TestScript) up {
	b, err := os.ReadFile(filepath.Join(ts.Getenv("DATA"), "up.json"))
	ts.Check(err)
	var u up
	ts.Check(json.Unmarshal(b, &u))
	return u
}

// commandNoPart fails if a text stands in any file below a folder.
func commandNoPart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nopart TEXT FOLDER")
	}
	looked := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // files come and go while the server lives
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		looked++
		if bytes.Contains(b, []byte(args[0])) {
			ts.Fatalf("%s holds %q", path, args[0])
		}
		return nil
	}))
	if looked < 10 {
		ts.Fatalf("only %d files were looked at", looked)
	}
}
